//! The probe `tcp`: a connection can be opened.

use super::finding::Finding;
use super::target::Target;

/// Connects, and closes.
pub async fn find(target: &Target) -> Finding {
    target.connect().await.map(|_stream| String::new())
}
