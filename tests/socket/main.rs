//! The control socket over fake workers: answers, and reactions to bad requests. Needs neither root nor DPDK.

mod capture;
mod check;
mod cli;
mod clients;
mod completion;
mod drops;
mod fake_worker;
mod http;
mod live;
mod metrics;
mod place;
mod ready;
mod records;
mod requests;
mod routes;
mod server;
mod socket;
mod web;

use server::{EXAMPLE, TOKEN, read, view};
use socket::{Connection, Socket};
