//! Servers that report their name and the client address that they see, over TCP and UDP, and their clients.

use crate::peers::{address, address_v6};
use kit::lab::{DSR_VIP, Lab, Process, VIPS_V6, uninterrupted, until};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// The services' port.
pub const PORT: u16 = 7007;

/// Starts `echo_server.py` at all of a host's addresses.
pub fn server(lab: &Lab, name: &str, port: u16) -> Process {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/echo_server.py");
    let v6 = [address_v6(name), VIPS_V6[2]].join(" ");
    let all = format!("{} {DSR_VIP} {v6}", address(name));
    let server = lab.spawn(name, &format!("/usr/bin/python3 {script} {name} {port} {all}"));
    let last = format!("[{}]:{port} ", VIPS_V6[2]);
    until("the server listens", || lab.must(name, "ss -Hltn").contains(&last));
    server
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The server's name.
    pub server: String,
    /// The client address that the server sees.
    pub seen: SocketAddr,
}

impl Answer {
    fn new(words: &[u8], said: &str) -> Answer {
        let words = String::from_utf8(words.to_vec()).expect("text");
        let parts: Vec<_> = words.split(' ').collect();
        let [server, seen, port, heard] = parts[..] else { panic!("{words:?}") };
        assert_eq!(heard, said);
        let seen = SocketAddr::new(seen.parse().expect("an address"), port.parse().expect("one"));
        Answer { server: server.to_owned(), seen }
    }
}

/// A client that has been answered once.
pub struct Client<S> {
    socket: S,
    /// The client's own address.
    pub local: SocketAddr,
    /// The first answer.
    pub first: Answer,
}

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Client<TcpStream> {
    /// Opens a connection.
    pub fn tcp(lab: &Lab, server: SocketAddr) -> Client<TcpStream> {
        let made = lab.inside("client", move || {
            let mut socket = TcpStream::connect_timeout(&server, PATIENCE).expect("a connection");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let local = socket.local_addr().expect("an address");
            let first = exchange(&mut socket, "first").expect("an answer");
            Client { socket, local, first }
        });
        made.join().expect("a server answers")
    }

    /// Sends a further word.
    pub fn say(&mut self, word: &str) -> std::io::Result<Answer> {
        exchange(&mut self.socket, word)
    }

    /// Waits for the end of the connection, and returns how it ended.
    pub fn end(&mut self) -> std::io::Result<usize> {
        uninterrupted(|| self.socket.read(&mut [0; 100]))
    }
}

fn exchange(socket: &mut TcpStream, word: &str) -> std::io::Result<Answer> {
    socket.write_all(word.as_bytes())?;
    let mut words = [0; 100];
    let len = uninterrupted(|| socket.read(&mut words))?;
    assert!(len > 0, "closed instead of an answer");
    Ok(Answer::new(&words[..len], word))
}

impl Client<UdpSocket> {
    /// Sends a first datagram.
    pub fn udp(lab: &Lab, server: SocketAddr) -> Client<UdpSocket> {
        let made = lab.inside("client", move || {
            let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            let socket = UdpSocket::bind((any, 0)).expect("a socket");
            // Accepts only the server's answers.
            socket.connect(server).expect("a way");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let local = socket.local_addr().expect("an address");
            let first = ask(&socket, "first");
            Client { socket, local, first }
        });
        made.join().expect("a server answers")
    }

    /// Sends a further datagram.
    pub fn say(&self, word: &str) -> Answer {
        ask(&self.socket, word)
    }

    /// Sends a further datagram, repeatedly until answered.
    pub fn say_until_heard(&self, word: &str) -> Answer {
        let mut words = vec![0; 1 << 16];
        let wait = |time| self.socket.set_read_timeout(Some(time)).expect("a timeout");
        wait(Duration::from_secs(1));
        let mut tries = (0..20).map(|_| {
            self.socket.send(word.as_bytes()).expect("a way");
            self.socket.recv(&mut words)
        });
        let len = tries.find_map(Result::ok).expect("an answer");
        drop(tries);
        wait(PATIENCE);
        Answer::new(&words[..len], word)
    }
}

fn ask(socket: &UdpSocket, word: &str) -> Answer {
    let mut words = vec![0; 1 << 16];
    socket.send(word.as_bytes()).expect("a way");
    let len = uninterrupted(|| socket.recv(&mut words)).expect("an answer");
    Answer::new(&words[..len], word)
}
