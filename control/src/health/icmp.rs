//! The probe `icmp`: an echo request (RFC 792, for IPv6 RFC 4443). It uses a raw socket, since ping sockets are
//! disabled by default.

use super::finding::Finding;
use super::target::{Target, no_socket};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;

/// Types of echo request and echo reply, in ICMP and ICMPv6.
const V4: [u8; 2] = [8, 0];
const V6: [u8; 2] = [128, 129];
/// Bytes of type, code, checksum, identifier and sequence number.
const HEADER: usize = 8;

/// Sends an echo request, and waits for the reply.
pub async fn find(target: &Target) -> Finding {
    let socket = open(target).map_err(no_socket)?;
    let kinds = if target.address.is_ipv4() { V4 } else { V6 };
    // Tells this probe's reply from others.
    let token: [u8; 4] = fastrand::u32(..).to_be_bytes();
    let peer = SocketAddr::new(target.address, 0);
    if let Err(error) = ask(&socket, peer, kinds[0], token).await {
        return target.unreached(&error);
    }
    let mut packet = [0; 128];
    loop {
        let answer = match socket.recv(&mut packet).await {
            Ok(len) => message(target.address, &packet[..len]),
            Err(error) => return target.unreached(&error),
        };
        if answer.is_some_and(|(kind, echo)| kind == kinds[1] && echo == token) {
            return Ok(String::new());
        }
    }
}

/// Opens a raw socket, which is used like a UDP socket from then on.
fn open(target: &Target) -> io::Result<UdpSocket> {
    let (family, protocol) = match target.address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let raw = socket(family, SockType::Raw, flags, protocol)?;
    target.mark(&raw)?;
    UdpSocket::from_std(raw.into())
}

async fn ask(socket: &UdpSocket, peer: SocketAddr, kind: u8, token: [u8; 4]) -> io::Result<()> {
    socket.connect(peer).await?;
    let mut request = [0; HEADER];
    request[0] = kind;
    request[4..].copy_from_slice(&token);
    // For IPv6 the kernel computes it: it covers the addresses.
    if peer.is_ipv4() {
        let checksum = !wire::checksum::fold(wire::checksum::sum(&request, 0));
        request[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    socket.send(&request).await.map(|_len| ())
}

/// Reads type, identifier and sequence number. Over IPv4 the IP header precedes them.
fn message(from: IpAddr, packet: &[u8]) -> Option<(u8, [u8; 4])> {
    let skip = match from {
        IpAddr::V4(_) => usize::from(packet.first()? & 0xf) * 4,
        IpAddr::V6(_) => 0,
    };
    let (header, _) = packet.get(skip..)?.split_first_chunk::<HEADER>()?;
    Some((header[0], [header[4], header[5], header[6], header[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_behind_a_header_and_without() {
        let echo = [0, 0, 0xaa, 0xbb, 1, 2, 3, 4];
        let (v4, v6) = (IpAddr::from([10, 0, 0, 30]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]));
        let mut packet = [&[0x46][..], &[0; 23], &echo].concat();
        assert_eq!(message(v4, &packet), Some((0, [1, 2, 3, 4])));
        assert_eq!(message(v6, &echo), Some((0, [1, 2, 3, 4])));
        packet.pop();
        assert_eq!(message(v4, &packet), None);
        assert_eq!((message(v4, &[]), message(v6, &echo[..7])), (None, None));
    }
}
