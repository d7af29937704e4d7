//! Workers over ports made of memory, turned by hand.

mod faults;
mod full;
mod handover;
mod kernel;
mod news;
mod transfers;
