//! Simulated clients and forking servers that transfer files, each at its own pace. A test carries their packets to a
//! gate and back.

use crate::packet::Packet;
use crate::packets::{datagram, rrq, wrq};
use crate::topology::{TFTP, Via, mac};
use std::net::{IpAddr, SocketAddr};

/// Ticks until a retransmission.
const PATIENCE: u32 = 15;
/// Most retransmissions.
const TRIES: u32 = 60;
const BLOCK: usize = 512;

/// Clients and servers.
#[derive(Default)]
pub struct Farm {
    clients: Vec<Client>,
    processes: Vec<Process>,
    said: Vec<Packet>,
    dead: Vec<IpAddr>,
    now: u32,
    /// Messages that a client got from another endpoint than its server's at the VIP.
    pub foreign: usize,
    /// ERRORs that clients got.
    pub errors: usize,
    /// Server processes ended by an ERROR.
    pub told_off: usize,
}

/// One side of a transfer, sending or receiving.
#[derive(Debug, Clone)]
struct End {
    me: SocketAddr,
    peer: SocketAddr,
    sends: bool,
    file: Vec<u8>,
    block: usize,
    last: Vec<u8>,
    since: u32,
    tries: u32,
    done: bool,
}

struct Client {
    vip: SocketAddr,
    end: End,
    expected: Vec<u8>,
}

struct Process {
    host: IpAddr,
    end: End,
}

impl Farm {
    /// Starts a download of `size` bytes.
    pub fn get(&mut self, client: SocketAddr, vip: SocketAddr, size: usize) {
        self.ask(rrq(client, vip, &size.to_string()), file(size), false);
    }

    /// Starts an upload of `size` bytes.
    pub fn put(&mut self, client: SocketAddr, vip: SocketAddr, size: usize) {
        self.ask(wrq(client, vip, &size.to_string()), file(size), true);
    }

    /// Kills a server with all its processes.
    pub fn kill(&mut self, host: IpAddr) {
        self.processes.retain(|process| process.host != host);
        self.dead.push(host);
    }

    /// Number of clients with complete files.
    pub fn done(&self) -> usize {
        self.clients.iter().filter(|client| client.end.done).count()
    }

    fn ask(&mut self, request: Packet, expected: Vec<u8>, sends: bool) {
        let file = if sends { expected.clone() } else { vec![] };
        let end = End {
            me: request.source,
            peer: request.destination,
            sends,
            file,
            block: 0,
            last: request.payload.clone(),
            since: self.now,
            tries: 0,
            done: false,
        };
        self.clients.push(Client { vip: request.destination, end, expected });
        self.said.push(request);
    }

    /// Whether all files have arrived unchanged.
    ///
    /// # Panics
    ///
    /// A file differs.
    pub fn is_done(&self) -> bool {
        for client in self.clients.iter().filter(|client| client.end.done) {
            assert!(client.end.file == client.expected, "{:?}", client.end.me);
        }
        for process in self.processes.iter().filter(|process| process.end.done) {
            let size = process.end.file.len();
            assert!(process.end.file == file(size), "{:?}", process.end.me);
        }
        self.clients.iter().all(|client| client.end.done)
    }

    /// Advances by a tick; returns the packets sent.
    pub fn says(&mut self) -> Vec<Packet> {
        self.now += 1;
        let now = self.now;
        for client in &mut self.clients {
            self.said.extend(client.end.repeats(now));
        }
        for process in &mut self.processes {
            self.said.extend(process.end.repeats(now).map(|packet| process.sends(packet)));
        }
        std::mem::take(&mut self.said)
    }

    /// Delivers a frame to the host that it is addressed to.
    ///
    /// # Panics
    ///
    /// There is no such host, or the frame is no valid datagram.
    pub fn hears(&mut self, frame: &[u8]) {
        let packet = Packet::read(frame);
        let servers = Via::ALL.iter().flat_map(|via| [0, 1].map(|n| via.server(n)));
        match servers.into_iter().find(|&server| mac(server) == packet.to) {
            Some(host) if self.dead.contains(&host) => {}
            Some(host) => self.server_hears(host, &packet),
            None => self.client_hears(&packet),
        }
    }

    fn server_hears(&mut self, host: IpAddr, packet: &Packet) {
        let now = self.now;
        let is_request = matches!(packet.payload[..2], [0, 1 | 2]);
        if is_request {
            assert_eq!(packet.destination.port(), TFTP);
            let tid = 40_000 + self.processes.len() as u16;
            let mut process = Process::answering(packet, host, tid, now);
            let first = process.end.first();
            self.said.push(process.sends(first));
            self.processes.push(process);
            return;
        }
        let is_it = |process: &&mut Process| {
            let end = &process.end;
            process.host == host && (end.me, end.peer) == (packet.destination, packet.source)
        };
        let Some(process) = self.processes.iter_mut().find(is_it) else { return };
        if packet.payload[1] == 5 {
            self.told_off += usize::from(process.end.tries < TRIES);
            process.end.tries = TRIES;
            return;
        }
        let answer = process.end.hears(&packet.payload, now);
        self.said.extend(answer.map(|packet| process.sends(packet)));
    }

