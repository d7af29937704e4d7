//! FTP's replies: where a server listens is believed only as its reply to PASV or EPSV.

use engine::reason::Reason;
use engine::tables::{Ftp, Protocol};
use kit::connections::{FIRST, Line, backend, tables};
use kit::ftp::{active, numbers, passive_at};
use kit::gate::Gate;
use kit::segment::Segment;
use kit::world::{FLOWS, Via};
use std::net::{IpAddr, SocketAddr};

const PLAIN: Ftp = Ftp { data_port: None, foreign_data: false };
const NO_DATA: &str = "425 Can't open data connection.\r\n";
/// A database of the server's.
const OTHER: u16 = 3306;
const VIA: [Via; 3] = [Via::Nat, Via::Snat, Via::Snat64];

/// A control connection, on which lines may become others.
struct Talk {
    gate: Gate,
    client: Line,
    /// The same, as its server counts.
    server: Line,
}

impl Talk {
    #[track_caller]
    fn new(via: Via) -> Talk {
        Talk::of(Gate::with(tables(Protocol::Ftp(PLAIN), 21), FLOWS), via)
    }

    #[track_caller]
    fn of(mut gate: Gate, via: Via) -> Talk {
        let client = Line::open(&mut gate, via, via.client(), 21);
        let mut talk = Talk { gate, server: client.clone(), client };
        talk.server_says("220 Hello\r\n");
        talk
    }

    /// Answers what the server hears.
    #[track_caller]
    fn client_says(&mut self, text: &str) -> String {
        let heard = self.gate.take(self.client.from_client("AP", text)).sent_segment().text();
        self.client.goes_on(0, "", text);
        self.server.goes_on(0, "", &heard);
        self.acknowledge();
        heard
    }

    /// Answers what the client hears.
    #[track_caller]
    fn server_says(&mut self, text: &str) -> String {
        let heard = self.gate.take(self.server.from_server("AP", text)).sent_segment().text();
        self.server.goes_on(1, "", text);
        self.client.goes_on(1, "", &heard);
        self.acknowledge();
        heard
    }

    /// Each side has all that was said.
    fn acknowledge(&mut self) {
        let _ = self.gate.take(self.client.from_client("A", "")).sent_segment();
        let _ = self.gate.take(self.server.from_server("A", "")).sent_segment();
    }

    /// The server's endpoint with this port.
    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.server.server.ip(), port)
    }

    /// What a server says to PASV, or EPSV, that listens there.
    fn listens(&self, port: u16) -> String {
        let at = self.at(port);
        if at.is_ipv4() { passive_at(at) } else { format!("229 Extended (|||{port}|)\r\n") }
    }

    /// The client can't open a connection to this port of the VIP.
    #[track_caller]
    fn is_shut(&mut self, port: u16) {
        let vip = SocketAddr::new(self.client.vip.ip(), port);
        let client = SocketAddr::new(self.client.client.ip(), 6000);
        let line = Line { client, vip, server: vip, seen_as: client, next: FIRST, ..self.client };
        self.gate.take(line.from_client("S", "")).dropped(Reason::NoService);
        assert_eq!(self.gate.connections().len(), 1);
    }

    /// It can.
    #[track_caller]
    fn is_open(&mut self, port: u16) {
        let client = SocketAddr::new(self.client.client.ip(), 6000);
        let data = Line::open(&mut self.gate, self.client.via, client, port);
        assert_eq!(data.server, self.at(port));
    }

    fn pasv(&self) -> &'static str {
        if self.client.client.is_ipv4() { "PASV\r\n" } else { "EPSV\r\n" }
    }
}

