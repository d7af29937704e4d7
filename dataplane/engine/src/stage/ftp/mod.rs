//! FTP's control connections: read segment by segment ([`control`]), line by line ([`listener`]), and rewritten where a line
//! names an endpoint that the other side does not see ([`rewrite`]).
//!
//! The rewriter of [`crate::alg::ftp`] finds the lines, and calls [`Reader::judge`] for each that may matter. [`listener`]
//! implements it: what a line leads to needs the worker's tables, which `alg` does not know.
//!
//! [`Reader::judge`]: crate::alg::ftp::rewriter::Reader::judge

pub mod control;
pub mod listener;
pub mod rewrite;