    fn client_hears(&mut self, packet: &Packet) {
        let is_it = |client: &&mut Client| client.end.me == packet.destination;
        let client = self.clients.iter_mut().find(is_it).expect("a client");
        assert_eq!(packet.to, mac(client.end.me.ip()));
        let unknown = client.end.peer == client.vip;
        if unknown && packet.source.ip() == client.vip.ip() {
            client.end.peer = packet.source;
        }
        if packet.source != client.end.peer {
            self.foreign += 1;
        } else if packet.payload[1] == 5 {
            self.errors += 1;
        } else {
            self.said.extend(client.end.hears(&packet.payload, self.now));
        }
    }

    /// Delivers packets that bypass the gate, and returns the others: in `dsr`, servers' answers bypass it.
    ///
    /// # Panics
    ///
    /// As [`Self::hears`].
    pub fn bypass(&mut self, said: Vec<Packet>) -> Vec<Packet> {
        let dsr = |packet: &Packet| {
            [Via::Dsr, Via::Dsr6].iter().any(|via| packet.source.ip() == via.vip().ip())
        };
        let (past, rest): (Vec<_>, Vec<_>) = said.into_iter().partition(dsr);
        for packet in past {
            let to = mac(packet.destination.ip());
            self.hears(&Packet { to, ..packet }.bytes());
        }
        rest
    }
}

impl Process {
    fn answering(request: &Packet, host: IpAddr, tid: u16, now: u32) -> Process {
        let name = request.payload[2..].split(|&byte| byte == 0).next().expect("a name");
        let size = str::from_utf8(name).expect("a number").parse().expect("a number");
        let sends = request.payload[1] == 1;
        let end = End {
            me: SocketAddr::new(request.destination.ip(), tid),
            peer: request.source,
            sends,
            file: if sends { file(size) } else { vec![] },
            block: 0,
            last: vec![],
            since: now,
            tries: 0,
            done: false,
        };
        Process { host, end }
    }

    /// The packet as this host sends it: its source may be the VIP.
    fn sends(&self, packet: Packet) -> Packet {
        let like = datagram(SocketAddr::new(self.host, 1), packet.destination, &[]);
        Packet { from: like.from, to: like.to, ..packet }
    }
}

impl End {
    /// A server's first answer.
    fn first(&mut self) -> Packet {
        if self.sends {
            self.block = 1;
            self.send_block()
        } else {
            self.send(&[0, 4, 0, 0])
        }
    }

    fn hears(&mut self, payload: &[u8], now: u32) -> Option<Packet> {
        let block = u16::from_be_bytes([payload[2], payload[3]]);
        let current = block == self.block as u16;
        match payload[1] {
            4 if self.sends && current && !self.done => {
                self.since = now;
                if self.block > 0 && self.block * BLOCK > self.file.len() {
                    self.done = true;
                    return None;
                }
                self.block += 1;
                Some(self.send_block())
            }
            3 if !self.sends && block == (self.block + 1) as u16 && !self.done => {
                self.since = now;
                self.block += 1;
                self.file.extend(&payload[4..]);
                self.done = payload.len() - 4 < BLOCK;
                Some(self.send(&[0, 4, payload[2], payload[3]]))
            }
            // The sender has missed the ACK.
            3 if !self.sends && current => Some(self.send(&[0, 4, payload[2], payload[3]])),
            _ => None,
        }
    }

    fn repeats(&mut self, now: u32) -> Option<Packet> {
        if self.done || self.tries >= TRIES || now - self.since < PATIENCE {
            return None;
        }
        self.since = now;
        self.tries += 1;
        Some(datagram(self.me, self.peer, &self.last))
    }

    fn send_block(&mut self) -> Packet {
        let [high, low] = (self.block as u16).to_be_bytes();
        let start = ((self.block - 1) * BLOCK).min(self.file.len());
        let data = &self.file[start..(start + BLOCK).min(self.file.len())];
        self.send(&[&[0, 3, high, low], data].concat())
    }

    fn send(&mut self, payload: &[u8]) -> Packet {
        self.last = payload.to_vec();
        datagram(self.me, self.peer, payload)
    }
}

/// The bytes of a file of this size; no two blocks are equal.
fn file(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ (at / BLOCK) as u8).collect()
}
