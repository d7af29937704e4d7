//! Attacks on the gate, end to end: the real programs, real servers, and an attacker on the clients' or servers' link.
//! One file per target, one test per attack. Needs root; run by `scripts/attack`.
//!
//! A new attack is a test in its target's file: the attacker's frames ([`attacker`]), and the state that clients,
//! servers and counters must show. All traffic is bounded in count and time.

mod amplification;
mod attacker;
#[path = "../netns/client.rs"]
#[allow(dead_code)] // The end-to-end tests have other habits.
mod client;
#[path = "../netns/daemon.rs"]
#[allow(dead_code)] // The end-to-end tests ask it for more.
mod daemon;
#[path = "../netns/echo.rs"]
#[allow(dead_code)] // The end-to-end tests say more.
mod echo;
#[path = "../netns/fetching.rs"]
mod fetching;
mod floods;
mod ftp;
#[path = "../netns/ftp_servers.rs"]
#[allow(dead_code)] // The end-to-end tests vary more.
mod ftp_servers;
mod kernel;
mod links;
mod origin;
mod passive;
#[path = "../netns/peers.rs"]
#[allow(dead_code)] // The end-to-end tests have more peers.
mod peers;
mod ports;
mod privileges;
mod quota;
mod replace;
mod silence;
mod spoofing;
#[path = "../netns/wiring.rs"]
#[allow(dead_code)] // The end-to-end tests carry frames, too.
mod wiring;
