//! Earlier transfers of the same endpoint at the same server: what may still come from their TIDs, and how it is told
//! from the beginning of a new one. Servers with a range of ports answer one request after the other from the same.

use crate::reason::Reason;
use wire::tftp::Message;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// How far a transfer had come with its server.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(u8)]
pub enum Reach {
    /// The server has heard the end, or said it: its process speaks no more, and another one may have its port.
    #[default]
    Over,
    /// The server is past its first block, and past what it granted.
    Past,
    /// The server may send its first block again.
    FirstBlock,
    /// The server may send again whatever it began with.
    Beginning,
}

/// The TIDs of an endpoint's transfers before, at the same server.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Earlier {
    /// The last one first; 0 for none.
    tids: [u16; 2],
    reach: [Reach; 2],
    /// The UDP checksum of the block that was the last one of a transfer; 0: of none. Until a transfer's own server has
    /// answered, that of the transfer before, and then its own.
    last_block: u16,
}

impl Earlier {
    /// There were none.
    pub const NONE: Earlier = Earlier { tids: [0; 2], reach: [Reach::Over; 2], last_block: 0 };

    /// Those with these TIDs, and whether the server was past its beginning with each.
    pub fn running(tids: [u16; 2], are_past: [bool; 2]) -> Earlier {
        let reach = |is_past| if is_past { Reach::Past } else { Reach::Beginning };
        Earlier { tids, reach: are_past.map(reach), last_block: 0 }
    }

    /// Adds the one that was in use last.
    pub fn push(&mut self, tid: u16, reach: Reach) {
        self.tids = [tid, self.tids[0]];
        self.reach = [reach, self.reach[0]];
    }

    /// The TIDs, 0 for none, from where something may still come, and whether the server was past its beginning with each.
    pub fn still_running(&self) -> ([u16; 2], [bool; 2]) {
        let left = |place: usize| self.reach[place] != Reach::Over;
        let tids = [0, 1].map(|place| if left(place) { self.tids[place] } else { 0 });
        (tids, self.reach.map(|reach| reach == Reach::Past))
    }

    /// How far the transfer had come that had this TID.
    pub fn reach(&self, tid: u16) -> Option<Reach> {
        let place = self.tids.iter().position(|&known| known == tid && known != 0)?;
        Some(self.reach[place])
    }

    /// Whether what a server says from this port can be the beginning of a new transfer; why not, if not. A process
    /// that has heard the end is told nothing: its port may be the new one's.
    pub fn check(&self, from: u16, message: Message) -> Result<(), Reason> {
        let reach = self.reach(from);
        let is_new = match (reach, message) {
            _ if !begins(message) => false,
            (None | Some(Reach::Over), _) => true,
            (Some(reach), Message::Data { .. }) => reach == Reach::Past,
            (Some(reach), Message::Oack(_) | Message::Ack { .. }) => reach != Reach::Beginning,
            (Some(_), Message::Error { .. } | Message::Request(_)) => false,
        };
        match reach {
            _ if is_new => Ok(()),
            Some(Reach::Over) => Err(Reason::NoTransfer),
            _ => Err(Reason::StrayTid),
        }
    }

    /// The block with this UDP checksum was its transfer's last one.
    pub fn note_last_block(&mut self, sum: u16) {
        self.last_block = sum;
    }

    /// Nothing is known of a last block any more.
    pub fn forget_last_block(&mut self) {
        self.last_block = 0;
    }

    /// Whether a block with this UDP checksum is the last one of the transfer before, once more. Two files may be alike:
    /// the second time it is taken for the new one's.
    pub fn is_last_block(&mut self, sum: u16) -> bool {
        let is_last = sum != 0 && sum == self.last_block;
        if is_last {
            self.last_block = 0;
        }
        is_last
    }
}

/// Whether a server can begin with this.
pub fn begins(message: Message) -> bool {
    match message {
        Message::Oack(_) | Message::Error { .. } => true,
        Message::Data { block, .. } => block == 1,
        Message::Ack { block } => block == 0,
        Message::Request(_) => false,
    }
}

/// Whether a client can answer a server's beginning by this.
pub fn answers_beginning(message: Message) -> bool {
    match message {
        Message::Data { block, .. } => block == 1,
        Message::Ack { block } => block <= 1,
        Message::Error { .. } => true,
        Message::Oack(_) | Message::Request(_) => false,
    }
}
