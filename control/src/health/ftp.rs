//! The probe `ftp`: a greeting, a login if one is configured, and NOOP (RFC 959).

use super::finding::{Finding, ProbeError, backend_fault};
use super::lines::Lines;
use super::sanitize::sanitize;
use super::target::Target;
use crate::config::Login;

/// Probes a backend: login if configured, NOOP, QUIT.
pub async fn find(login: Option<&Login>, target: &Target) -> Finding {
    let mut lines = Lines::open(target).await?;
    expect(&mut lines, "its greeting", &["220"]).await?;
    if let Some(login) = login {
        lines.say(&format!("USER {}", login.user)).await?;
        // Some want no password.
        if expect(&mut lines, "USER", &["331", "230"]).await? == "331" {
            lines.say(&format!("PASS {}", login.password)).await?;
            expect(&mut lines, "PASS", &["230", "202"]).await?;
        }
    }
    lines.say("NOOP").await?;
    // vsftpd does nothing at all before a login, and says so.
    let good: &[&str] = if login.is_some() { &["200"] } else { &["200", "530"] };
    expect(&mut lines, "NOOP", good).await?;
    lines.say("QUIT").await?;
    // It is well, whatever it says to that. Waiting for it lets it hang up first.
    let _ = reply(&mut lines).await;
    Ok(String::new())
}

/// Reads a reply, which must have one of these codes.
async fn expect(
    lines: &mut Lines<'_>,
    to: &str,
    codes: &[&'static str],
) -> Result<&'static str, ProbeError> {
    let reply = reply(lines).await?;
    match codes.iter().find(|code| reply.starts_with(code.as_bytes())) {
        Some(code) => Ok(code),
        None => backend_fault(format!("{to}: `{}`", sanitize(&reply))),
    }
}

/// Reads a reply and returns its last line, which begins with the code and a space (RFC 959 §4.2).
async fn reply(lines: &mut Lines<'_>) -> Result<Vec<u8>, ProbeError> {
    let first = lines.next().await?;
    let code = first.first_chunk::<3>().filter(|code| code.iter().all(u8::is_ascii_digit));
    let (Some(code), Some(b'-')) = (code, first.get(3)) else { return Ok(first) };
    let end = [&code[..], b" "].concat();
    loop {
        let line = lines.next().await?;
        if line.starts_with(&end) {
            return Ok(line);
        }
    }
}
