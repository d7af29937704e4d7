//! FTP lines: seen in the field, malformed, and generated.

use super::*;
use proptest::prelude::*;

fn v4(endpoint: &str) -> SocketAddrV4 {
    endpoint.parse().unwrap()
}

fn any(endpoint: &str) -> Option<SocketAddr> {
    Some(endpoint.parse().unwrap())
}

#[test]
fn commands() {
    let active = Command::Port(Some(v4("10.0.0.9:1025")));
    for (line, command) in [
        (&b"PORT 10,0,0,9,4,1"[..], active),
        (b"port 10,0,0,9,4,1", active),
        (b"PoRt\t 010,000,0,9,4,01  ", active),
        (b" PORT 10,0,0,9,4,1", active),
        (b"\xff\xf4\xff\xf2PORT 10,0,0,9,4,1", active),
        (b"\xff\xfb\x01 \xff\xf1PORT 10,0,0,9,4,1", active),
        (b"PORT 255,255,255,255,255,255", Command::Port(Some(v4("255.255.255.255:65535")))),
        (b"EPRT |1|10.0.0.9|1025|", Command::Eprt(any("10.0.0.9:1025"))),
        (b"eprt |2|2001:db8::9|65535| ", Command::Eprt(any("[2001:db8::9]:65535"))),
        (b"EPRT !1!10.0.0.9!1025!", Command::Eprt(any("10.0.0.9:1025"))),
        (b"EPRT ~2~::1~1~", Command::Eprt(any("[::1]:1"))),
        (b"EPRT |2|::ffff:10.0.0.9|1025|", Command::Eprt(any("10.0.0.9:1025"))),
        (b"EPRT |2|::FFFF:a00:9|1025|", Command::Eprt(any("10.0.0.9:1025"))),
        (b"PASV", Command::Pasv),
        (b"pasv ", Command::Pasv),
        (b"EPSV", Command::Epsv(Epsv::SameFamily)),
        (b"EPSV 1", Command::Epsv(Epsv::V4)),
        (b"EPSV 2 ", Command::Epsv(Epsv::V6)),
        (b"epsv all", Command::Epsv(Epsv::All)),
        (b"EPSV 3", Command::Epsv(Epsv::Unknown)),
        (b"PORT", Command::Other),
        (b" port \t ", Command::Other),
        (b"EPRT", Command::Other),
        (b"EPRT \xff\xfbx", Command::Eprt(None)),
        (b"EPRT \xff\xfb1", Command::Eprt(None)),
        (b"AUTH TLS", Command::Auth),
        (b"auth GSSAPI", Command::Auth),
        (b"\xff\xf4\xff\xf2ABOR", Command::Other),
        (b"LPRT 4,4,10,0,0,9,2,4,1", Command::Lprt),
        (b"lprt", Command::Lprt),
        (b"LPSV", Command::Lpsv),
        (b"LPSVX", Command::Other),
        (b"PORTAL 10,0,0,9,4,1", Command::Other),
        (b"POR", Command::Other),
        (b"", Command::Other),
        (b" ", Command::Other),
        (b"\xff", Command::Other),
        (b"\xff\xfb", Command::Other),
        (b"\xff\xffPORT 10,0,0,9,4,1", Command::Other),
        (b"PORT 10,0,0,9,4,1\0", active),
        (b"\0P\rORT\r10,0,0,\x009,4,1", active),
        (b"P\xff\xfb\x01O\xff\xf4RT 10,0,0,9,4,1", active),
        (b"P\xffxOR\xff\xefT 10,0,0,9,4,1", active),
        (b"PORT\x0b10,0,0,9,4,1\x0b", active),
        (b"PORT\x0c10,0,0,9,4,1", active),
        (b"P@SW", Command::Pasv),
        (b"STAT -1", Command::Listing),
        (b"stat  up", Command::Listing),
        (b"STAT\0*", Command::Listing),
        (b"STAT \xff\xf1*", Command::Listing),
        (b"STAT", Command::Other),
        (b"STAT \r", Command::Other),
        (b"STATUS a", Command::Other),
        (b"227 (10,0,0,30,9,4)", Command::Digits),
        (b"\r 2", Command::Digits),
        (b"STOR PORT 10,0,0,9,4,1", Command::Other),
    ] {
        assert_eq!(Command::parse(line), command, "{}", line.escape_ascii());
    }
}

