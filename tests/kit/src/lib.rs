//! What the tests of the dataplane share: packets with names, a small [`world`], a [`gate`] to send
//! them through and a [`house`] of workers, a [`farm`] of clients and servers that talk through it,
//! and a [`ledger`] that sees every counter.
//!
//! Packets are built and read by `etherparse`, so that no header and no checksum is judged by the
//! code that wrote it.
#![forbid(unsafe_code)]

pub mod connections;
pub mod farm;
pub mod field;
pub mod ftp;
pub mod gate;
pub mod growth;
pub mod house;
pub mod lab;
pub mod ledger;
pub mod lines;
pub mod notice;
pub mod packet;
pub mod parts;
pub mod remains;
pub mod segment;
pub mod story;
pub mod talk;
pub mod world;
