//! ICMP (RFC 792): as much of it as answering an echo request takes.

use crate::checksum;
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Echo {
    kind: u8,
    code: u8,
    checksum: U16,
    id: U16,
    sequence: U16,
}

/// Turns an echo request into its reply. Answers false, and changes nothing, when the IP payload is
/// no sound echo request.
#[must_use]
pub fn answer_echo(bytes: &mut [u8]) -> bool {
    if !checksum::is_sound([bytes, &[]]) {
        return false;
    }
    let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) else { return false };
    if echo.kind != ECHO_REQUEST || echo.code != 0 {
        return false;
    }
    echo.kind = ECHO_REPLY;
    echo.checksum = U16::ZERO;
    // In full: mending can't tell the two zeroes of one's complement apart.
    let checksum = !checksum::fold(checksum::sum(bytes, 0));
    if let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) {
        echo.checksum = U16::new(checksum);
    }
    true
}
