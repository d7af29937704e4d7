//! Connections of every kind, from the first packet to the last.

use crate::lending::Lending;
use crate::{pass, turn};
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::{BackendState, Ftp, Protocol, Snapshot};
use kit::connections::{Connection, add, add_rules, backend};
use kit::ftp::{active, endpoint_in, passive_at};
use kit::packet::Packet;
use kit::packets::datagram;
use kit::segment::Segment;
use kit::topology::{self, Via};
use kit::worker_set::WorkerSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use worker::command_channel::Command;

const SSH: u16 = 22;
const FTP: u16 = 21;
const DNS: u16 = 53;
/// The port that servers open connections from by themselves.
const EGRESS: u16 = 7000;

/// The small world with services of every protocol that has connections, and with rules for those that servers open.
pub fn world() -> Snapshot {
    let mut snapshot = topology::snapshot();
    let transfers = snapshot.backends.len();
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for (protocol, port) in [(Protocol::Tcp, SSH), (ftp, FTP), (Protocol::Udp, DNS)] {
        add(&mut snapshot, protocol, port, [1, 1]);
    }
    for backend in &mut snapshot.backends[transfers..] {
        backend.cap = Some(TransferLimit::new(u32::MAX, Places::default()));
    }
    add_rules(&mut snapshot, Some(EGRESS));
    snapshot
}

/// A host that servers talk to by themselves.
fn peer(via: Via) -> SocketAddr {
    SocketAddr::new(via.host(0, 9), 7777)
}

/// A round of connections in every mode, arriving at both workers.
pub fn connections(set: &mut WorkerSet<Lending>, snapshot: &Snapshot, round: u8) {
    set.left();
    for (n, via) in (0..4).flat_map(|n| Via::ALL.map(|via| (n, via))) {
        let mut at = At { set, queue: usize::from(n % 2) };
        let client = SocketAddr::new(via.address([172, 99, round, n]), 2070);
        at.shell(via, client, n);
        at.questions(via, client);
        at.files(via, SocketAddr::new(client.ip(), 2090));
        if n == 0 {
            at.long_lines(via, client.ip());
        }
    }
    for via in [Via::Nat, Via::Nat6] {
        At { set, queue: 0 }.servers_own(via);
    }
    flood(set);
    death(set, snapshot);
}

/// The queue where frames arrive, and where they leave.
struct At<'a> {
    set: &'a mut WorkerSet<Lending>,
    queue: usize,
}

