//! Masked passwords.

use super::*;
use etherparse::PacketBuilder;

const CLIENT: [u8; 4] = [10, 0, 0, 7];
const SERVER: [u8; 4] = [10, 0, 0, 100];

fn passwords() -> Passwords {
    let servers = HashSet::from([SocketAddr::from((SERVER, 21))]);
    Passwords { servers, streams: HashMap::new() }
}

fn segment(to: ([u8; 4], u16), seq: u32, data: impl AsRef<[u8]>) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(CLIENT, to.0, 64);
    let mut frame = vec![];
    let builder = builder.tcp(40000, to.1, seq, 1000);
    builder.write(&mut frame, data.as_ref()).expect("a frame");
    frame
}

/// The data of segments, after those before them, as operators see it.
fn seen(segments: &[(u32, &str)]) -> String {
    let mut passwords = passwords();
    let shown = segments.iter().map(|&(seq, data)| {
        let mut frame = segment((SERVER, 21), seq, data);
        let len = frame.len();
        passwords.mask(&mut frame);
        String::from_utf8(frame[len - data.len()..].to_vec()).expect("text")
    });
    shown.collect()
}

#[test]
fn the_argument_of_pass_is_masked() {
    assert_eq!(seen(&[(1, "USER joe\r\nPASS my secret\r\n")]), "USER joe\r\nPASS *********\r\n");
    assert_eq!(seen(&[(1, "pass hidden\n"), (13, "RETR file\r\n")]), "pass ******\nRETR file\r\n");
    assert_eq!(seen(&[(1, "ACCT hidden\r\n")]), "ACCT ******\r\n");
    assert_eq!(
        seen(&[(1, "PASV\r\nPASSIVE\r\nCWD PASS x\r\n")]),
        "PASV\r\nPASSIVE\r\nCWD PASS x\r\n"
    );
}

/// proftpd takes such a PASS for one.
#[test]
fn telnets_codes_and_blanks_hide_no_command() {
    for command in [
        &b"\xff\xf4\xff\xf2PASS"[..],
        b"\xff\xfb\x01PASS",
        b" \t\0PASS",
        b"PA\xff\xf1SS",
        b"PASS\xff\xf1",
    ] {
        let frame = |secret: &[u8]| {
            let lines = [b"SYST\r\n", command, b" ", secret, b"\r\nRETR x\r\n"].concat();
            segment((SERVER, 21), 1, lines)
        };
        let mut masked = frame(b"secret");
        passwords().mask(&mut masked);
        let data = |frame: &[u8]| frame[frame.len() - 20 - command.len()..].to_vec();
        assert_eq!(data(&masked), data(&frame(b"******")), "{command:?}");
    }
}

#[test]
fn a_password_in_several_segments_is_masked() {
    let split = [(1, "USER joe\r\nPA"), (13, "SS se"), (18, "cr"), (20, "et\r\nSYST\r\n")];
    assert_eq!(seen(&split), "USER joe\r\nPASS ******\r\nSYST\r\n");
    // The last part once more, and one behind a segment that is missing.
    assert_eq!(
        seen(&[(1, "PASS se"), (8, "cret\r\n"), (8, "cret\r\n")]),
        "PASS ******\r\n****\r\n"
    );
    assert_eq!(seen(&[(1, "PASS se"), (12, "cret\r\nRETR x\r\n")]), "PASS ******\r\nRETR x\r\n");
}

#[test]
fn other_data_stays() {
    let mut passwords = passwords();
    for to in [(SERVER, 22), (CLIENT, 21)] {
        let frame = segment(to, 1, "PASS secret\r\n");
        let mut masked = frame.clone();
        passwords.mask(&mut masked);
        assert_eq!(masked, frame, "{to:?}");
    }
}

#[test]
fn a_password_in_an_icmp_error_or_a_fragment_is_masked() {
    let inner = segment((SERVER, 21), 1, "PASS secret\r\n");
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(SERVER, CLIENT, 64);
    let mut error = vec![];
    let builder = builder.icmpv4_raw(3, 1, [0; 4]);
    builder.write(&mut error, &inner[14..]).expect("a frame");
    let mut part = inner.clone();
    part[20] = 0x20;
    for mut frame in [error, part] {
        assert!(frame.windows(6).any(|bytes| bytes == b"secret"));
        passwords().mask(&mut frame);
        assert!(!frame.windows(6).any(|bytes| bytes == b"secret"), "{frame:?}");
    }
}

#[test]
fn broken_frames_are_left_alone() {
    let frame = segment((SERVER, 21), 1, "PASS secret\r\n");
    for len in 0..frame.len() {
        passwords().mask(&mut frame[..len].to_vec());
    }
}
