//! Fields of records that the engine lays out in a promised way.

use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use wire::ethernet::Mac;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The bytes of a value.
pub fn bytes<const N: usize>(value: &(impl IntoBytes + Immutable)) -> [u8; N] {
    let mut all = [0; N];
    all.copy_from_slice(value.as_bytes());
    all
}

/// The value that these bytes are, if they are one.
pub fn value<T: TryFromBytes + KnownLayout>(bytes: &[u8]) -> Option<T> {
    T::try_read_from_bytes(bytes).ok()
}

/// The next hop behind an interface.
pub fn hop(mac: [u8; 6], interface: u8) -> NextHop {
    NextHop { mac: Mac(mac), interface: InterfaceId(interface) }
}
