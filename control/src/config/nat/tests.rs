use super::*;
use crate::config::parse;
use crate::config::sample::{SOUND, parsed};

/// The sound file with a rule, whose keys begin in line 16.
fn text(keys: &str) -> String {
    format!("{SOUND}\n[[nat]]\n{keys}\n")
}

const RULE: &str =
    "from = \"10.20.0.0/24\"\nprotocol = \"tcp\"\nsource_port = 20\nto = \"10.0.0.100\"";

#[test]
fn rules_are_in_their_order() {
    let second = RULE.replace("source_port = 20\n", "").replace("tcp", "udp").replace("/24", "");
    let rules = parsed(&format!("{}\n[[nat]]\n{second}\n", text(RULE))).nat;
    let to = "10.0.0.100".parse().unwrap();
    let from = ["10.20.0.0/24", "10.20.0.0/32"].map(|net| net.parse().unwrap());
    let first = NatRule { from: from[0], protocol: PROTOCOL_TCP, source_port: Some(20), to };
    let second = NatRule { from: from[1], protocol: PROTOCOL_UDP, source_port: None, to };
    assert_eq!(rules, [first, second]);
}

#[test]
fn every_fault_has_its_place_and_its_words() {
    for (this, that, place, words) in [
        ("10.20.0.0/24", "10.20.0.0/33", "16:8", "`10.20.0.0/33` is no prefix"),
        ("\"tcp\"", "\"icmp\"", "17:12", "`icmp` has no ports"),
        ("= 20", "= 0", "18:15", "0 is out of range"),
        ("10.0.0.100", "x", "19:6", "`x` is no IP address"),
        ("10.0.0.100", "10.0.0.101", "19:6", "10.0.0.101 is no service's VIP"),
        ("10.0.0.100", "10.0.0.30", "19:6", "10.0.0.30 is no service's VIP"),
        ("10.20.0.0/24", "fd00:20::/64", "19:6", "are of different address families"),
        ("to =", "too =", "19:1", "unknown key `too`"),
        ("from = \"10.20.0.0/24\"\n", "", "15:1", "missing key `from`"),
    ] {
        assert!(RULE.contains(this), "{this}");
        let shown = parse("test.toml", &text(&RULE.replace(this, that))).expect_err(that);
        let shown = shown.to_string();
        assert!(shown.contains(&format!("test.toml:{place}\n")), "{that}: not {place}:\n{shown}");
        assert!(shown.contains(words), "{that}: not `{words}`:\n{shown}");
    }
    let twice = format!("{}[[nat]]\n{RULE}\n", text(RULE));
    let shown = parse("test.toml", &twice).expect_err("twice").to_string();
    assert!(shown.contains("test.toml:20:1\n") && shown.contains("there already"), "{shown}");
}
