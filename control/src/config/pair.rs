//! Checks of the section `[pair]`: this gate and the other one.

use super::address::Use;
use super::check::Checker;
use super::file;
use super::types::Pair;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// The age of flows that are sent, by default: a boot's many small files end before.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// The greatest age of flows that are sent, in seconds.
const LATEST: u64 = 3600;

impl Checker {
    /// Checks the section. The uses of addresses must be known.
    pub fn pair(&mut self, written: &file::Pair) -> Option<Pair> {
        let listen = self.gate(&written.listen);
        let peer = self.gate(&written.peer);
        let sync_after = self.duration(&written.sync_after, 0..=LATEST).unwrap_or(SYNC_AFTER);
        if !written.key.as_ref().starts_with('/') {
            self.fault(written.key.span(), "no key can be there", "write an absolute path");
        }
        let (listen, peer) = (listen?, peer?);
        self.two_gates(listen, peer, written.peer.span());
        Some(Pair { listen, peer, key: PathBuf::from(written.key.as_ref()), sync_after })
    }

    /// Reads the address and port of a gate.
    fn gate(&mut self, written: &Spanned<String>) -> Option<SocketAddr> {
        let text: &String = written.as_ref();
        let Ok(gate) = text.parse::<SocketAddr>() else {
            let what = format!("`{text}` is no address and port");
            self.fault(
                written.span(),
                what,
                "written like \"192.0.2.1:9470\" or \"[fd00::1]:9470\"",
            );
            return None;
        };
        let address = gate.ip();
        let (what, hint) = if gate.port() == 0 {
            ("no one finds port 0".into(), "name the port")
        } else if is_of_many(address) {
            (format!("{address} is no host's address"), "write the address of one host")
        } else if is_link_local(address) {
            let hint = "write a global or unique local address";
            (format!("{address} is another host on each link"), hint)
        } else if self.uses.has(address, Use::Vip) || self.uses.has(address, Use::Snat) {
            let hint = "write an address that each gate has for itself";
            (format!("{address} moves between the gates"), hint)
        } else {
            return Some(gate);
        };
        self.fault(written.span(), what, hint);
        None
    }

    /// Checks that the other gate is another one, and can be reached from this one's address.
    fn two_gates(&mut self, listen: SocketAddr, peer: SocketAddr, span: Range<usize>) {
        if peer.ip().is_unspecified() {
            let what = format!("{} is no host's address", peer.ip());
            self.fault(span, what, "write the other gate's address");
        } else if listen == peer {
            self.fault(span, "this gate listens there itself", "write the other gate's address");
        } else if listen.is_ipv4() != peer.is_ipv4() {
            let what = format!("{} does not reach {}", listen.ip(), peer.ip());
            self.fault(span, what, "write both addresses over IPv4, or both over IPv6");
        }
    }
}

