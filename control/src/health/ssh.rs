//! `ssh`: the server's greeting (RFC 4253 §4.2), which other lines may come before.

use super::lines::Lines;
use super::said::said;
use super::target::Target;
use super::{Finding, theirs};

/// Lines that are read at the most.
const MOST: usize = 100;

/// Reads the greeting, and hangs up.
pub async fn find(target: &Target) -> Finding {
    let mut lines = Lines::open(target).await?;
    let mut first = None;
    for _ in 0..MOST {
        match lines.next().await {
            Ok(line) if line.starts_with(b"SSH-") => return Ok(said(&line)),
            Ok(line) => _ = first.get_or_insert(line),
            Err(trouble) if first.is_none() => return Err(trouble),
            Err(_hung_up) => break,
        }
    }
    theirs(format!("no SSH greeting, but `{}`", said(&first.unwrap_or_default())))
}
