//! Numbers in FTP's endpoints: decimal, leading zeroes allowed.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Parses `h1,h2,h3,h4,p1,p2` and nothing else.
pub(super) fn endpoint(text: &[u8]) -> Option<SocketAddrV4> {
    let is_plain = !text.contains(&b' ');
    endpoint_at(text)
        .filter(|(_, len)| is_plain && *len == text.len())
        .map(|(endpoint, _)| endpoint)
}

/// Parses `h1,h2,h3,h4,p1,p2` at the front of a text; returns the endpoint and its length in bytes. Some servers put
/// blanks behind the commas.
pub(super) fn endpoint_at(text: &[u8]) -> Option<(SocketAddrV4, usize)> {
    let (mut all, mut at) = ([0; 6], 0);
    for (nth, number) in all.iter_mut().enumerate() {
        at += if nth == 0 { 0 } else { comma(&text[at..])? };
        let len = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        *number = octet(&text[at..at + len])?;
        at += len;
    }
    let [a, b, c, d, high, low] = all;
    let port = u16::from_be_bytes([high, low]);
    let sound = comma(&text[at..]).is_none() && port != 0;
    sound.then_some((SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port), at))
}

/// Length of a comma with its blanks at the front of a text.
fn comma(text: &[u8]) -> Option<usize> {
    let blanks = |text: &[u8]| text.iter().take_while(|byte| **byte == b' ').count();
    let at = blanks(text);
    let behind = text[at..].strip_prefix(b",")?;
    Some(at + 1 + blanks(behind))
}

/// Parses a port that a host can listen on: not zero.
pub(super) fn port(digits: &[u8]) -> Option<u16> {
    decimal(digits, 5).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn octet(digits: &[u8]) -> Option<u8> {
    decimal(digits, 3)?.try_into().ok()
}

fn decimal(digits: &[u8], most: usize) -> Option<u32> {
    let sound = (1..=most).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    sound.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}
