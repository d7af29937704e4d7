//! Workers over ports made of memory, turned by hand.

mod bursts;
mod capture;
mod commands;
mod connections;
mod drops;
mod faults;
mod fragments;
mod full;
mod growth;
mod handover;
mod kernel;
mod load;
mod transfers;
mod vlans;
