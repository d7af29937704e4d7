//! FTP replies: an endpoint is believed only in the reply to PASV or EPSV.

use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, FIRST, backend, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, numbers, passive_at};
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::{IpAddr, SocketAddr};

const PLAIN: Ftp = Ftp { data_port: None, foreign_data: false };
const NO_DATA: &str = "425 Can't open data connection.\r\n";
/// A database port of the server.
const OTHER: u16 = 3306;
const VIA: [Via; 3] = [Via::Nat, Via::Snat, Via::Snat64];

/// A control connection with rewritten lines.
struct ControlConnection {
    gate: EngineHarness,
    client: Connection,
    /// The connection in the server's numbers.
    server: Connection,
}

impl ControlConnection {
    #[track_caller]
    fn new(via: Via) -> ControlConnection {
        ControlConnection::of(EngineHarness::with(snapshot(Protocol::Ftp(PLAIN), 21), FLOWS), via)
    }

    #[track_caller]
    fn of(mut gate: EngineHarness, via: Via) -> ControlConnection {
        let client = Connection::open(&mut gate, via, via.client(), 21);
        let mut control = ControlConnection { gate, server: client.clone(), client };
        control.server_says("220 Hello\r\n");
        control
    }

    /// Sends a client's text; returns the bytes that the server receives.
    #[track_caller]
    fn client_says(&mut self, text: &str) -> String {
        let heard = self.gate.take(self.client.from_client("AP", text)).sent_segment().text();
        self.client.goes_on(0, "", text);
        self.server.goes_on(0, "", &heard);
        self.acknowledge();
        heard
    }

    /// Sends a server's text; returns the bytes that the client receives.
    #[track_caller]
    fn server_says(&mut self, text: &str) -> String {
        let heard = self.gate.take(self.server.from_server("AP", text)).sent_segment().text();
        self.server.goes_on(1, "", text);
        self.client.goes_on(1, "", &heard);
        self.acknowledge();
        heard
    }

    /// Both sides acknowledge everything.
    fn acknowledge(&mut self) {
        let _ = self.gate.take(self.client.from_client("A", "")).sent_segment();
        let _ = self.gate.take(self.server.from_server("A", "")).sent_segment();
    }

    /// The server's endpoint with this port.
    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.server.server.ip(), port)
    }

    /// The server's reply to PASV or EPSV with this port.
    fn listens(&self, port: u16) -> String {
        let at = self.at(port);
        if at.is_ipv4() { passive_at(at) } else { format!("229 Extended (|||{port}|)\r\n") }
    }

    /// The client cannot connect to this port of the VIP.
    #[track_caller]
    fn is_shut(&mut self, port: u16) {
        let vip = SocketAddr::new(self.client.vip.ip(), port);
        let client = SocketAddr::new(self.client.client.ip(), 6000);
        let line =
            Connection { client, vip, server: vip, seen_as: client, next: FIRST, ..self.client };
        self.gate.take(line.from_client("S", "")).dropped(DropReason::NoService);
        assert_eq!(self.gate.connections().len(), 1);
    }

    /// The client can connect to this port of the VIP.
    #[track_caller]
    fn is_open(&mut self, port: u16) {
        let client = SocketAddr::new(self.client.client.ip(), 6000);
        let data = Connection::open(&mut self.gate, self.client.via, client, port);
        assert_eq!(data.server, self.at(port));
    }

    fn pasv(&self) -> &'static str {
        if self.client.client.is_ipv4() { "PASV\r\n" } else { "EPSV\r\n" }
    }
}

/// Echoes of client text by three servers: alone, and before a reply to PASV.
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
                let mut control = ControlConnection::new(via);
                let forged = control.listens(OTHER);
                let command = command.replace("{}", forged.trim_end());
                let pasv = if pipelined { control.pasv() } else { "" };
                control.client_says(&format!("{command}{pasv}"));
                let inside = if after.starts_with(':') { forged.trim_end() } else { &forged[..] };
                let reply = format!("{before}{inside}{after}");
                assert_eq!(control.server_says(&reply), reply, "{server}");
                control.is_shut(OTHER);
            }
        }
    }
}

/// ProFTPD, when one read ends with CR and the next one begins with LF.
#[test]
fn not_even_in_a_line_of_its_own() {
    for via in VIA {
        let mut control = ControlConnection::new(via);
        let forged = control.listens(OTHER);
        let pasv = control.pasv();
        let heard = control.client_says(&format!("CWD a\r\n{forged}{pasv}"));
        assert!(heard.starts_with("CWD a\r\nPORT 0,0,0,0,0,0\r\n"), "{heard}");
        let told = control.server_says(&format!("550 a\r\n{forged}"));
        assert_eq!(told, format!("550 a\r\n{NO_DATA}"));
        control.is_shut(OTHER);
        let real = control.listens(40_001);
        control.server_says(&real);
        control.is_open(40_001);
    }
}