/// What three servers repeat of a client's: each alone, and in front of a reply to PASV.
#[test]
fn a_reply_that_a_server_repeats_opens_nothing() {
    for via in VIA {
        for pipelined in [false, true] {
            for (server, command, before, after) in [
                ("ProFTPD", "CWD a\n{}\r\n", "550 a\n", ": No such file or directory\r\n"),
                ("pure-ftpd", "STAT\r\n", "213-STAT\r\n", "213 End.\r\n"),
                ("pure-ftpd", "STAT\r\n", "213-STAT\r\na\n", "213 End.\r\n"),
                ("pyftpdlib", "XYZ\n{}\r\n", "500 Command \"XYZ\n", "\" not understood.\r\n"),
            ] {
                let mut talk = Talk::new(via);
                let forged = talk.listens(OTHER);
                let command = command.replace("{}", forged.trim_end());
                let pasv = if pipelined { talk.pasv() } else { "" };
                talk.client_says(&format!("{command}{pasv}"));
                let inside = if after.starts_with(':') { forged.trim_end() } else { &forged[..] };
                let reply = format!("{before}{inside}{after}");
                assert_eq!(talk.server_says(&reply), reply, "{server}");
                talk.is_shut(OTHER);
            }
        }
    }
}

/// ProFTPD, when it gets a CR at the end of one read, and the LF at the beginning of the next one.
#[test]
fn not_even_in_a_line_of_its_own() {
    for via in VIA {
        let mut talk = Talk::new(via);
        let forged = talk.listens(OTHER);
        let pasv = talk.pasv();
        let heard = talk.client_says(&format!("CWD a\r\n{forged}{pasv}"));
        assert!(heard.starts_with("CWD a\r\nPORT 0,0,0,0,0,0\r\n"), "{heard}");
        let told = talk.server_says(&format!("550 a\r\n{forged}"));
        assert_eq!(told, format!("550 a\r\n{NO_DATA}"));
        talk.is_shut(OTHER);
        let real = talk.listens(40_001);
        talk.server_says(&real);
        talk.is_open(40_001);
    }
}

#[test]
fn a_reply_that_nobody_asked_for_opens_nothing() {
    for via in Via::SEEN {
        for command in ["NOOP\r\n", "ABOR\r\n", "\r\n", "AUTH TLS\r\n"] {
            let mut talk = Talk::new(via);
            talk.client_says(command);
            let forged = talk.listens(OTHER);
            assert_eq!(talk.server_says(&forged), NO_DATA, "{via:?}");
            talk.is_shut(OTHER);
        }
        // The other one's reply would be as good, and the second is none.
        let mut talk = Talk::new(via);
        let (pasv, real, forged) = (talk.pasv(), talk.listens(40_001), talk.listens(OTHER));
        talk.client_says(pasv);
        assert_eq!(
            talk.server_says(&format!("{real}{forged}")).lines().last(),
            NO_DATA.lines().last()
        );
        talk.is_open(40_001);
    }
}

#[test]
fn commands_without_waiting_for_replies() {
    for via in VIA {
        let mut talk = Talk::new(via);
        let pasv = talk.pasv();
        let own = active(SocketAddr::new(via.client().ip(), 5001));
        talk.client_says(&format!("NOOP\r\n{own}LIST\r\nABOR\r\n{pasv}RETR a\r\n"));
        let real = talk.listens(40_001);
        talk.server_says("200 ok\r\n200 ok\r\n150-He");
        talk.server_says("re\r\n227 (10,0,0,1,12,234)\r\n150 it is\r\n22");
        assert_eq!(talk.server_says(&format!("6 Done\r\n{real}")).lines().count(), 2);
        talk.is_open(40_001);
        assert_eq!(talk.server_says("150 Opening\r\n"), "150 Opening\r\n");
    }
}

/// What is sent again is no other command, and no other reply.
#[test]
fn what_is_repeated_counts_once() {
    for via in [Via::Nat, Via::Nat6] {
        let mut talk = Talk::new(via);
        let (pasv, real) = (talk.pasv(), talk.listens(40_001));
        for line in ["NOOP\r\n", pasv] {
            let said = talk.client.from_client("AP", line);
            (0..3).for_each(|_| drop(talk.gate.take(said.clone()).sent_segment()));
            talk.client.goes_on(0, "", line);
            talk.server.goes_on(0, "", line);
        }
        for line in ["200 ok\r\n", &real] {
            let said = talk.server.from_server("AP", line);
            (0..3).for_each(|_| drop(talk.gate.take(said.clone()).sent_segment()));
            talk.client.goes_on(1, "", line);
            talk.server.goes_on(1, "", line);
        }
        talk.is_open(40_001);
    }
}

