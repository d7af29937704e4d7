//! A small TFTP client with habits that real clients have, but cannot be made to show here.

use kit::lab::uninterrupted;
use std::io::ErrorKind;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

/// Habits of the client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Sends its ACKs to the port of the request and ignores the TID.
    pub acks_to_69: bool,
    /// Sends its request twice at once.
    pub asks_twice: bool,
}

/// Why a fetch failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server's ERROR.
    Error(u16),
    /// An answer from another address than was asked.
    Stranger(SocketAddrV4),
    /// No answer for long.
    Silence,
}

/// Fetches a file from a socket bound to `from`, in blocks of 512.
pub fn fetch(
    from: SocketAddrV4,
    server: SocketAddrV4,
    file: &str,
    habits: Habits,
) -> Result<Vec<u8>, Failure> {
    fetch_by_blocks(from, server, file, habits, |_| {})
}

/// Fetches a file as [`fetch`] does; `received` is called with each block's number before its ACK is sent.
pub fn fetch_by_blocks(
    from: SocketAddrV4,
    server: SocketAddrV4,
    file: &str,
    habits: Habits,
    mut received: impl FnMut(u16),
) -> Result<Vec<u8>, Failure> {
    let socket = bind(from);
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let request = [b"\0\x01", file.as_bytes(), b"\0octet\0"].concat();
    let mut last = (request.clone(), server);
    if habits.asks_twice {
        socket.send_to(&request, server).expect("a datagram");
    }
    let mut got = vec![];
    let mut expected = 1u16;
    let mut tid = None;
    for _ in 0..10 {
        send(&socket, &last.0, last.1);
        let mut packet = [0; 516];
        while let Some((len, peer)) = receive(&socket, &mut packet) {
            if peer.ip() != server.ip() {
                return Err(Failure::Stranger(peer));
            }
            assert!(*tid.get_or_insert(peer) == peer, "an answer from a second TID, {peer}");
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            match packet[1] {
                5 => return Err(Failure::Error(number)),
                3 if number == expected => {
                    got.extend_from_slice(&packet[4..len]);
                    received(number);
                    let ack = [&[0, 4][..], &number.to_be_bytes()].concat();
                    last = (ack, if habits.acks_to_69 { server } else { peer });
                    expected = expected.wrapping_add(1);
                    send(&socket, &last.0, last.1);
                    if len < 516 {
                        return Ok(got);
                    }
                }
                _ => {}
            }
        }
    }
    Err(Failure::Silence)
}

/// The port may stay in use for a moment: a forked child of another test holds the previous socket until it execs.
fn bind(from: SocketAddrV4) -> UdpSocket {
    let mut socket = UdpSocket::bind(from);
    for _ in 0..50 {
        if socket.as_ref().is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
            std::thread::sleep(Duration::from_millis(20));
            socket = UdpSocket::bind(from);
        }
    }
    socket.expect("the address is the client's")
}

/// A datagram without a way is lost, as on a wire: a test may have taken the client's link.
fn send(socket: &UdpSocket, message: &[u8], to: SocketAddrV4) {
    match socket.send_to(message, to) {
        Err(error) if error.kind() == ErrorKind::NetworkUnreachable => {}
        sent => assert_eq!(sent.expect("a datagram"), message.len()),
    }
}

fn receive(socket: &UdpSocket, packet: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
    match uninterrupted(|| socket.recv_from(packet)) {
        Ok((len, std::net::SocketAddr::V4(peer))) => Some((len, peer)),
        Ok((_, peer)) => panic!("an answer from {peer}"),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}
