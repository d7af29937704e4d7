//! The probe `ssh`: the server's greeting (RFC 4253 §4.2), which other lines may precede.

use super::finding::{Finding, backend_fault};
use super::lines::Lines;
use super::sanitize::sanitize;
use super::target::Target;

/// The most lines that are read.
const MOST: usize = 100;

/// Reads the greeting, and hangs up.
pub async fn find(target: &Target) -> Finding {
    let mut lines = Lines::open(target).await?;
    let mut first = None;
    for _ in 0..MOST {
        match lines.next().await {
            Ok(line) if line.starts_with(b"SSH-") => return Ok(sanitize(&line)),
            Ok(line) => _ = first.get_or_insert(line),
            Err(error) if first.is_none() => return Err(error),
            Err(_hung_up) => break,
        }
    }
    backend_fault(format!("no SSH greeting, but `{}`", sanitize(&first.unwrap_or_default())))
}