#[test]
fn where_nobody_can_listen() {
    for argument in [
        &b" 10,0,0,9,4"[..],
        b" 10,0,0,9,4,1,1",
        b" 10,0,0,9,4,",
        b" 10,0,0,9,,1",
        b" ,10,0,0,9,4,1",
        b" 10,0,0,256,4,1",
        b" 10,0,0,9,256,1",
        b" 10,0,0,9,0,0",
        b" 10,0,0,9,4,0001",
        b" 10,0,0,9,4,-1",
        b" 10,0,0,9,4,1x",
        b" 10 0 0 9 4 1",
        b" 10, 0,0,9,4,1",
        b" ,,,,,",
        " ١٠,٠,٠,٩,٤,١".as_bytes(),
    ] {
        let line = [b"PORT", argument].concat();
        assert_eq!(Command::parse(&line), Command::Port(None), "{}", line.escape_ascii());
    }
    for argument in [
        &b" |1|10.0.0.9|1025"[..],
        b" |1|10.0.0.9|1025||",
        b" |1|10.0.0.9|0|",
        b" |1|10.0.0.9|65536|",
        b" |1|10.0.0.9|000001|",
        b" |1|10.0.0.9||",
        b" |1|10.0.0.9|+1|",
        b" |1||1025|",
        b" |1|::1|1025|",
        b" |2|10.0.0.9|1025|",
        b" |2|fe80::1%1|1025|",
        b" |3|10.0.0.9|1025|",
        b" ||10.0.0.9|1025|",
        b" .1.10.0.0.9.1025.",
        b" \xb01\xb010.0.0.9\xb01025\xb0",
        b" |1|\xff|1025|",
        b" |x|localhost|ssh|",
        " |1|١٠.٠.٠.٩|١٠٢٥|".as_bytes(),
    ] {
        let line = [b"EPRT", argument].concat();
        assert_eq!(Command::parse(&line), Command::Eprt(None), "{}", line.escape_ascii());
    }
}

fn says(line: &[u8]) -> Option<(u16, bool, ReplyKind)> {
    Reply::parse(line).map(|reply| (reply.code, reply.is_last, reply.says))
}

#[test]
fn replies() {
    let passive = |place| ReplyKind::Passive(v4("10.0.0.30:50000"), place);
    for (line, code, is_last, told) in [
        (&b"227 Entering Passive Mode (10,0,0,30,195,80)."[..], 227, true, passive(27..43)),
        (b"227 Entering Passive Mode (10,0,0,30,195,80)", 227, true, passive(27..43)),
        (b"227 Entering Passive Mode. 10,0,0,30,195,80", 227, true, passive(27..43)),
        (b"227 =10,0,0,30,195,80", 227, true, passive(5..21)),
        (b"227 10,0,0,30,195,80 ", 227, true, passive(4..20)),
        (b"227 Passive (10, 0, 0, 30, 195, 80)", 227, true, passive(13..34)),
        (b"227 Entering Passive Mode, 10,0,0,30,195,80", 227, true, passive(27..43)),
        (b"227 on 1 (10 , 0,0 ,30,  195,80 )", 227, true, passive(10..31)),
        (b"227-v2 (10,0,0,30,195,80)", 227, false, passive(8..24)),
        (
            b"229 Entering Extended Passive Mode (|||6446|)",
            229,
            true,
            ReplyKind::Extended(6446, 39..43),
        ),
        (b"229 ok (!!!1!).", 229, true, ReplyKind::Extended(1, 11..12)),
        (b"229 (mode) (|||65535|)", 229, true, ReplyKind::Extended(65535, 15..20)),
        (b"234 AUTH TLS successful", 234, true, ReplyKind::AuthAccepted),
        (b"234", 234, true, ReplyKind::AuthAccepted),
        (b"234-More", 234, false, ReplyKind::Other),
        (b"220 10,0,0,30,195,80", 220, true, ReplyKind::Other),
        (b"220-Hello", 220, false, ReplyKind::Other),
        (b"500 (|||6446|)", 500, true, ReplyKind::Other),
    ] {
        assert_eq!(says(line), Some((code, is_last, told)), "{}", line.escape_ascii());
    }
}

