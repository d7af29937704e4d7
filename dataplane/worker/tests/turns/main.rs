//! Workers over ports made of memory, turned by hand.

mod bursts;
mod connections;
mod faults;
mod full;
mod growth;
mod handover;
mod kernel;
mod news;
mod parts;
mod transfers;
mod vlans;
