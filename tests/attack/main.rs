//! Attacks on the gate, end to end: the real programs, real servers, and somebody on a clients' or servers' link who
//! sends what no honest machine would. One file a target, one test an attack. Needs root; `scripts/attack` runs it.
//!
//! A new attack is a test in the file of what it is aimed at: what the attacker sends ([`attacker`]), and what clients,
//! servers and counters must show all the same. Everything that is sent is bounded in count and time.

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