#[test]
fn replies_that_tell_nothing() {
    for line in [
        &b"227 Entering Passive Mode (10,0,0,30,195)"[..],
        b"227 Entering Passive Mode (10,0,0,30,195,80,1)",
        b"227 Entering Passive Mode (10,0,0,300,195,80)",
        b"227 Entering Passive Mode (10,0,0,30,195,256)",
        b"227 Entering Passive Mode (10,0,0,30,0,0)",
        b"227 Entering Passive Mode (10, 0, 0, 30, 195, 80 , 1)",
        b"227 Entering Passive Mode (10 0 0 30 195 80)",
        b"227 Entering Passive Mode (10, 0, 0, 30, 195 )",
        b"227 Entering Passive Mode",
        b"227 ,10,0,0,30,195,80",
        b"227 1 , 10,0,0,30,195,80",
        b"227",
        b"229 Entering Extended Passive Mode (|||0|)",
        b"229 Entering Extended Passive Mode (|||65536|)",
        b"229 Entering Extended Passive Mode (||||)",
        b"229 Entering Extended Passive Mode (||!6446|)",
        b"229 Entering Extended Passive Mode (|||6446)",
        b"229 Entering Extended Passive Mode (|||6446",
        b"229 |||6446|",
        b"229 (",
        b"229 (   6446 )",
    ] {
        let told = says(line).map(|(.., says)| says);
        assert_eq!(told, Some(ReplyKind::Other), "{}", line.escape_ascii());
    }
    for line in [&b""[..], b"22", b"22x 1", b"2277 1", b" 227 1", b"+27 1", b"\xff27 1"] {
        assert_eq!(says(line), None, "{}", line.escape_ascii());
    }
}

#[test]
fn what_a_line_may_become() {
    for start in [
        "", "P", "po", "PORT", "PORT ", "PORT 1,2", "\t EPR", "epsv", "PASV ", "LP", "LPRT 4,4",
        "AUTH TLS", "22", " 9x", "\0\rPO", "ST", "stat -1",
    ] {
        assert!(Command::may_begin(start.as_bytes()), "{start}");
    }
    for (start, may) in [
        (&b"\xff"[..], true),
        (b"\xff\xf4", true),
        (b"\xff\xfb", true),
        (b"\xff\xfd\x01eps", true),
        (b"\xff\xf4\xffxP", true),
        (b"\xff\xf4\xff\xffP", false),
    ] {
        assert_eq!(Command::may_begin(start), may, "{}", start.escape_ascii());
    }
    for start in ["N", "PU", "PORTA", "PASVX", "PO RT", "-22", "LPR ", "LIST", "STATS"] {
        assert!(!Command::may_begin(start.as_bytes()), "{start}");
    }
    for (start, may) in [("", true), ("2", true), ("22", true), ("229 (", true), ("234-", true)]
        .into_iter()
        .chain([("1", false), ("220", false), ("230 ", false), ("PORT", false), (" 227", false)])
    {
        assert_eq!(Reply::may_begin(start.as_bytes()), may, "{start}");
    }
}

#[test]
fn commands_that_all_servers_answer() {
    for start in [
        "NOOP",
        "cwd a",
        "STOR \u{ff}",
        "SITE CHM",
        "X",
        "P@SW",
        "STAT\r",
        " NOOP",
        "ABORT",
        "PORT\0 1",
    ] {
        assert!(Command::is_answered(start.as_bytes()), "{start}");
    }
    for start in ["", " ", "ABOR", "abor\r", "\0", "-", "A-B", "CWD\u{e9}", "P_ORT", "*"] {
        assert!(!Command::is_answered(start.as_bytes()), "{start}");
    }
}

#[test]
fn what_may_be_urgent() {
    for data in [&b"\xff\xf4\xff"[..], b"\xf2", b"\xff\xf2ABOR\r\n", b"abor\r\n", b"STAT\n", b""] {
        assert!(is_signal(data), "{}", data.escape_ascii());
    }
    for data in [&b"PxORT 1"[..], b"\xf2PORT 1", b"ABOR\r\nPORT", b"P\xf2", b"x"] {
        assert!(!is_signal(data), "{}", data.escape_ascii());
    }
}

