//! Tidegate end to end: the real programs between real clients and real servers, in network
//! namespaces. Needs root; `scripts/test` prepares the rest.

mod aironet;
mod bad_network;
mod boot;
mod client;
mod crowd;
mod daemon;
mod devices;
mod echo;
mod errors;
mod fetching;
mod fragments;
mod ftp;
mod ftp_clients;
mod ftp_ports;
mod ftp_servers;
mod ftp_sessions;
mod habits;
mod health;
mod ipv6;
mod live;
mod mishaps;
mod nat_policy;
mod operator;
mod outage;
mod peers;
mod policy;
mod restart;
mod scheduling;
mod services;
mod sftp;
mod slowpath;
mod transfers;
mod trunk;
mod vlans;
mod wiring;
