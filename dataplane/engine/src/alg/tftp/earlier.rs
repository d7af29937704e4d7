//! Earlier transfers of an endpoint at the same server. Servers with a range of ports may answer request after request
//! from the same port: a late packet of an earlier transfer must be told from the beginning of a new one.

use crate::types::drop_reason::DropReason;
use wire::tftp::Message;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The progress of an earlier transfer at its server.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(u8)]
pub enum Reach {
    /// The server has received or sent the end: its process sends nothing more, and another one may have the port.
    #[default]
    Over,
    /// The server is past its first block and its OACK.
    Past,
    /// The server may repeat its first block.
    FirstBlock,
    /// The server may repeat its first message, whichever it was.
    Beginning,
}

/// TIDs of an endpoint's earlier transfers at the same server.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Earlier {
    /// TIDs, the latest first; 0: none.
    tids: [u16; 2],
    reach: [Reach; 2],
    /// UDP checksum of a transfer's last block; 0: none. It is the earlier transfer's until the new server answers,
    /// then the new one's.
    last_block: u16,
}

row_layout!(Earlier, 8: tids 0, reach 4, last_block 6);

impl Earlier {
    /// No earlier transfers.
    pub const NONE: Earlier = Earlier { tids: [0; 2], reach: [Reach::Over; 2], last_block: 0 };

    /// Earlier transfers with these TIDs, and whether the server was past its beginning in each.
    pub fn running(tids: [u16; 2], are_past: [bool; 2]) -> Earlier {
        let reach = |is_past| if is_past { Reach::Past } else { Reach::Beginning };
        Earlier { tids, reach: are_past.map(reach), last_block: 0 }
    }

    /// Adds the latest transfer.
    pub fn push(&mut self, tid: u16, reach: Reach) {
        self.tids = [tid, self.tids[0]];
        self.reach = [reach, self.reach[0]];
    }

    /// TIDs from which packets may still come (0: none), and whether the server was past its beginning in each.
    pub fn still_running(&self) -> ([u16; 2], [bool; 2]) {
        let left = |place: usize| self.reach[place] != Reach::Over;
        let tids = [0, 1].map(|place| if left(place) { self.tids[place] } else { 0 });
        (tids, self.reach.map(|reach| reach == Reach::Past))
    }

    /// The progress of the earlier transfer with this TID.
    pub fn reach(&self, tid: u16) -> Option<Reach> {
        let place = self.tids.iter().position(|&known| known == tid && known != 0)?;
        Some(self.reach[place])
    }

    /// Whether a server's message from this port can begin a new transfer; otherwise the drop reason. A process whose
    /// transfer is over gets no ERROR: the new transfer may have its port.
    pub fn check(&self, from: u16, message: Message) -> Result<(), DropReason> {
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
            Some(Reach::Over) => Err(DropReason::NoTransfer),
            _ => Err(DropReason::StrayTid),
        }
    }

    /// Remembers the UDP checksum of a transfer's last block.
    pub fn note_last_block(&mut self, sum: u16) {
        self.last_block = sum;
    }

    /// Forgets the last block.
    pub fn forget_last_block(&mut self) {
        self.last_block = 0;
    }

    /// Whether a block with this UDP checksum repeats the earlier transfer's last block. As two files may be alike, the
    /// second such block counts as the new transfer's.
    pub fn is_last_block(&mut self, sum: u16) -> bool {
        let is_last = sum != 0 && sum == self.last_block;
        if is_last {
            self.last_block = 0;
        }
        is_last
    }
}

/// Whether a server can begin a transfer with this message.
pub fn begins(message: Message) -> bool {
    match message {
        Message::Oack(_) | Message::Error { .. } => true,
        Message::Data { block, .. } => block == 1,
        Message::Ack { block } => block == 0,
        Message::Request(_) => false,
    }
}

/// Whether a client can answer a server's first message with this one.
pub fn answers_beginning(message: Message) -> bool {
    match message {
        Message::Data { block, .. } => block == 1,
        Message::Ack { block } => block <= 1,
        Message::Error { .. } => true,
        Message::Oack(_) | Message::Request(_) => false,
    }
}
