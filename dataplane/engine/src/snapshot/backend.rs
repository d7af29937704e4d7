//! Backends and their states.

use crate::scheduler::slow_start::SlowStart;
use crate::scheduler::transfer_limit::TransferLimit;
use crate::types::id::{ServerId, ServiceId};
use crate::types::next_hop::NextHop;
use std::net::IpAddr;

/// A backend: one server behind one service.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Address.
    pub address: IpAddr,
    /// Other addresses of the server, from which it may answer; at most 255.
    pub aliases: Vec<IpAddr>,
    /// The service.
    pub service: ServiceId,
    /// The server, which may be a backend of other services too.
    pub server: ServerId,
    /// The next hop; `None` while unresolved.
    pub hop: Option<NextHop>,
    /// The state.
    pub state: BackendState,
    /// Limit of concurrent transfers; `None`: no limit.
    pub cap: Option<TransferLimit>,
    /// The slow start, if the backend came back recently.
    pub slow_start: Option<SlowStart>,
}

/// A backend's state, by administrative state, health checks and passive health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendState {
    /// Gets new transfers.
    #[default]
    Active,
    /// Gets new transfers, but may be dead: requests that it leaves unanswered go elsewhere sooner.
    Suspect,
    /// Keeps its transfers and gets no new ones.
    Draining,
    /// Gets new transfers only if no other backend can: it has left too many clients without an answer.
    Ejected,
    /// Gets nothing: dead or disabled.
    Down,
}

impl Backend {
    /// Whether packets to the backend can arrive.
    pub fn is_reached(&self) -> bool {
        self.hop.is_some() && self.state != BackendState::Down
    }

    /// Whether the backend keeps its transfers.
    pub fn serves(&self) -> bool {
        self.is_reached() && self.state != BackendState::Ejected
    }

    /// Whether the backend gets new transfers.
    pub fn takes(&self) -> bool {
        self.serves() && self.state != BackendState::Draining
    }

    /// Whether the backend would get new transfers, but its next hop is unresolved.
    pub fn is_awaited(&self) -> bool {
        self.hop.is_none() && matches!(self.state, BackendState::Active | BackendState::Suspect)
    }

    /// Whether the backend gets new transfers if no other one can.
    pub fn takes_at_worst(&self) -> bool {
        self.is_reached() && self.state == BackendState::Ejected
    }

    /// Whether the backend is active, without any suspicion.
    pub fn is_trusted(&self) -> bool {
        self.serves() && self.state != BackendState::Suspect
    }

    /// Counts a transfer against the limit. Returns false if the limit is reached.
    pub fn acquire(&self) -> bool {
        self.cap.as_ref().is_none_or(TransferLimit::take)
    }

    /// Uncounts a transfer.
    pub fn release(&self) {
        if let Some(cap) = &self.cap {
            cap.give_back(1);
        }
    }

    /// The number of the address among the aliases, counted from 1; 0: no alias.
    pub fn alias(&self, address: IpAddr) -> u8 {
        let place = self.aliases.iter().position(|&alias| alias == address);
        place.map_or(0, |place| place as u8 + 1)
    }

    /// The address with this alias number.
    #[inline]
    pub fn address(&self, alias: u8) -> &IpAddr {
        match alias {
            0 => &self.address,
            // The list may have become shorter since.
            _ => self.aliases.get(usize::from(alias) - 1).unwrap_or(&self.address),
        }
    }
}
