//! The web page: what operators look at first, at one moment, and the last hour of it. It changes nothing.
//!
//! The daemon makes a [`View`], and [`page`] draws it. Whatever clients have chosen, such as a file name, is text.

mod chart;
mod elements;
mod history;
mod machine;
mod page;
mod problems;
mod services;
mod transfers;
mod view;
mod words;

pub use history::{History, Second, Tally, Totals, WorkerLoad, WorkerTally};
pub use page::page;
pub use view::{Backend, Drop, Service, View, Vip, Worker};

/// The style sheet.
pub const STYLE: &str = include_str!("web/tidegate.css");
/// The script, which refreshes the page.
pub const SCRIPT: &str = include_str!("web/tidegate.js");

#[cfg(test)]
mod tests;