/// A server that leaves a command without a reply: its client gets no data, until both have been silent.
#[test]
fn who_is_out_of_step_is_in_step_again_after_silence() {
    for via in VIA {
        let mut talk = Talk::new(via);
        let (pasv, real) = (talk.pasv(), talk.listens(40_001));
        talk.client_says("SITE SILENT\r\n");
        talk.client_says(pasv);
        assert_eq!(talk.server_says(&real), NO_DATA);
        talk.gate.wait(19);
        talk.client_says("NOOP\r\n");
        talk.server_says("200 ok\r\n");
        talk.gate.wait(20);
        talk.client_says(pasv);
        talk.server_says(&real);
        talk.is_open(40_001);
    }
}

/// The client keeps the server silent: there may be more of its reply.
#[test]
fn a_client_that_has_no_room_makes_no_silence() {
    for via in VIA {
        let mut talk = Talk::new(via);
        let forged = talk.listens(OTHER);
        talk.client_says("SITE LIST\r\nNOOP\r\n");
        talk.server_says("213 End\r\n");
        let _ = talk.gate.take(without_room(&talk.client.from_client("A", ""))).sent_segment();
        talk.gate.wait(100);
        let pasv = talk.pasv();
        talk.client_says(pasv);
        assert_eq!(talk.server_says(&forged), NO_DATA);
        talk.is_shut(OTHER);
    }
}

/// The segment's frame, whose sender has room for nothing.
fn without_room(segment: &Segment) -> Vec<u8> {
    let mut bytes = segment.bytes();
    let tcp = 14 + if segment.source.is_ipv4() { 20 } else { 40 };
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (sum, carry) = word(&bytes, tcp + 16).overflowing_add(word(&bytes, tcp + 14));
    bytes[tcp + 14..tcp + 16].fill(0);
    bytes[tcp + 16..tcp + 18].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    bytes
}

#[test]
fn an_address_of_somebody_elses_opens_nothing() {
    for via in [Via::Nat, Via::Snat] {
        let (alias, other) = (IpAddr::from([10, 1, 0, 77]), IpAddr::from([10, 1, 0, 78]));
        let mut world = tables(Protocol::Ftp(PLAIN), 21);
        for n in [0, 1] {
            world.backends[usize::from(backend(via, n))].aliases = vec![alias];
        }
        for (address, is_own) in
            [(alias, true), (IpAddr::from([0; 4]), true), (other, false), (via.vip().ip(), false)]
        {
            let mut talk = Talk::of(Gate::with(world.clone(), FLOWS), via);
            talk.client_says("PASV\r\n");
            let told = talk.server_says(&passive_at(SocketAddr::new(address, 40_001)));
            match is_own {
                true => {
                    assert_eq!(told, passive_at(SocketAddr::new(via.vip().ip(), 40_001)));
                    talk.is_open(40_001);
                }
                false => {
                    assert_eq!(told, NO_DATA, "{address}");
                    talk.is_shut(40_001);
                }
            }
        }
    }
}

/// To the ports of its range everybody comes anyway: its server may name the VIP there, as it must in TLS.
#[test]
fn a_server_with_passive_ports_may_name_any_address() {
    for via in [Via::Nat, Via::Snat] {
        let mut world = tables(Protocol::Ftp(PLAIN), 21);
        let vip = &mut world.vips[usize::from(via.service())];
        vip.passive = [0, 1].map(|n| (40_000 + n..=40_000 + n, backend(via, n.into()))).into();
        let mut talk = Talk::of(Gate::with(world, FLOWS), via);
        let port = 40_000 + u16::from(talk.server.server.ip() == via.server(1));
        talk.client_says("PASV\r\n");
        let named = passive_at(SocketAddr::new(via.vip().ip(), port));
        assert_eq!(talk.server_says(&named), named);
        talk.client_says("PASV\r\n");
        assert_eq!(talk.server_says(&passive_at(SocketAddr::new(via.vip().ip(), OTHER))), NO_DATA);
    }
}

