//! Members of a backend group.

use crate::types::id::BackendId;
use std::net::IpAddr;

/// A member of a backend group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The backend.
    pub id: BackendId,
    /// The backend's address.
    pub address: IpAddr,
    /// The weight; 0: no new transfers.
    pub weight: u16,
}
