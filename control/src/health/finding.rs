//! Findings of probes.

/// A probe's finding: the backend is healthy, with a remark in a few words.
pub type Finding = Result<String, ProbeError>;

/// The reason why a probe did not find a backend healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeError {
    /// The backend is at fault.
    Backend(String),
    /// The probe could not be made, for want of a socket or a program: nothing is known of the backend.
    Local(String),
}

/// The finding that the backend is at fault.
pub fn backend_fault<T>(what: impl Into<String>) -> Result<T, ProbeError> {
    Err(ProbeError::Backend(what.into()))
}