/// Behind it nothing could be read.
#[test]
fn the_language_changes_for_auth_alone() {
    for via in VIA {
        let mut talk = Talk::new(via);
        talk.client_says("CWD a\r\n");
        talk.server_says("234 Go on\r\n");
        let foreign = active(SocketAddr::new(via.station(0, 66), 5001));
        let heard = talk.client_says(&foreign);
        assert!(heard.starts_with("PORT 0,") || heard.starts_with("EPRT |1|0."), "{heard}");
    }
}

/// CCC: a reply in the clear may answer a command that was in TLS, with a name that the client has made up.
#[test]
fn what_is_clear_again_behind_tls_opens_nothing() {
    for via in Via::SEEN {
        let mut talk = Talk::new(via);
        talk.client_says("AUTH TLS\r\n");
        talk.server_says("234 Go on\r\n");
        talk.client_says("\x17\x03\x03\0\x05abcde");
        talk.server_says("\x17\x03\x03\0\x05abcde\x15\x03\x03\0\x02\x01\0");
        let (pasv, forged) = (talk.pasv(), talk.listens(OTHER));
        assert_eq!(talk.client_says(pasv), pasv);
        assert_eq!(talk.server_says(&forged), forged, "{via:?}");
        talk.is_shut(OTHER);
    }
}

/// What a server could repeat, or list, as a reply.
#[test]
fn lines_that_could_come_back_as_replies_are_refused() {
    let via = Via::Nat;
    let forged = format!("227 ({})\r\n", numbers(SocketAddr::new(via.server(0), OTHER)));
    for (text, heard) in [
        ("STAT -1\r\n", "PORT 0,0,0,0,0,0\r\n"),
        (&forged, "PORT 0,0,0,0,0,0\r\n"),
        (&format!("MKD a\n{forged}"), "MKD a\nPORT 0,0,0,0,0,0\r\n"),
        (&format!("MKD a\r\0{forged}"), &format!("MKD a\r_{forged}")),
    ] {
        let mut talk = Talk::new(via);
        assert_eq!(talk.client_says(text), *heard);
        talk.server_says("500 What?\r\n");
        let refusals = &talk.gate.core.own.counters.refusals;
        let count = refusals[usize::from(kit::connections::service(via))].data.value();
        assert_eq!(count, u64::from(!heard.contains('_')), "{text}");
    }
}

/// Servers say the names of folders at the start of a line, of several whatever the options are: pure-ftpd does so, and
/// `ls` for BSD's ftpd. A folder `213 End` would end the reply.
#[test]
fn no_server_lists_files_as_a_reply() {
    for via in Via::SEEN {
        for list in ["STAT -C", "STAT *", "stat -l ???\\ *", "STAT -lR 2*", "STAT\t.", "STAT\0up"] {
            let mut talk = Talk::new(via);
            let heard = talk.client_says(&format!("{list}\r\n"));
            assert_eq!(heard, "PORT 0,0,0,0,0,0\r\n", "{via:?} {list}");
        }
        assert_eq!(Talk::new(via).client_says("STAT\r\n"), "STAT\r\n");
    }
}

/// Telnet's signals and ABOR, which has one reply or two.
#[test]
fn a_transfer_that_is_aborted() {
    for replies in ["426 Gone\r\n226 ok\r\n", "226 ok\r\n", "426 Gone\r\n225 ok\r\n"] {
        let mut talk = Talk::new(Via::Nat);
        let (first, second) = (talk.listens(40_001), talk.listens(40_002));
        talk.client_says("PASV\r\n");
        talk.server_says(&first);
        talk.client_says("RETR a\r\n");
        talk.server_says("150 Here\r\n");
        let signals = b"\xff\xf4\xff\xf2".to_vec();
        let said = Segment { payload: signals, ..talk.client.from_client("APU", "") };
        assert_eq!(talk.gate.take(said).sent_segment().flags, "APU");
        talk.client.goes_on(0, "", "....");
        talk.server.goes_on(0, "", "....");
        talk.client_says("ABOR\r\n");
        talk.server_says(replies);
        talk.client_says("PASV\r\n");
        talk.server_says(&second);
        talk.is_open(40_002);
    }
}
