//! Any line of a control connection, from either side, between any addresses.
#![no_main]

use arbitrary::Arbitrary;
use engine::alg::ftp::exchange::Exchange;
use engine::alg::ftp::{Context, FtpAction, from_client, from_server, write};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wire::ftp::{Command, Reply, ReplyKind};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    client_is_v6: bool,
    server_is_v6: bool,
    foreign_data: bool,
    asked_by_epsv: bool,
    /// Endpoints of the gate.
    ours: [SocketAddr; 2],
    start: u8,
    rest: &'a [u8],
}

/// Texts that a fuzzer would not find by chance.
const STARTS: [&str; 12] = [
    "",
    "PORT ",
    "PORT 10,0,0,9,",
    "EPRT ",
    "EPRT |1|10.0.0.9|",
    "EPRT |2|2001:db8::9|",
    "EPSV",
    "PASV",
    "227 (10,1,0,30,",
    "229 (|||",
    "STAT -",
    "\u{0}PORT\r",
];

/// An alias of the server.
const ALIASES: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::new(10, 1, 0, 31))];

fuzz_target!(|input: Input| {
    let address = |is_v6: bool, v4: [u8; 4], v6: [u16; 8]| -> IpAddr {
        if is_v6 { v6.into() } else { v4.into() }
    };
    let context = Context {
        client: address(input.client_is_v6, [10, 0, 0, 9], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9]),
        vip: address(input.client_is_v6, [10, 0, 0, 100], [0x2001, 0xdb8, 0, 0, 0, 0, 1, 0]),
        server: address(input.server_is_v6, [10, 1, 0, 30], [0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x30]),
        aliases: &ALIASES,
        open_ports: None,
        foreign_data: input.foreign_data,
    };
    let start = STARTS[usize::from(input.start) % STARTS.len()];
    let line = [start.as_bytes(), input.rest].concat();
    may_begin(&line);
    let mut exchange = Exchange::default();
    // No command was sent.
    let unasked = from_server(&line, &context, &mut exchange);
    assert!(matches!(unasked, FtpAction::Nothing | FtpAction::Replace(_)), "{unasked:?}");
    let mut exchange = Exchange::default();
    check(&line, from_client(&line, &context, &mut exchange), &context, input.ours);
    let mut exchange = Exchange::default();
    let command: &[u8] = if input.asked_by_epsv { b"EPSV" } else { b"PASV" };
    from_client(command, &context, &mut exchange);
    check(&line, from_server(&line, &context, &mut exchange), &context, input.ours);
});

/// A prefix of a line that matters is never ruled out.
fn may_begin(line: &[u8]) {
    if Command::parse(line) != Command::Other {
        assert!((0..=line.len()).all(|end| Command::may_begin(&line[..end])));
    }
    if Reply::parse(line).is_some_and(|reply| reply.says != ReplyKind::Other) {
        assert!((0..=line.len()).all(|end| Reply::may_begin(&line[..end])));
    }
}

fn check(line: &[u8], asks: FtpAction, context: &Context, ours: [SocketAddr; 2]) {
    match asks {
        FtpAction::Nothing | FtpAction::Opaque => {}
        FtpAction::Replace(other) | FtpAction::Refused(other) => {
            assert!(!other.iter().any(|byte| matches!(byte, 0 | b'\r')));
            assert!(line.contains(&b'\n') || !other.contains(&b'\n'));
        }
        FtpAction::Active { to, form } => {
            assert!(to.ip() == context.client && to.port() >= 1024, "not its own: {to}");
            for at in ours.into_iter().filter(|at| at.port() > 0) {
                let Some(other) = write(&form, line, at) else { continue };
                let told = match Command::parse(&other) {
                    Command::Port(told) => told.map(SocketAddr::V4),
                    Command::Eprt(told) => told,
                    command => panic!("{command:?}"),
                };
                assert_eq!(told.map(plain), Some(plain(at)));
            }
        }
        FtpAction::Passive { at, form } => {
            assert!(at.ip() == context.server && at.port() >= 1024, "not its own: {at}");
            for at in ours.into_iter().filter(|at| at.port() > 0) {
                let Some(other) = write(&form, line, at) else {
                    assert!(at.is_ipv6());
                    continue;
                };
                match Reply::parse(&other).map(|reply| reply.says) {
                    Some(ReplyKind::Passive(told, _)) => {
                        assert_eq!(SocketAddr::V4(told), plain(at))
                    }
                    Some(ReplyKind::Extended(told, _)) => assert_eq!(told, at.port()),
                    says => panic!("{says:?}"),
                }
            }
        }
    }
}

/// The endpoint in the form that a line can name.
fn plain(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip(), at.port())
}