/// Whether many hosts have the address, or an IPv4 address is written as an IPv6 one.
fn is_of_many(address: IpAddr) -> bool {
    address.is_multicast() || address == Ipv4Addr::BROADCAST || address.to_canonical() != address
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::config::sample::{SOUND, parsed};

    const PAIR: &str = "[pair]\nlisten = \"192.0.2.1:9470\"\npeer = \"192.0.2.2:9471\"\n\
        key = \"/etc/tidegate/pair.key\"\n";

    fn pair(section: &str) -> Option<Pair> {
        parsed(&format!("{section}{SOUND}")).pair
    }

    #[test]
    fn two_gates_know_each_other() {
        assert_eq!(pair(""), None);
        let both = Pair {
            listen: "192.0.2.1:9470".parse().expect("an address"),
            peer: "192.0.2.2:9471".parse().expect("an address"),
            key: "/etc/tidegate/pair.key".into(),
            sync_after: Duration::from_secs(1),
        };
        assert_eq!(pair(PAIR), Some(both));
        for (text, sync_after) in [("0s", 0), ("1500ms", 1500), ("1h", 3_600_000)] {
            let read = pair(&format!("{PAIR}sync_after = \"{text}\"\n")).expect("a pair");
            assert_eq!(read.sync_after, Duration::from_millis(sync_after));
        }
    }

    #[test]
    fn gates_have_any_addresses_of_one_family() {
        for (listen, peer) in [
            ("0.0.0.0:9470", "192.0.2.2:9470"),
            ("127.0.0.1:9470", "127.0.0.1:9471"),
            ("10.0.0.2:9470", "10.0.0.3:9470"),
            ("[fd00::1]:9470", "[fd00::2]:9470"),
            ("[::]:9470", "[2001:db8::2]:9470"),
        ] {
            let section = PAIR.replace("192.0.2.1:9470", listen).replace("192.0.2.2:9471", peer);
            let both = pair(&section).expect("a pair");
            assert_eq!(
                (both.listen.to_string(), both.peer.to_string()),
                (listen.into(), peer.into())
            );
        }
    }

    #[test]
    fn faults_have_their_places() {
        const LISTEN: &str = "192.0.2.1:9470";
        const PEER: &str = "192.0.2.2:9471";
        const KEY: &str = "/etc/tidegate/pair.key";
        for (this, that, place, what) in [
            ("listen = \"192.0.2.1:9470\"\n", "", "1:1", "missing key `listen`"),
            ("peer = \"192.0.2.2:9471\"\n", "", "1:1", "missing key `peer`"),
            ("key = \"/etc/tidegate/pair.key\"\n", "", "1:1", "missing key `key`"),
            ("key =", "keys =", "4:1", "unknown key `keys`"),
            (LISTEN, "192.0.2.1", "2:10", "`192.0.2.1` is no address and port"),
            (LISTEN, "gate-a:9470", "2:10", "no address and port"),
            (PEER, "fd00::2:9470", "3:8", "no address and port"),
            (PEER, "", "3:8", "`` is no address and port"),
            (LISTEN, "192.0.2.1:0", "2:10", "port 0"),
            (PEER, "192.0.2.2:0", "3:8", "port 0"),
            (PEER, LISTEN, "3:8", "this gate listens there itself"),
            (PEER, "0.0.0.0:9470", "3:8", "0.0.0.0 is no host's address"),
            (PEER, "[::]:9470", "3:8", ":: is no host's address"),
            (PEER, "255.255.255.255:9470", "3:8", "no host's address"),
            (PEER, "224.0.0.18:9470", "3:8", "no host's address"),
            (LISTEN, "[ff02::1]:9470", "2:10", "no host's address"),
            (LISTEN, "[::ffff:192.0.2.1]:9470", "2:10", "no host's address"),
            (LISTEN, "[fe80::1]:9470", "2:10", "fe80::1 is another host on each link"),
            (LISTEN, "10.0.0.100:9470", "2:10", "10.0.0.100 moves between the gates"),
            (PEER, "10.0.0.101:9470", "3:8", "10.0.0.101 moves between the gates"),
            (PEER, "[fd00::2]:9470", "3:8", "192.0.2.1 does not reach fd00::2"),
            (LISTEN, "[::]:9470", "3:8", ":: does not reach 192.0.2.2"),
            (KEY, "pair.key", "4:7", "no key can be there"),
            ("key =", "sync_after = \"2h\"\nkey =", "4:14", "from \"0s\" to \"1h\""),
            ("key =", "sync_after = \"soon\"\nkey =", "4:14", "no usable length of time"),
        ] {
            assert!(PAIR.contains(this), "{this}");
            let pooled = SOUND.replace("vip =", "snat = [\"10.0.0.101\"]\nvip =");
            let text = format!("{}{pooled}", PAIR.replacen(this, that, 1));
            let shown = parse("test.toml", &text).expect_err(that).to_string();
            let is_told = shown.contains(&format!("test.toml:{place}\n")) && shown.contains(what);
            assert!(is_told, "{that}: not `{what}` at {place}:\n{shown}");
        }
    }
}
