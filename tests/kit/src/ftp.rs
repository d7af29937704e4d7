//! FTP's announcements of data endpoints (RFC 959 §4.1.2, RFC 2428).

use std::net::{IpAddr, SocketAddr};

/// Six numbers, as in PORT and 227.
pub fn numbers(at: SocketAddr) -> String {
    let [high, low] = at.port().to_be_bytes();
    format!("{},{high},{low}", at.ip().to_string().replace('.', ","))
}

/// PORT.
pub fn port(at: SocketAddr) -> String {
    format!("PORT {}\r\n", numbers(at))
}

/// EPRT.
pub fn eprt(at: SocketAddr) -> String {
    let family = if at.is_ipv4() { 1 } else { 2 };
    format!("EPRT |{family}|{}|{}|\r\n", at.ip(), at.port())
}

/// PORT over IPv4, EPRT over IPv6.
pub fn active(at: SocketAddr) -> String {
    if at.is_ipv4() { port(at) } else { eprt(at) }
}

/// Reply 227.
pub fn passive_at(at: SocketAddr) -> String {
    format!("227 Entering Passive Mode ({}).\r\n", numbers(at))
}

/// The endpoint in a PORT or EPRT.
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
