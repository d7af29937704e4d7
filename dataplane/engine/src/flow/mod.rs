//! Transfers and where they are kept.

pub mod view;
