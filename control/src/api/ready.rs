//! The answer whether the gate can serve.

use serde::{Deserialize, Serialize};

/// Services that must have a backend for the gate to be ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needed {
    /// The services' names.
    #[serde(default)]
    pub services: Vec<String>,
}

/// Whether the gate can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether the gate is not drained, all workers turn, all links are up, the flows of the other gate of a pair are known or there is none, and each
    /// named service has a backend.
    pub ready: bool,
    /// Reasons for which the gate is not ready, a few words each.
    pub missing: Vec<String>,
}
