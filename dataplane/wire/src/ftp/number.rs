//! Numbers as both sides write them: in decimal, leading zeroes allowed.

use std::net::{Ipv4Addr, SocketAddrV4};

/// `h1,h2,h3,h4,p1,p2` and nothing else.
pub(super) fn endpoint(text: &[u8]) -> Option<SocketAddrV4> {
    endpoint_at(text).filter(|(_, len)| *len == text.len()).map(|(endpoint, _)| endpoint)
}

/// The same at the front of a text, and how long it is there.
pub(super) fn endpoint_at(text: &[u8]) -> Option<(SocketAddrV4, usize)> {
    let part = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
    let len = text.iter().position(|byte| !part(byte)).unwrap_or(text.len());
    let mut numbers = text[..len].split(|byte| *byte == b',').map(octet);
    let mut all = [0; 6];
    for number in &mut all {
        *number = numbers.next()??;
    }
    let [a, b, c, d, high, low] = all;
    let port = u16::from_be_bytes([high, low]);
    let sound = numbers.next().is_none() && port != 0;
    sound.then_some((SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port), len))
}

/// A port that one can listen on.
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
