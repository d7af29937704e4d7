use super::*;
use proptest::prelude::*;

/// A message of each kind and its bytes, as version 1 sends them. They must be understood for ever.
fn recorded() -> [(Message, &'static [u8]); 7] {
    let vips: Vec<IpAddr> = ["10.0.0.100", "fd00::100"].map(|vip| vip.parse().unwrap()).into();
    [
        (
            Message::Hello { version: 1, least_version: 1, build: "0.1.0".into() },
            b"\x01\x01\x01\x050.1.0",
        ),
        (
            Message::Names {
                is_first: true,
                backends: vec![
                    ("pxe".into(), "one".into(), vips[0]),
                    ("pxe".into(), "".into(), vips[0]),
                ],
                vips: vips.clone(),
                interfaces: vec!["lan".into()],
            },
            b"\x02\x01\x02\x03pxe\x03one\x00\x0a\x00\x00\x64\x03pxe\x00\x00\x0a\x00\x00\x64\x02\x00\x0a\x00\x00\x64\
              \x01\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x03lan",
        ),
        (Message::Rows(vec![0, 1, 255]), b"\x03\x00\x01\xff"),
        (Message::LastRows(vec![0, 1, 255]), b"\x07\x00\x01\xff"),
        (
            Message::RoundEnd { round: 300, held: vips[..1].into() },
            b"\x04\xac\x02\x01\x00\x0a\x00\x00\x64",
        ),
        (
            Message::Done { round: u64::MAX, refused: 7 },
            b"\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x07",
        ),
        (
            Message::Stations(vec![Station {
                interface: "lan".into(),
                mac: [2, 0, 0, 0, 0, 9],
                addresses: vips[..1].into(),
            }]),
            b"\x06\x01\x03lan\x02\x00\x00\x00\x00\x09\x01\x00\x0a\x00\x00\x64",
        ),
    ]
}

#[test]
fn recorded_messages_are_understood() {
    for (message, bytes) in recorded() {
        assert_eq!(Message::decode(bytes), Ok(Some(message.clone())));
        assert_eq!(message.encode(), bytes);
    }
}

#[test]
fn a_newer_version_s_fields_and_kinds_are_skipped() {
    for (message, bytes) in recorded() {
        let more = [bytes, b"more"].concat();
        let expected = match message {
            Message::Rows(_) => Message::Rows(more[1..].into()),
            Message::LastRows(_) => Message::LastRows(more[1..].into()),
            other => other,
        };
        assert_eq!(Message::decode(&more), Ok(Some(expected)));
    }
    for kind in [0, 8, 255] {
        assert_eq!(Message::decode(&[kind]), Ok(None));
        assert_eq!(Message::decode(&[kind, 1, 2, 3]), Ok(None));
    }
}

#[test]
fn incomplete_messages_are_refused() {
    assert_eq!(Message::decode(&[]), Err(BadMessage::Empty));
    for (message, bytes) in recorded() {
        if !matches!(message, Message::Rows(_) | Message::LastRows(_)) {
            for end in 1..bytes.len() {
                assert_eq!(Message::decode(&bytes[..end]), Err(BadMessage::Malformed));
            }
        }
    }
    for bytes in [
        // A version beyond 16 bits, text that is no UTF-8, a third address family.
        &b"\x01\xff\xff\xff\x01\x01\x00"[..],
        b"\x01\x01\x01\x01\xff",
        b"\x04\x01\x01\x02\x0a\x00\x00\x64",
        // A list of 2^63 entries.
        b"\x04\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        assert_eq!(Message::decode(bytes), Err(BadMessage::Malformed), "{bytes:?}");
    }
}

#[test]
fn lists_and_names_have_an_end() {
    let held =
        |count| Message::RoundEnd { round: 1, held: vec!["10.0.0.1".parse().unwrap(); count] };
    let names = |service: &str, backend: &str, interface: &str| Message::Names {
        is_first: false,
        backends: vec![(service.into(), backend.into(), "10.0.0.30".parse().unwrap())],
        vips: vec![],
        interfaces: vec![interface.into()],
    };
    let many = |backends, vips, interfaces| Message::Names {
        is_first: false,
        backends: vec![(String::new(), String::new(), "::1".parse().unwrap()); backends],
        vips: vec!["::1".parse().unwrap(); vips],
        interfaces: vec![String::new(); interfaces],
    };
    let stations = |interface: &str, count| {
        let addresses = vec!["::1".parse().unwrap(); count];
        Message::Stations(vec![Station { interface: interface.into(), mac: [2; 6], addresses }])
    };
    let hello = |build| Message::Hello { version: 1, least_version: 1, build };
    let [fits, long] = ["a".repeat(256), "a".repeat(257)];
    for message in [
        held(65_536),
        many(65_536, 65_536, 65_536),
        names(&fits, &fits, &fits),
        stations(&fits, 65_536),
        hello(fits.clone()),
    ] {
        assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
    }
    for (message, fault) in [
        (held(65_537), BadMessage::TooMany(65_537)),
        (many(65_537, 0, 0), BadMessage::TooMany(65_537)),
        (many(0, 65_537, 0), BadMessage::TooMany(65_537)),
        (many(0, 0, 65_537), BadMessage::TooMany(65_537)),
        (names(&long, "", ""), BadMessage::LongName(257)),
        (names("", &long, ""), BadMessage::LongName(257)),
        (names("", "", &long), BadMessage::LongName(257)),
        (hello(long.clone()), BadMessage::LongName(257)),
        (stations(&long, 0), BadMessage::LongName(257)),
        (stations("", 65_537), BadMessage::TooMany(65_537)),
        (stations("\u{7}", 0), BadMessage::ActingName),
        (names("", "a\u{1b}[2J", ""), BadMessage::ActingName),
        (hello("\u{202e}".into()), BadMessage::ActingName),
    ] {
        assert_eq!(Message::decode(&message.encode()), Err(fault));
    }
}

fn name() -> impl Strategy<Value = String> {
    "[ -~äß]{0,100}"
}

fn station() -> impl Strategy<Value = Station> {
    let addresses = prop::collection::vec(any::<IpAddr>(), 0..5);
    (name(), any::<[u8; 6]>(), addresses).prop_map(|(interface, mac, addresses)| Station {
        interface,
        mac,
        addresses,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let vips = prop::collection::vec(any::<IpAddr>(), 0..20);
    let backends = prop::collection::vec((name(), name(), any::<IpAddr>()), 0..20);
    let interfaces = prop::collection::vec(name(), 0..20);
    prop_oneof![
        (any::<u16>(), any::<u16>(), name()).prop_map(|(version, least_version, build)| {
            Message::Hello { version, least_version, build }
        }),
        (any::<bool>(), backends, vips.clone(), interfaces).prop_map(
            |(is_first, backends, vips, interfaces)| {
                Message::Names { is_first, backends, vips, interfaces }
            }
        ),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Message::Rows),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Message::LastRows),
        (any::<u64>(), vips).prop_map(|(round, held)| Message::RoundEnd { round, held }),
        (any::<u64>(), any::<u32>()).prop_map(|(round, refused)| Message::Done { round, refused }),
        prop::collection::vec(station(), 0..5).prop_map(Message::Stations),
    ]
}

proptest! {
    #[test]
    fn a_message_is_decoded_as_it_was_encoded(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
    }

    #[test]
    fn no_bytes_make_it_panic(kind in 0u8..8, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[kind][..], &body].concat();
        if let Ok(Some(message)) = Message::decode(&bytes) {
            // A message may be written in more than one way, but means the same.
            prop_assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
        }
    }

    #[test]
    fn no_changed_byte_makes_it_panic(message in message(), place: prop::sample::Index, byte: u8) {
        let mut bytes = message.encode();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = Message::decode(&bytes);
    }
}
