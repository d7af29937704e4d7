//! A server of a service, and whether it gets new transfers.

use super::{InterfaceId, ServerId, ServiceId};
use crate::select::cap::Cap;
use crate::select::slow_start::SlowStart;
use std::net::IpAddr;
use wire::ethernet::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A server.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its address.
    pub address: IpAddr,
    /// Other addresses of its server, which that may answer from; at most 255.
    pub aliases: Vec<IpAddr>,
    /// The service it belongs to.
    pub service: ServiceId,
    /// The server itself, which may be backends of other services too.
    pub server: ServerId,
    /// Where its packets go next; `None` while the kernel has not resolved it.
    pub hop: Option<Hop>,
    /// What it is given to do.
    pub duty: Duty,
    /// The most transfers that it has at a time; `None`: any number.
    pub cap: Option<Cap>,
    /// Set when it came back a short while ago.
    pub slow_start: Option<SlowStart>,
}

/// What a backend is given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duty {
    /// New transfers.
    #[default]
    Serving,
    /// New transfers too; but it may be dead, and what it leaves unanswered goes elsewhere sooner.
    Suspected,
    /// The transfers that it has, and no others.
    Draining,
    /// Nothing, as long as there is another one: it has left too many clients without an answer.
    Ejected,
    /// Nothing: it is given up for dead, or switched off.
    Down,
}

impl Backend {
    /// Whether packets to it get anywhere.
    pub fn is_reached(&self) -> bool {
        self.hop.is_some() && self.duty != Duty::Down
    }

    /// Whether it can go on with the transfers that it has.
    pub fn serves(&self) -> bool {
        self.is_reached() && self.duty != Duty::Ejected
    }

    /// Whether it is to get new transfers.
    pub fn takes(&self) -> bool {
        self.serves() && self.duty != Duty::Draining
    }

    /// Whether it is to get new transfers where no other one can.
    pub fn takes_at_worst(&self) -> bool {
        self.is_reached() && self.duty == Duty::Ejected
    }

    /// Whether nothing speaks against it.
    pub fn is_trusted(&self) -> bool {
        self.serves() && self.duty != Duty::Suspected
    }

    /// Takes a place for a transfer, if there is one.
    pub fn take_place(&self) -> bool {
        self.cap.as_ref().is_none_or(Cap::take)
    }

    /// Gives a transfer's place back.
    pub fn give_place_back(&self) {
        if let Some(cap) = &self.cap {
            cap.give_back(1);
        }
    }

    /// The number of this address among the aliases, counted from 1; 0: it is none of them.
    pub fn alias(&self, address: IpAddr) -> u8 {
        let place = self.aliases.iter().position(|&alias| alias == address);
        place.map_or(0, |place| place as u8 + 1)
    }

    /// The address with this number.
    #[inline]
    pub fn address(&self, alias: u8) -> &IpAddr {
        match alias {
            0 => &self.address,
            // The list may have become shorter since.
            _ => self.aliases.get(usize::from(alias) - 1).unwrap_or(&self.address),
        }
    }
}

/// The next station on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Hop {
    /// Its hardware address.
    pub mac: Mac,
    /// The interface it is reached by.
    pub interface: InterfaceId,
}
