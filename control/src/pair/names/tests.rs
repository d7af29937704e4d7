use super::*;
use crate::active_config::ActiveConfig;
use crate::config::read;
use crate::config::sample::pair;
use crate::registry::Capacity;
use crate::registry::Registry;

fn active(text: &str) -> ActiveConfig {
    let written = read("test", text).unwrap_or_else(|faults| panic!("{faults}"));
    ActiveConfig::first(written, &Registry::default()).expect("room")
}

fn next(before: &ActiveConfig, text: &str) -> ActiveConfig {
    let written = read("test", text).unwrap_or_else(|faults| panic!("{faults}"));
    before.next(written, Capacity::ANY).expect("room")
}

/// The names as the peer hears them, message by message.
fn heard(names: &Names) -> Names {
    let mut heard = names.clone();
    for message in names.messages() {
        let Message::Names { is_first, backends, vips, interfaces } = message else {
            panic!("another message")
        };
        heard.hear(is_first, Names::from_message(backends, vips, interfaces));
    }
    heard
}

fn backends(peer: &ActiveConfig, ours: &ActiveConfig) -> Vec<Option<BackendId>> {
    Translation::new(&heard(&names(peer)), ours).backends
}

#[test]
fn names_are_heard_as_they_are_told() {
    let many = Names {
        backends: vec![("pxe".into(), "one".into(), "10.0.0.30".parse().unwrap()); 300],
        vips: vec!["fd00::1".parse().unwrap(); 129],
        interfaces: vec!["lan".into(), "wan".into()],
    };
    for names in [many, Names::default()] {
        assert_eq!(heard(&names), names);
    }
}

/// Each gate has its ours order, and ids of its ours.
#[test]
fn the_peer_s_ids_are_translated_by_names() {
    let (one, two) = ("name = \"one\"\naddress = \"10.0.0.30\"", "name = \"two\"");
    assert!(pair().contains(one) && pair().contains(two), "{}", pair());
    let [first, second] = [active(&pair()), next(&active(&pair().replace("pxe", "old")), &pair())];
    assert_eq!(backends(&first, &first), [0, 1].map(|id| Some(BackendId(id))));
    assert_eq!(backends(&first, &second), [2, 3].map(|id| Some(BackendId(id))));
    assert_eq!(backends(&second, &first), [None, None, Some(BackendId(0)), Some(BackendId(1))]);
}

/// A backend that has changed its address and got it back: flows of the other server's are not sent here.
#[test]
fn another_address_is_another_backend() {
    let changed = pair().replace("10.0.0.30", "10.0.0.40");
    let first = active(&pair());
    let moved = next(&first, &changed);
    let back = next(&moved, &pair());
    assert_eq!(backends(&first, &back), [0, 1].map(|id| Some(BackendId(id))));
    assert_eq!(backends(&moved, &active(&pair())), [Some(BackendId(0)), Some(BackendId(1)), None]);
    let peer = heard(&names(&moved));
    let ours = active(&pair());
    let unknown = Translation::new(&peer, &ours).unknown(&peer);
    assert_eq!(unknown, ["backend one of pxe (10.0.0.40)"]);
}
