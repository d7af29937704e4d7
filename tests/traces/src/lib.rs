//! What real clients and servers do, one capture for each habit and mode, made from what is publicly known
//! of them: each frame that arrives at the gate, and behind it each that must leave.
//!
//! A [`capture`] is a pcapng file, a [`scene`] makes one as a story is told, the [`rows`] are the stories.
#![forbid(unsafe_code)]

pub mod capture;
pub mod rows;
pub mod scene;
pub mod script;
