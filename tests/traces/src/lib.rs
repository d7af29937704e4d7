//! Habits of real clients and servers, from public sources: one capture for each habit and mode, with each frame that
//! arrives at the gate, followed by each that must leave.
//!
//! A [`capture`] is a pcapng file, a [`scene`] builds one step by step, [`rows`] lists the habits.
#![forbid(unsafe_code)]

pub mod capture;
pub mod options;
pub mod rows;
pub mod scene;
pub mod script;
