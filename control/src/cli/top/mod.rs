//! `tidegate top`: a live view in the terminal.
//!
//! The [`model`] is made of two samples of the daemon's answers, [`view`] draws it, [`input`] turns keys into [`action`]s
//! of the [`app`], and [`run`] is the loop around them.

mod action;
mod app;
mod capture;
mod history;
mod input;
mod log;
mod model;
mod rows;
mod run;
mod screen;
#[cfg(test)]
mod tests;
mod transfers;
mod view;

pub use run::run;
