//! Tidegate end to end: the real programs between real clients and real servers, in network
//! namespaces. Needs root; `scripts/test` prepares the rest.

mod aironet;
mod bad_network;
mod boot;
mod client;
mod crowd;
mod daemon;
mod devices;
mod errors;
mod fragments;
mod ftp;
mod ftp_clients;
mod ftp_servers;
mod habits;
mod health;
mod ipv6;
mod live;
mod operator;
mod outage;
mod peers;
mod policy;
mod restart;
mod scheduling;
mod slowpath;
mod transfers;
mod trunk;
mod vlans;
mod wiring;
