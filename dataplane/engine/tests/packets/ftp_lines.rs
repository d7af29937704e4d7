//! Odd FTP lines: long ones are read up to 4 KiB in any segments, and forwarded unchanged beyond; bytes that some
//! servers drop hide no command.

use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, endpoint_in, passive_at};
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

const PLAIN: Ftp = Ftp { data_port: None, foreign_data: false };

fn gate(flows: u32) -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Ftp(PLAIN), 21), flows)
}

/// One side of a control connection sends the text and retransmits unacknowledged data; the other side acknowledges.
/// Returns the received bytes.
#[track_caller]
fn arrives(
    gate: &mut EngineHarness,
    control: &Connection,
    by_client: bool,
    text: &str,
    len: usize,
) -> String {
    let from = usize::from(!by_client);
    let first = control.next[from];
    let mut arrived: Vec<u8> = vec![];
    let mut known = 0;
    for _ in 0..=text.len() {
        if known == text.len() {
            return String::from_utf8(arrived).unwrap();
        }
        let part = &text[known..(known + len).min(text.len())];
        let said = match by_client {
            true => control.from_client("AP", part),
            false => control.from_server("AP", part),
        };
        let outcome = gate.take(Segment { sequence: first.wrapping_add(known as u32), ..said });
        let told = match outcome.verdict {
            Verdict::Answer => outcome.answered_by_segment(),
            Verdict::Drop(DropReason::OutOfOrder) => continue,
            _ => {
                let heard = outcome.sent_segment();
                let at = heard.sequence.wrapping_sub(first) as usize;
                let new = heard.payload.get(arrived.len() - at..).unwrap_or_default();
                arrived.extend(new);
                let answer = match by_client {
                    true => control.from_server("A", ""),
                    false => control.from_client("A", ""),
                };
                let acknowledgement = first.wrapping_add(arrived.len() as u32);
                gate.take(Segment { acknowledgement, ..answer }).sent_segment()
            }
        };
        known = told.acknowledgement.wrapping_sub(first) as usize;
    }
    panic!("{known} of {} have come", text.len());
}

/// A line padded with blanks to that length.
fn padded(line: &str, len: usize) -> String {
    format!("{:<1$}\r\n", line.trim_end(), len - 2)
}

const LENGTHS: [usize; 4] = [100, 239, 700, 1400];

#[test]
fn a_padded_command_that_names_another_host_is_refused() {
    for via in [Via::Nat, Via::Snat, Via::Nat6] {
        for (len, part) in [2000, 4096].into_iter().flat_map(|len| LENGTHS.map(|part| (len, part)))
        {
            let mut gate = gate(FLOWS);
            let control = Connection::open(&mut gate, via, via.client(), 21);
            let other = padded(&active(SocketAddr::new(via.host(0, 66), 5001)), len);
            let heard = arrives(&mut gate, &control, true, &other, part);
            assert!(
                heard == "PORT 0,0,0,0,0,0\r\n" || heard == "EPRT |1|0.0.0.0|0|\r\n",
                "{heard}"
            );
            assert_eq!(gate.connections().len(), 1);
        }
    }
}

#[test]
fn a_padded_command_that_names_the_client_works() {
    for via in Via::SEEN {
        for part in LENGTHS {
            let mut gate = gate(FLOWS);
            let control = Connection::open(&mut gate, via, via.client(), 21);
            let ours = padded(&active(SocketAddr::new(via.client().ip(), 5001)), 2000);
            let heard = arrives(&mut gate, &control, true, &ours, part);
            assert_eq!(endpoint_in(&heard).ip(), control.seen_as.ip(), "{via:?}");
            assert_eq!(gate.connections().len(), 2);
        }
    }
}

#[test]
fn a_padded_reply_names_the_vip() {
    for via in [Via::Nat, Via::Snat] {
        for part in LENGTHS {
            let mut gate = gate(FLOWS);
            let mut control = Connection::open(&mut gate, via, via.client(), 21);
            control.client_says(&mut gate, "AP", "PASV\r\n");
            let at = SocketAddr::new(via.server(0), 40_001);
            let reply = padded(&passive_at(at), 2000);
            let heard = arrives(&mut gate, &control, false, &reply, part);
            assert_eq!(heard, passive_at(SocketAddr::new(via.vip().ip(), 40_001)), "{via:?}");
            assert_eq!(gate.connections().len(), 2);
        }
    }
}