#[test]
fn a_reply_that_nobody_asked_for_opens_nothing() {
    for via in Via::SEEN {
        for command in ["NOOP\r\n", "ABOR\r\n", "\r\n", "AUTH TLS\r\n"] {
            let mut control = ControlConnection::new(via);
            control.client_says(command);
            let forged = control.listens(OTHER);
            assert_eq!(control.server_says(&forged), NO_DATA, "{via:?}");
            control.is_shut(OTHER);
        }
        // The other command's reply would be as good, and the second one is none.
        let mut control = ControlConnection::new(via);
        let (pasv, real, forged) =
            (control.pasv(), control.listens(40_001), control.listens(OTHER));
        control.client_says(pasv);
        assert_eq!(
            control.server_says(&format!("{real}{forged}")).lines().last(),
            NO_DATA.lines().last()
        );
        control.is_open(40_001);
    }
}

#[test]
fn commands_without_waiting_for_replies() {
    for via in VIA {
        let mut control = ControlConnection::new(via);
        let pasv = control.pasv();
        let ours = active(SocketAddr::new(via.client().ip(), 5001));
        control.client_says(&format!("NOOP\r\n{ours}LIST\r\nABOR\r\n{pasv}RETR a\r\n"));
        let real = control.listens(40_001);
        control.server_says("200 ok\r\n200 ok\r\n150-He");
        control.server_says("re\r\n227 (10,0,0,1,12,234)\r\n150 it is\r\n22");
        assert_eq!(control.server_says(&format!("6 Done\r\n{real}")).lines().count(), 2);
        control.is_open(40_001);
        assert_eq!(control.server_says("150 Opening\r\n"), "150 Opening\r\n");
    }
}

/// Retransmitted text is neither another command nor another reply.
#[test]
fn what_is_repeated_counts_once() {
    for via in [Via::Nat, Via::Nat6] {
        let mut control = ControlConnection::new(via);
        let (pasv, real) = (control.pasv(), control.listens(40_001));
        for line in ["NOOP\r\n", pasv] {
            let said = control.client.from_client("AP", line);
            (0..3).for_each(|_| drop(control.gate.take(said.clone()).sent_segment()));
            control.client.goes_on(0, "", line);
            control.server.goes_on(0, "", line);
        }
        for line in ["200 ok\r\n", &real] {
            let said = control.server.from_server("AP", line);
            (0..3).for_each(|_| drop(control.gate.take(said.clone()).sent_segment()));
            control.client.goes_on(1, "", line);
            control.server.goes_on(1, "", line);
        }
        control.is_open(40_001);
    }
}

/// A server leaves a command without reply: the client gets no data connection until both were silent.
#[test]
fn who_is_out_of_step_is_in_step_again_after_silence() {
    for via in VIA {
        let mut control = ControlConnection::new(via);
        let (pasv, real) = (control.pasv(), control.listens(40_001));
        control.client_says("SITE SILENT\r\n");
        control.client_says(pasv);
        assert_eq!(control.server_says(&real), NO_DATA);
        control.gate.wait(19);
        control.client_says("NOOP\r\n");
        control.server_says("200 ok\r\n");
        control.gate.wait(20);
        control.client_says(pasv);
        control.server_says(&real);
        control.is_open(40_001);
    }
}

/// The client's closed window keeps the server silent: its reply may be incomplete.
#[test]
fn a_client_that_has_no_room_makes_no_silence() {
    for via in VIA {
        let mut control = ControlConnection::new(via);
        let forged = control.listens(OTHER);
        control.client_says("SITE LIST\r\nNOOP\r\n");
        control.server_says("213 End\r\n");
        let _ =
            control.gate.take(without_room(&control.client.from_client("A", ""))).sent_segment();
        control.gate.wait(100);
        let pasv = control.pasv();
        control.client_says(pasv);
        assert_eq!(control.server_says(&forged), NO_DATA);
        control.is_shut(OTHER);
    }
}

/// The segment's frame with a window of zero.
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
        let mut world = snapshot(Protocol::Ftp(PLAIN), 21);
        for n in [0, 1] {
            world[backend(via, n)].aliases = vec![alias];
        }
        for (address, is_of_server) in
            [(alias, true), (IpAddr::from([0; 4]), true), (other, false), (via.vip().ip(), false)]
        {
            let mut control = ControlConnection::of(EngineHarness::with(world.clone(), FLOWS), via);
            control.client_says("PASV\r\n");
            let told = control.server_says(&passive_at(SocketAddr::new(address, 40_001)));
            match is_of_server {
                true => {
                    assert_eq!(told, passive_at(SocketAddr::new(via.vip().ip(), 40_001)));
                    control.is_open(40_001);
                }
                false => {
                    assert_eq!(told, NO_DATA, "{address}");
                    control.is_shut(40_001);
                }
            }
        }
    }
}

