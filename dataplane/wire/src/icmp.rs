//! ICMP (RFC 792): as much of it as answering an echo request takes.

use crate::checksum::{self, Delta};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// An echo message's header.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Echo {
    kind: u8,
    code: u8,
    checksum: U16,
    id: U16,
    sequence: U16,
}

impl Echo {
    /// The header of an echo request with a right checksum, if the IP payload is one.
    pub fn request(bytes: &mut [u8]) -> Option<&mut Echo> {
        if checksum::fold(checksum::sum(bytes, 0)) != 0xffff {
            return None;
        }
        let (echo, _data) = Echo::mut_from_prefix(bytes).ok()?;
        (echo.kind == ECHO_REQUEST && echo.code == 0).then_some(echo)
    }

    /// Turns the request into its reply; the data behind the header stays.
    pub fn into_reply(&mut self) {
        let word = |kind| u16::from_be_bytes([kind, 0]);
        self.checksum = Delta::word(word(self.kind), word(ECHO_REPLY)).mend(self.checksum);
        self.kind = ECHO_REPLY;
    }
}
