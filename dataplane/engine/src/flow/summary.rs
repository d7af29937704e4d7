//! A flow in a few words, for captures.

use crate::flow::state::{ConnectionState, TransferState};
use crate::types::id::{BackendId, ServiceId};
use std::net::SocketAddr;

/// The flow that a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSummary {
    /// The client's endpoint; of a server's own connection, its peer's.
    pub client: SocketAddr,
    /// The service; `None`: an egress NAT connection, or a port of no service.
    pub service: Option<ServiceId>,
    /// The backend; `None`: an egress NAT connection, or none was chosen.
    pub backend: Option<BackendId>,
    /// Whether the packet is the client's.
    pub by_client: bool,
    /// The state.
    pub state: FlowState,
}

/// The state of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowState {
    /// There is neither transfer nor connection.
    None,
    /// A transfer's state, and its TID, once known.
    Transfer(TransferState, Option<u16>),
    /// A connection's state.
    Connection(ConnectionState),
}
