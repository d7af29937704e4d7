//! What FTP's peers say of where they listen (RFC 959 §4.1.2, RFC 2428).

use std::net::{IpAddr, SocketAddr};

/// Six numbers, as PORT and 227 have them.
pub fn numbers(at: SocketAddr) -> String {
    let [high, low] = at.port().to_be_bytes();
    format!("{},{high},{low}", at.ip().to_string().replace('.', ","))
}

/// The client listens there, over IPv4.
pub fn port(at: SocketAddr) -> String {
    format!("PORT {}\r\n", numbers(at))
}

/// The same over any version.
pub fn eprt(at: SocketAddr) -> String {
    let family = if at.is_ipv4() { 1 } else { 2 };
    format!("EPRT |{family}|{}|{}|\r\n", at.ip(), at.port())
}

/// As clients of that version say it: PORT wherever it can be.
pub fn active(at: SocketAddr) -> String {
    if at.is_ipv4() { port(at) } else { eprt(at) }
}

/// The server listens there.
pub fn passive_at(at: SocketAddr) -> String {
    format!("227 Entering Passive Mode ({}).\r\n", numbers(at))
}

/// What a server was told by PORT or EPRT.
///
/// # Panics
///
/// The line is neither.
pub fn endpoint_in(line: &str) -> SocketAddr {
    let (verb, rest) = line.trim_end().split_once(' ').expect("an argument");
    if verb == "EPRT" {
        let parts: Vec<_> = rest.split('|').collect();
        return SocketAddr::new(parts[2].parse().unwrap(), parts[3].parse().unwrap());
    }
    assert_eq!(verb, "PORT");
    let parts: Vec<u8> = rest.split(',').map(|part| part.parse().unwrap()).collect();
    let address: [u8; 4] = parts[..4].try_into().unwrap();
    SocketAddr::new(IpAddr::from(address), u16::from_be_bytes([parts[4], parts[5]]))
}
