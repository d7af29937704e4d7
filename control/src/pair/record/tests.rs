use super::field::hop;
use super::*;
use engine::alg::ftp::rewriter::ToldStream;
use engine::alg::tftp::Progress;
use engine::alg::tftp::earlier::Earlier;
use engine::alg::tftp::takeover::Terms;
use engine::flow::connection::{Half, flag};
use engine::flow::ftp_session_table::SyncedSession;
use engine::flow::saved_request::SavedRequest;
use engine::flow::state::{ConnectionKind, ConnectionState, Operation, TransferState};
use engine::flow::transfer::Failover;
use engine::types::id::{BackendId, VipId};
use proptest::prelude::*;
use wire::tcp::SeqNumber;

fn a_transfer() -> SyncedTransfer {
    SyncedTransfer {
        client: "10.0.3.4:2070".parse().unwrap(),
        seen_as: "10.0.0.110:1027".parse().unwrap(),
        vip: VipId(3),
        backend: BackendId(300),
        tid: 50_000,
        client_tid: 50_001,
        state: TransferState::Established,
        operation: Operation::Read,
        failover: Failover::None,
        progress: Progress::NEW,
        blocks: 70_000,
        bytes: 1 << 40,
        timeout: 5,
        window: 4,
        alias: 1,
        back: hop([2, 0, 10, 0, 3, 4], 1),
        age: 700,
        idle: 3,
        earlier: Earlier::running([40_000, 0], [true, false]),
        terms: Terms::PLAIN,
        moves: 2,
        request: SavedRequest::told(b"\0\x01boot.img\0octet\0", true),
    }
}

fn a_connection() -> SyncedConnection {
    let stream = ToldStream { next: SeqNumber(u32::MAX), growth: 7, is_opaque: false };
    SyncedConnection {
        protocol: 6,
        client: "[fd00::3:4]:40000".parse().unwrap(),
        vip: VipId(4),
        vip_port: 22,
        seen_as: "10.0.0.110:1028".parse().unwrap(),
        server_port: 22,
        backend: BackendId(7),
        back: hop([2, 6, 10, 0, 3, 4], 0),
        kind: ConnectionKind::Client,
        state: ConnectionState::HalfOpen,
        flags: flag::ANSWERED,
        marks: 0,
        halves: [Half { next: SeqNumber(u32::MAX), acked: SeqNumber(1) }; 2],
        bytes: [1, u64::MAX],
        age: 20,
        idle: 20,
        session: Some(SyncedSession { streams: [stream; 2], has_logged_in: true }),
    }
}

fn encoded(records: &[Record]) -> Vec<u8> {
    let mut bytes = vec![];
    records.iter().for_each(|record| record.encode(&mut bytes));
    bytes
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let records = [Record::Transfer(a_transfer()), Record::Connection(a_connection())];
    let bytes = encoded(&records);
    let read = Record::decode_all(&bytes).expect("records");
    assert_eq!(format!("{read:?}"), format!("{records:?}"));
    assert_eq!(encoded(&read), bytes);
    assert_eq!(read[1].client(), "fd00::3:4".parse::<IpAddr>().unwrap());
}

#[test]
fn records_are_cut_into_messages_between_each_other() {
    let records = || {
        (0..50).map(|n| match n % 3 {
            0 => Record::Transfer(a_transfer()),
            _ => Record::Connection(a_connection()),
        })
    };
    let all: Vec<_> = records().collect();
    for most in [100, 200, 4000, 1 << 20] {
        let pieces = Record::encode_all(records(), most);
        assert!(pieces.iter().all(|piece| (1..=most).contains(&piece.len())), "{most}");
        assert_eq!(pieces.concat(), encoded(&all));
        let read = pieces.iter().flat_map(|piece| Record::decode_all(piece).expect("records"));
        assert_eq!(format!("{:?}", read.collect::<Vec<_>>()), format!("{all:?}"));
    }
    assert!(Record::encode_all(std::iter::empty(), 100).is_empty());
}

/// The end of a long file name is no whole request.
#[test]
fn a_request_that_was_too_long_stays_so() {
    let mut transfer = a_transfer();
    transfer.request = SavedRequest::told(&[b'a'; 158], false);
    let read = Record::decode_all(&encoded(&[Record::Transfer(transfer)])).expect("a record");
    let Record::Transfer(read) = &read[0] else { panic!("another kind") };
    assert_eq!((read.request.whole(), read.request.bytes().len()), (None, 158));
}

/// Records as version 1 writes them. They must be read for ever.
#[test]
fn records_of_earlier_builds_are_read() {
    let transfer = "015a00000a0003049610000a00006e830803ac02d08603d18603010000000200000000f0a204808080808020\
                    05040102000a00030401bc0503409c000001030000ffffffff010000020201110001626f6f742e696d67006f\
                    6374657400";
    let connection = "0254000601fd000000000000000000000000030004c0b8020416000a00006e8408160702060a000304000001\
                      0800ffffffff0f01ffffffff0f0101ffffffffffffffffff01141401ffffffff0f0700ffffffff0f070001";
    for (hex, record) in [
        (transfer, Record::Transfer(a_transfer())),
        (connection, Record::Connection(a_connection())),
    ] {
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        let bytes: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
        let written = encoded(std::slice::from_ref(&record));
        let text: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, hex);
        let read = Record::decode_all(&bytes).expect("a record");
        assert_eq!(format!("{read:?}"), format!("{:?}", [record]));
    }
}

#[test]
fn what_a_newer_gate_adds_is_left_out() {
    let mut bytes = vec![99, 2, 0, 7, 7];
    bytes.extend(encoded(&[Record::Transfer(a_transfer())]));
    // Two more bytes behind the body.
    let len = u16::from_le_bytes([bytes[6], bytes[7]]) + 2;
    bytes[6..8].copy_from_slice(&len.to_le_bytes());
    bytes.extend([1, 2]);
    let read = Record::decode_all(&bytes).expect("records");
    assert_eq!(encoded(&read), encoded(&[Record::Transfer(a_transfer())]));
}

#[test]
fn records_that_are_cut_off_or_senseless_are_refused() {
    for record in [Record::Transfer(a_transfer()), Record::Connection(a_connection())] {
        let bytes = encoded(&[record]);
        for len in 1..bytes.len() {
            assert_eq!(Record::decode_all(&bytes[..len]).err(), Some(BadRecord), "{len}");
        }
    }
    let sound = encoded(&[Record::Transfer(a_transfer())]);
    let other = SyncedTransfer { state: TransferState::Requested, ..a_transfer() };
    let other = encoded(&[Record::Transfer(other)]);
    let place = sound.iter().zip(&other).position(|(one, other)| one != other).expect("the state");
    for state in [4, 255] {
        let mut bytes = sound.clone();
        bytes[place] = state;
        assert_eq!(Record::decode_all(&bytes).err(), Some(BadRecord));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_records_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Record::decode_all(&bytes);
    }

    #[test]
    fn changed_records_are_records_or_none(at in 0..170usize, by in 1..=255u8) {
        let mut bytes = encoded(&[Record::Transfer(a_transfer()), Record::Connection(a_connection())]);
        bytes[at] ^= by;
        if let Ok(records) = Record::decode_all(&bytes) {
            let read = Record::decode_all(&encoded(&records)).expect("records");
            prop_assert_eq!(format!("{read:?}"), format!("{records:?}"));
        }
    }
}
