//! The next hop.

use crate::types::id::InterfaceId;
use wire::ethernet::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The next hop of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NextHop {
    /// Hardware address.
    pub mac: Mac,
    /// Outgoing interface.
    pub interface: InterfaceId,
}

row_layout!(NextHop, 7: mac 0, interface 6);