#[test]
fn lines_are_written() {
    let longest = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse().unwrap();
    for (line, text) in [
        (port(v4("10.0.0.9:1025")), "PORT 10,0,0,9,4,1"),
        (eprt(any("10.0.0.9:1025").unwrap()), "EPRT |1|10.0.0.9|1025|"),
        (eprt(longest), "EPRT |2|1111:2222:3333:4444:5555:6666:7777:8888|65535|"),
        (passive(v4("10.0.0.100:50000")), "227 Entering Passive Mode (10,0,0,100,195,80)."),
        (extended(50000), "229 Entering Extended Passive Mode (|||50000|)"),
    ] {
        assert_eq!(str::from_utf8(&line), Ok(text));
    }
}

#[test]
fn the_rest_of_a_reply_stays() {
    let line = b"227 Da geht's lang: 10,0,0,30,195,80. Gru\xdf";
    let Some((227, true, ReplyKind::Passive(_, place))) = says(line) else { panic!() };
    let line = passive_in(line, &place, v4("10.0.0.100:1024"));
    assert_eq!(line[..], b"227 Da geht's lang: 10,0,0,100,4,0. Gru\xdf"[..]);
    let line = b"229 ok (!!!1!).";
    let Some((229, true, ReplyKind::Extended(_, place))) = says(line) else { panic!() };
    assert_eq!(extended_in(line, &place, 50000)[..], b"229 ok (!!!50000!)."[..]);
}

#[test]
fn a_reply_that_is_too_long_becomes_one_of_ours() {
    for (len, is_kept) in [(LONGEST - 4, true), (LONGEST - 3, false), (4000, false)] {
        let rest = vec![b'x'; len - 11];
        let line = extended_in(&[b"229 (|||1|)", &rest[..]].concat(), &(8..9), 50000);
        match is_kept {
            true => assert_eq!(line[..], [b"229 (|||50000|)", &rest[..]].concat()),
            false => assert_eq!(line, extended(50000)),
        }
    }
    let long = [b"227-(1,2,3,4,5,6)", &[b' '; 300][..]].concat();
    let line = passive_in(&long, &(5..16), v4("10.0.0.100:1024"));
    assert_eq!(line[..], b"227-Entering Passive Mode (10,0,0,100,4,0)."[..]);
}

proptest! {
    /// A prefix of a readable line is always reported as one that may begin it.
    #[test]
    fn all_that_tells_something_may_begin_so(noise: Vec<u8>, line in sample(), cut: prop::sample::Index) {
        for line in [&noise[..], &line, &[&line[..], &noise].concat(), &[&noise[..], &line].concat()] {
            let cut = cut.index(line.len() + 1);
            if Command::parse(line) != Command::Other {
                prop_assert!(Command::may_begin(&line[..cut]));
            }
            if Reply::parse(line).is_some_and(|reply| reply.says != ReplyKind::Other) {
                prop_assert!(Reply::may_begin(&line[..cut]));
            }
            // A prefix that is ruled out once stays ruled out.
            prop_assert!(Command::may_begin(&line[..cut]) || !Command::may_begin(line));
            prop_assert!(Reply::may_begin(&line[..cut]) || !Reply::may_begin(line));
        }
    }

    #[test]
    fn what_is_written_reads_so(address: [u8; 4], address6: [u8; 16], at in 1u16..) {
        let v4 = SocketAddrV4::new(address.into(), at);
        let v6 = SocketAddr::new(Ipv6Addr::from(address6).into(), at);
        prop_assert_eq!(Command::parse(&port(v4)), Command::Port(Some(v4)));
        prop_assert_eq!(Command::parse(&eprt(v4.into())), Command::Eprt(Some(v4.into())));
        let v6_read = SocketAddr::new(v6.ip().to_canonical(), at);
        prop_assert_eq!(Command::parse(&eprt(v6)), Command::Eprt(Some(v6_read)));
        let passive = says(&passive(v4));
        prop_assert!(matches!(passive, Some((227, true, ReplyKind::Passive(to, _))) if to == v4));
        let extended = says(&extended(at));
        prop_assert!(matches!(extended, Some((229, true, ReplyKind::Extended(to, _))) if to == at));
    }
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        &b"PORT 10,0,0,9,4,1"[..],
        b"\xff\xf4 \xff\xfb\x01eprt |1|10.0.0.9|1025|",
        b"pasv",
        b"EPSV ALL",
        b"LPRT 4,4,10,0,0,9,2,4,1",
        b"lpsv",
        b"AUTH TLS",
        b"227 (10,0,0,30,195,80)",
        b"229 (|||6446|)",
        b"234 ok",
    ])
    .prop_map(<[u8]>::to_vec)
}
