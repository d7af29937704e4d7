//! Dropped packets over the socket, and as `tidegate drops` shows and writes them.

use crate::Socket;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use kit::packets::{CLIENT, rrq};
use kit::topology::Via;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;
use worker::drop_history::{DropQuery, DroppedFrame};

/// The fake worker's answer about `no-backend`: a request, twice.
pub fn answer(query: &mut DropQuery) {
    let bytes = rrq(CLIENT, Via::Nat.vip(), "boot.img").bytes();
    for interface in [Some(InterfaceId(1)), None] {
        query.frames.push(DroppedFrame {
            at: Instant::now(),
            interface,
            len: 1000,
            bytes: bytes.iter().copied().collect(),
        });
    }
}

#[test]
fn reasons_and_their_last_packets() {
    let socket = Socket::open(true);
    let shown = |command: &str| {
        let output = socket.tidegate(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let reasons = shown("drops");
    assert_eq!(reasons.lines().count(), 1 + DropReason::ALL.len());
    let bad = reasons.lines().find(|line| line.starts_with("bad-tftp")).expect("a line");
    assert!(bad.split_whitespace().nth(1) == Some("1") && bad.contains("no valid TFTP"), "{bad}");
    let frames = shown("drops no-backend");
    let request = format!("{CLIENT} > {} UDP, RRQ \"boot.img\"", Via::Nat.vip());
    let rows: Vec<_> = frames.lines().skip(1).collect();
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row.trim_end().ends_with(&request)),
        "{frames}"
    );
    assert!(rows[0].contains(" servers ") && rows[1].contains(" - "), "{frames}");
    assert!(shown("drops looped").contains("nothing was dropped as looped"));
    assert!(shown("--json drops looped").contains("\"frames\": []"));
}

#[test]
fn dropped_packets_as_pcapng() {
    let socket = Socket::open(true);
    let output = socket.tidegate("drops no-backend --write -");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut reader = PcapNgReader::new(&output.stdout[..]).expect("pcapng");
    let (mut names, mut packets) = (vec![], vec![]);
    while let Some(block) = reader.next_block() {
        match block.expect("a block") {
            Block::InterfaceDescription(one) => {
                names.extend(one.options.iter().filter_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                }))
            }
            Block::EnhancedPacket(packet) => packets.push(packet.into_owned()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, ["servers", "unknown"]);
    let request = rrq(CLIENT, Via::Nat.vip(), "boot.img").bytes();
    for (interface, packet) in (0..).zip(&packets) {
        assert_eq!(
            (packet.interface_id, packet.original_len, &packet.data[..]),
            (interface, 1000, &request[..])
        );
        assert_eq!(
            packet.options,
            [EnhancedPacketOption::Comment("verdict: dropped, no-backend".into())]
        );
        let age = std::time::UNIX_EPOCH.elapsed().expect("later than 1970") - packet.timestamp;
        assert!(age.as_secs() < 60, "{age:?}");
    }
    assert_eq!(packets.len(), 2);
}

#[test]
fn wrong_uses_of_drops_are_refused() {
    let socket = Socket::open(true);
    for (command, code, words) in [
        ("drops nothing", 1, "there is no drop reason `nothing`"),
        ("drops --write x", 2, "REASON"),
        ("drops looped --write /nonexistent/x", 1, "cannot create /nonexistent/x"),
    ] {
        let output = socket.tidegate(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(words), "{command}: {said}");
    }
}

/// A new file is its owner's alone; one that exists keeps its mode.
#[test]
fn files_of_packets_are_private() {
    let socket = Socket::open(true);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dropped.pcapng");
    let mode = || std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
    let command = format!("drops no-backend --write {}", path.display());
    assert!(socket.tidegate(&command).status.success());
    assert_eq!(mode(), 0o600);
    let written = std::fs::read(&path).expect("a file");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
    std::fs::write(&path, [0; 10_000]).expect("a longer file");
    assert!(socket.tidegate(&command).status.success());
    assert_eq!((mode(), std::fs::read(&path).expect("a file").len()), (0o644, written.len()));
}