/// Passive ports are open to every client: the server may name the VIP, as it must in TLS.
#[test]
fn a_server_with_passive_ports_may_name_any_address() {
    for via in [Via::Nat, Via::Snat] {
        let mut world = snapshot(Protocol::Ftp(PLAIN), 21);
        let vip = &mut world[via.vip_id()];
        vip.passive = [0, 1].map(|n| (40_000 + n..=40_000 + n, backend(via, n.into()))).into();
        let mut control = ControlConnection::of(EngineHarness::with(world, FLOWS), via);
        let port = 40_000 + u16::from(control.server.server.ip() == via.server(1));
        control.client_says("PASV\r\n");
        let named = passive_at(SocketAddr::new(via.vip().ip(), port));
        assert_eq!(control.server_says(&named), named);
        control.client_says("PASV\r\n");
        assert_eq!(
            control.server_says(&passive_at(SocketAddr::new(via.vip().ip(), OTHER))),
            NO_DATA
        );
    }
}

/// Nothing behind it could be read.
#[test]
fn the_language_changes_for_auth_alone() {
    for via in VIA {
        let mut control = ControlConnection::new(via);
        control.client_says("CWD a\r\n");
        control.server_says("234 Go on\r\n");
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
        let heard = control.client_says(&foreign);
        assert!(heard.starts_with("PORT 0,") || heard.starts_with("EPRT |1|0."), "{heard}");
    }
}

/// CCC: a reply in the clear may answer a command sent within TLS, with a name that the client chose.
#[test]
fn what_is_clear_again_behind_tls_opens_nothing() {
    for via in Via::SEEN {
        let mut control = ControlConnection::new(via);
        control.client_says("AUTH TLS\r\n");
        control.server_says("234 Go on\r\n");
        control.client_says("\x17\x03\x03\0\x05abcde");
        control.server_says("\x17\x03\x03\0\x05abcde\x15\x03\x03\0\x02\x01\0");
        let (pasv, forged) = (control.pasv(), control.listens(OTHER));
        assert_eq!(control.client_says(pasv), pasv);
        assert_eq!(control.server_says(&forged), forged, "{via:?}");
        control.is_shut(OTHER);
    }
}

/// Text that a server could echo or list as a reply.
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
        let mut control = ControlConnection::new(via);
        assert_eq!(control.client_says(text), *heard);
        control.server_says("500 What?\r\n");
        let refusals = &control.gate.engine.state.counters.refusals;
        let count = refusals[usize::from(kit::connections::service(via))].data.value();
        assert_eq!(count, u64::from(!heard.contains('_')), "{text}");
    }
}

/// Servers list folder names at the start of a line, several whatever the options: pure-ftpd does, and `ls` for BSD's
/// ftpd. A folder `213 EndReason` would end the reply.
#[test]
fn no_server_lists_files_as_a_reply() {
    for via in Via::SEEN {
        for list in ["STAT -C", "STAT *", "stat -l ???\\ *", "STAT -lR 2*", "STAT\t.", "STAT\0up"] {
            let mut control = ControlConnection::new(via);
            let heard = control.client_says(&format!("{list}\r\n"));
            assert_eq!(heard, "PORT 0,0,0,0,0,0\r\n", "{via:?} {list}");
        }
        assert_eq!(ControlConnection::new(via).client_says("STAT\r\n"), "STAT\r\n");
    }
}

/// Telnet's signals and ABOR, which has one reply or two.
#[test]
fn a_transfer_that_is_aborted() {
    for replies in ["426 Gone\r\n226 ok\r\n", "226 ok\r\n", "426 Gone\r\n225 ok\r\n"] {
        let mut control = ControlConnection::new(Via::Nat);
        let (first, second) = (control.listens(40_001), control.listens(40_002));
        control.client_says("PASV\r\n");
        control.server_says(&first);
        control.client_says("RETR a\r\n");
        control.server_says("150 Here\r\n");
        let signals = b"\xff\xf4\xff\xf2".to_vec();
        let said = Segment { payload: signals, ..control.client.from_client("APU", "") };
        assert_eq!(control.gate.take(said).sent_segment().flags, "APU");
        control.client.goes_on(0, "", "....");
        control.server.goes_on(0, "", "....");
        control.client_says("ABOR\r\n");
        control.server_says(replies);
        control.client_says("PASV\r\n");
        control.server_says(&second);
        control.is_open(40_002);
    }
}
