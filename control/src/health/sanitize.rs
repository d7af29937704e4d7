//! Sanitizing: output of servers and programs, made fit for a log and a table.

use crate::foreign_text::acts;

/// Characters that are kept.
const MOST: usize = 60;

/// The first line, shortened and with control characters escaped: nobody outside may steer a terminal.
pub fn sanitize(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r' | 0)).next().unwrap_or_default();
    let mut shown = String::new();
    for (place, c) in String::from_utf8_lossy(line).trim().chars().enumerate() {
        match c {
            _ if place == MOST => {
                shown.push('…');
                break;
            }
            _ if acts(c) => shown.extend(c.escape_debug()),
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_and_no_more_of_it_than_fits() {
        assert_eq!(
            sanitize(b" SSH OK - it's up | time=0.1s\nmore"),
            "SSH OK - it's up | time=0.1s"
        );
        assert_eq!(sanitize(b"\x1b[2J\xff"), "\\u{1b}[2J\u{fffd}");
        assert_eq!(sanitize(b""), "");
        let long = sanitize(&[b'x'; 500]);
        assert_eq!((long.chars().count(), long.ends_with("x…")), (MOST + 1, true));
    }
}