#[test]
fn a_reply_with_blanks_between_its_numbers_names_the_vip() {
    for via in [Via::Nat, Via::Snat] {
        let mut gate = gate(FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        control.client_says(&mut gate, "AP", "PASV\r\n");
        let reply = passive_at(SocketAddr::new(control.server.ip(), 40_001)).replace(',', ", ");
        let heard = control.server_says(&mut gate, "AP", &reply).text();
        assert_eq!(heard, passive_at(SocketAddr::new(via.vip().ip(), 40_001)), "{via:?}");
        let client = SocketAddr::new(via.client().ip(), 6000);
        let data = Connection::open(&mut gate, via, client, 40_001);
        assert_eq!(data.server, SocketAddr::new(control.server.ip(), 40_001));
    }
}

#[test]
fn a_reply_with_a_comma_before_its_numbers_names_the_vip() {
    for via in [Via::Nat, Via::Snat] {
        let mut gate = gate(FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        control.client_says(&mut gate, "AP", "PASV\r\n");
        let at = |ip| {
            let reply = passive_at(SocketAddr::new(ip, 40_001));
            reply.replace("Mode (", "Mode, ").replace(").", "")
        };
        let heard = control.server_says(&mut gate, "AP", &at(control.server.ip())).text();
        assert_eq!(heard, at(via.vip().ip()), "{via:?}");
    }
}

#[test]
fn lines_that_are_not_read_arrive_whole() {
    let via = Via::Snat;
    let ours = active(SocketAddr::new(via.client().ip(), 5001));
    for line in [padded(&ours, 4097), padded(&ours, 5000)] {
        for part in LENGTHS {
            let mut gate = gate(FLOWS);
            let control = Connection::open(&mut gate, via, via.client(), 21);
            let text = format!("{line}NOOP\r\n");
            assert_eq!(arrives(&mut gate, &control, true, &text, part), text);
            assert_eq!(gate.connections().len(), 1);
        }
    }
}

/// vsftpd, pure-ftpd and ProFTPD read each of these as PORT or EPRT.
#[test]
fn what_a_server_drops_hides_no_command() {
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat64, Via::Snat46] {
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
        let (verb, argument) = foreign.trim_end().split_once(' ').unwrap();
        for line in [
            format!("{verb} {argument}\0\r\n"),
            format!("{verb} {argument}\r\r\n"),
            format!("{verb}\r{argument}\r\n"),
            format!("{verb}\x0b{argument}\n"),
            format!("{}\0{} {argument}\n", &verb[..2], &verb[2..]),
            format!("\r\0{verb} {argument}\n"),
        ] {
            for len in [1, 3, 100] {
                let mut gate = gate(FLOWS);
                let control = Connection::open(&mut gate, via, via.client(), 21);
                let heard = arrives(&mut gate, &control, true, &line, len);
                let refused = ["PORT 0,0,0,0,0,0", "EPRT |1|0.0.0.0|0|"];
                assert!(refused.contains(&heard.trim_end()), "{via:?} {line:?}: {heard:?}");
                assert_eq!(gate.connections().len(), 1);
            }
        }
    }
}

/// Python's `int` and Java's `Integer.parseInt` read digits of any script: pyftpdlib and Apache FtpServer take this for
/// an endpoint.
#[test]
fn digits_of_another_script_hide_no_command() {
    let other = |c: char| c.to_digit(10).map_or(c, |n| char::from_u32(0x660 + n).unwrap());
    for via in Via::SEEN {
        for at in [SocketAddr::new(via.host(0, 66), 5001), via.client()] {
            let said: String = active(at).chars().map(other).collect();
            is_refused(via, &said);
        }
    }
}

/// Apache FtpServer skips the protocol, and resolves names.
#[test]
fn names_are_nobodys_address() {
    for via in Via::SEEN {
        is_refused(via, "EPRT |x|victim.example|\u{665}\u{660}\u{660}\u{661}|\r\n");
        is_refused(via, "PORT victim\r\n");
    }
}

#[track_caller]
fn is_refused(via: Via, line: &str) {
    let mut gate = gate(FLOWS);
    let control = Connection::open(&mut gate, via, via.client(), 21);
    let heard = gate.take(control.from_client("AP", line)).sent_segment().text();
    let refused = ["PORT 0,0,0,0,0,0", "EPRT |1|0.0.0.0|0|"];
    assert!(refused.contains(&heard.trim_end()), "{via:?} {line:?}: {heard:?}");
    assert_eq!(gate.connections().len(), 1);
}

#[test]
fn the_clients_own_address_is_read_in_spite_of_them() {
    for via in Via::SEEN {
        let ours = active(SocketAddr::new(via.client().ip(), 5001));
        let odd = ours.replace("\r\n", "\0\r\r\n").replacen(' ', "\0 ", 1);
        let mut gate = gate(FLOWS);
        let control = Connection::open(&mut gate, via, via.client(), 21);
        let heard = arrives(&mut gate, &control, true, &odd, 100);
        assert_eq!(endpoint_in(&heard).ip(), control.seen_as.ip(), "{via:?}");
        assert_eq!(gate.connections().len(), 2);
    }
}

/// In any segments: ProFTPD drops a Telnet option, and a server without in-line urgent data the urgent byte.
#[test]
fn what_is_out_of_line_hides_no_command() {
    let via = Via::Nat;
    let foreign = active(SocketAddr::new(via.host(0, 66), 5001)).into_bytes();
    let refused = b"PORT 0,0,0,0,0,0\r\n";
    for (before, at) in [(&b"\xff\xfb\x01"[..], 0), (b"\xff\xfd\n", 0), (b"\xff\xfe\xff", 2)] {
        for cut in 0..=before.len() {
            let mut gate = gate(FLOWS);
            let mut control = Connection::open(&mut gate, via, via.client(), 21);
            let all = [&foreign[..at], before, &foreign[at..]].concat();
            let mut heard = vec![];
            for part in [&all[..at + cut], &all[at + cut..]].iter().filter(|part| !part.is_empty())
            {
                let said = Segment { payload: part.to_vec(), ..control.from_client("AP", "") };
                control.next[0] = control.next[0].wrapping_add(part.len() as u32);
                let outcome = gate.take(said);
                if outcome.verdict != Verdict::Answer {
                    heard.extend(outcome.sent_segment().payload);
                }
            }
            assert!(heard.ends_with(refused), "{}", heard.escape_ascii());
        }
    }
    let mut gate = gate(FLOWS);
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    let line = String::from_utf8(foreign).unwrap();
    for (text, is_urgent) in [("Px", false), ("ABOR\r\n", true), (&line[..], false)] {
        let heard = control.client_says(&mut gate, "APU", text);
        assert_eq!(heard.flags.contains('U'), is_urgent, "{text}");
        control.client_says(&mut gate, "AP", "\n");
    }
}

#[test]
fn what_cannot_be_held_waits_until_another_one_ends() {
    let via = Via::Nat;
    let mut gate = gate(8 * FLOWS);
    let long = "PORT ".to_owned() + &" ".repeat(300);
    let open = |n: u16, gate: &mut EngineHarness| {
        let client = SocketAddr::new(via.client().ip(), 5000 + n);
        Connection::open(gate, via, client, 21)
    };
    let controls: Vec<Connection> = (0..64).map(|n| open(n, &mut gate)).collect();
    for control in &controls {
        let _ = gate.take(control.from_client("AP", &long)).answered_by_segment();
    }
    let last = open(64, &mut gate);
    gate.take(last.from_client("AP", &long)).dropped(DropReason::OutOfOrder);
    let end = format!("{}10,0,0,9,4,1\r\n", &long[300..]);
    let mut first = controls[0].clone();
    first.next[0] = first.next[0].wrapping_add(long.len() as u32);
    let heard = first.client_says(&mut gate, "AP", &end).text();
    assert_eq!(heard, "PORT 10,0,0,9,4,1\r\n");
    let _ = gate.take(last.from_client("AP", &long)).answered_by_segment();
}

#[test]
fn connections_that_end_give_back_what_held_their_lines() {
    let via = Via::Nat;
    let mut gate = gate(FLOWS);
    let long = "PORT ".to_owned() + &" ".repeat(300);
    for n in 0..200 {
        let client = SocketAddr::new(via.client().ip(), 5000 + n);
        let control = Connection::open(&mut gate, via, client, 21);
        let _ = gate.take(control.from_client("AP", &long)).answered_by_segment();
        let _ = gate.take(control.from_server("R", "")).sent_segment();
        gate.wait(110);
    }
}

/// GNU inetutils' ftpd 2.4, like BSD's, drops any byte behind an IAC, not only Telnet commands.
#[test]
fn a_byte_behind_an_iac_hides_no_command() {
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001)).into_bytes();
        for (at, odd) in [(0, b'x'), (1, b'x'), (1, b' '), (0, 1), (0, b'\n'), (3, 0xef)] {
            let line = [&foreign[..at], &[0xff, odd], &foreign[at..]].concat();
            for len in [1, 2, line.len()] {
                let mut gate = gate(FLOWS);
                let mut control = Connection::open(&mut gate, via, via.client(), 21);
                let mut heard = vec![];
                for part in line.chunks(len) {
                    let said = Segment { payload: part.to_vec(), ..control.from_client("AP", "") };
                    let outcome = gate.take(said);
                    if let Verdict::Transmit(_) = outcome.verdict {
                        heard.extend(outcome.sent_segment().payload);
                    }
                    control.next[0] = control.next[0].wrapping_add(part.len() as u32);
                }
                let heard = heard.escape_ascii().to_string();
                let end = String::from_utf8_lossy(&foreign[at..]).trim_end().to_owned();
                assert!(!heard.contains(&end), "{via:?}: {heard}");
            }
        }
    }
}
