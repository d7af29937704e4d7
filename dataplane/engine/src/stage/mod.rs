//! The stages of a packet's way, a file a stage. [`parse`], [`classify`] and [`sort`] are for all packets. Datagrams of TFTP
//! go on in [`tftp`], segments and other datagrams in [`connection`], which leaves the control connections of FTP to [`ftp`];
//! [`tftp`] and [`connection`] each have a fast path, which skips what a packet that changes no state needs not, and a slow
//! path. Fragments and ICMP errors are [`dispatch`]ed separately. Deferred to the end of the burst: option limits, IPv4/IPv6
//! translation ([`xlat`]), replies, and what goes on to another gate ([`second_chance`]). [`originate`] builds packets of our own.

pub mod classify;
pub mod connection;
pub mod dispatch;
pub mod forward;
pub mod fragment;
pub mod ftp;
pub mod icmp_error;
pub mod identify;
pub mod neighbour;
pub mod originate;
pub mod parse;
pub mod peer;
pub mod redirect;
pub mod reply;
pub mod second_chance;
pub mod sort;
pub mod tftp;
pub mod translate;
pub mod transmit;
pub mod urgent;
pub mod xlat;