impl At<'_> {
    /// The frame that leaves, if one does.
    fn try_take(&mut self, frame: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
        self.set.arrive(self.queue, frame);
        // It may be handed over.
        turn(self.set);
        turn(self.set);
        self.set.left().pop()
    }

    #[track_caller]
    fn take(&mut self, segment: Segment) -> Segment {
        Segment::read(&self.try_take(segment).expect("a frame"))
    }

    #[track_caller]
    fn says(&mut self, line: &mut Connection, side: usize, flags: &str, text: &str) -> Segment {
        let heard = self.take(match side {
            0 => line.from_client(flags, text),
            _ => line.from_server(flags, text),
        });
        line.goes_on(side, flags, text);
        heard
    }

    #[track_caller]
    fn open(&mut self, via: Via, client: SocketAddr, port: u16) -> Connection {
        let mut line = Connection::new(via, client, port);
        let syn = self.says(&mut line, 0, "S", "");
        line.seen(syn);
        if !via.is_dsr() {
            self.says(&mut line, 1, "SA", "");
        }
        self.says(&mut line, 0, "A", "");
        line
    }

    /// A connection that is used, and then closed, broken off by one side, or left alone.
    fn shell(&mut self, via: Via, client: SocketAddr, way: u8) {
        let mut line = self.open(via, client, SSH);
        self.says(&mut line, 0, "AP", "hello");
        let mut stranger = line.from_client("R", "");
        stranger.sequence = stranger.sequence.wrapping_add(1 << 30);
        assert_eq!(self.try_take(stranger), None);
        if via.is_dsr() {
            self.says(&mut line, 0, "AF", "");
            return;
        }
        self.says(&mut line, 1, "AP", "hello yourself");
        self.says(&mut line, 0, "A", "");
        match way {
            0 => {
                self.says(&mut line, 0, "AF", "");
                self.says(&mut line, 1, "AF", "");
                self.says(&mut line, 0, "A", "");
            }
            1 => drop(self.says(&mut line, 0, "R", "")),
            2 => drop(self.says(&mut line, 1, "AR", "")),
            _ => {}
        }
        let nobody = Connection { client: SocketAddr::new(client.ip(), 9999), ..line };
        self.take(nobody.from_client("A", "who is there?"));
        assert_eq!(self.try_take(nobody.from_client("R", "")), None);
    }

    /// A datagram, and its answer.
    fn questions(&mut self, via: Via, client: SocketAddr) {
        let vip = SocketAddr::new(via.vip().ip(), DNS);
        let asked = self.try_take(datagram(client, vip, b"question")).expect("a frame");
        if !via.is_dsr() {
            let asked = Packet::read(&asked);
            let answer = datagram(asked.destination, asked.source, b"answer");
            self.try_take(answer).expect("a frame");
        }
    }

    /// Passive and active data connections; the active one's PORT command arrives in pieces.
    fn files(&mut self, via: Via, client: SocketAddr) {
        let mut control = self.open(via, client, FTP);
        if via.is_dsr() {
            self.says(&mut control, 0, "AF", "");
            return;
        }
        let asked =
            self.says(&mut control, 0, "AP", if via.is_v6() { "EPSV\r\n" } else { "PASV\r\n" });
        let answer = match asked.text().as_str() {
            "PASV\r\n" => passive_at(SocketAddr::new(control.server.ip(), 40_001)),
            _ => "229 Extended Passive Mode Entered (|||40001|)\r\n".to_owned(),
        };
        self.take(control.from_server("AP", &answer));
        let data = self.open(via, SocketAddr::new(client.ip(), 2091), 40_001);
        self.take(data.from_server("R", ""));

        let mut control = self.open(via, SocketAddr::new(client.ip(), 2092), FTP);
        let listens = SocketAddr::new(client.ip(), 5001);
        let words = active(listens);
        let (first, rest) = words.split_at(9);
        let told = self.says(&mut control, 0, "AP", first);
        assert_eq!((told.source, told.destination), (control.vip, control.client));
        let whole = self.says(&mut control, 0, "AP", rest);
        let server = SocketAddr::new(control.server.ip(), 4444);
        let data = Connection {
            client: listens,
            server,
            seen_as: endpoint_in(&whole.text()),
            ..Connection::new(via, listens, 20)
        };
        assert_eq!(self.take(data.from_server("S", "")).destination, listens);
        // Sent again, in the new words.
        self.set.now = self.set.now.after(1);
        control.next[0] = control.next[0].wrapping_sub(rest.len() as u32);
        assert_eq!(self.take(control.from_client("AP", rest)).text(), whole.text());
    }

    /// Lines that are held in lent memory: replaced, passed on as they were, or given up.
    fn long_lines(&mut self, via: Via, client: IpAddr) {
        if via.is_dsr() {
            return;
        }
        let words = [("PORT", "1\r\n"), ("AUTH", "TLS\r\n"), ("PORT", "")];
        for (n, (verb, rest)) in (0..).zip(words) {
            let held = format!("{verb}{}", " ".repeat(1000));
            let mut control = self.open(via, SocketAddr::new(client, 2100 + n), FTP);
            let told = self.says(&mut control, 0, "AP", &held);
            assert_eq!((told.source, told.destination), (control.vip, control.client));
            if !rest.is_empty() {
                let heard = self.says(&mut control, 0, "AP", rest);
                assert_eq!(heard.payload.len() > 1000, n == 1, "{via:?}");
            }
            self.says(&mut control, 0, "R", "");
        }
    }

    /// A connection that a server opens by itself.
    fn servers_own(&mut self, via: Via) {
        let peer = peer(via);
        let server = SocketAddr::new(via.server(0), EGRESS);
        let mut line = Connection { server, seen_as: peer, ..Connection::new(via, peer, EGRESS) };
        let heard = self.says(&mut line, 1, "S", "");
        assert_eq!(heard.source.ip(), via.vip().ip());
        line.vip = heard.source;
        self.says(&mut line, 0, "SA", "");
        self.says(&mut line, 1, "A", "");
        self.says(&mut line, 1, "AF", "");
        self.says(&mut line, 0, "AF", "");
    }
}

/// A flood with more SYNs than the table has rows.
fn flood(set: &mut WorkerSet<Lending>) {
    for via in Via::ALL {
        for n in 0..400u16 {
            let [high, low] = n.to_be_bytes();
            let client = SocketAddr::new(via.address([172, 98, high, low]), 2070);
            set.arrive(usize::from(n % 2), Connection::new(via, client, SSH).from_client("S", ""));
        }
        pass(set, 20);
        set.left();
    }
}

/// The servers of a service die, and come back.
fn death(set: &mut WorkerSet<Lending>, snapshot: &Snapshot) {
    let mut without = snapshot.clone();
    for via in Via::SEEN {
        for n in [0, 1] {
            without[backend(via, n)].state = BackendState::Down;
        }
    }
    for snapshot in [&without, snapshot] {
        for channel in &set.channels {
            channel.commands.push(Command::Snapshot(Arc::new(snapshot.clone()))).expect("room");
        }
        pass(set, 20);
        set.left();
        while set.channels.iter().any(|channel| channel.replies.pop().is_some()) {}
    }
}
