//! Where the kernel would send a packet.

use crate::tables::Hop;
use ipnet::IpNet;
use std::net::IpAddr;

/// The kernel's routes, and what it knows of the neighbours that they lead to.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// The longest prefixes first.
    all: Vec<Route>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// To here.
    pub to: IpNet,
    /// The next station; `None` while the kernel does not know its hardware address.
    pub hop: Option<Hop>,
}

impl Routes {
    /// These, of which the longest one that fits counts.
    pub fn new(mut all: Vec<Route>) -> Routes {
        all.sort_by_key(|route| std::cmp::Reverse(route.to.prefix_len()));
        Routes { all }
    }

    /// The next station on the way there, if it is known.
    pub fn hop(&self, to: IpAddr) -> Option<Hop> {
        self.all.iter().find(|route| route.to.contains(&to))?.hop
    }
}
