//! The kernel's settings of a TAP. Some keep hosts on the link from changing the kernel's routes, which backends'
//! next hops are read from.

use std::{fs, io};

/// One setting of a TAP.
struct Setting {
    version: &'static str,
    /// The folder: `conf` or `neigh`.
    kind: &'static str,
    name: &'static str,
    value: &'static str,
    /// The consequence if it can't be written, as in some containers; `None` if another error will tell.
    without: Option<&'static str>,
}

const ROUTES: Option<&str> = Some("hosts on the link can change where packets go");
const DEATH: Option<&str> = Some("a dead backend is noticed later");

const fn closed(version: &'static str, name: &'static str) -> Setting {
    Setting { version, kind: "conf", name, value: "0", without: ROUTES }
}

const fn often(version: &'static str, name: &'static str, value: &'static str) -> Setting {
    Setting { version, kind: "neigh", name, value, without: DEATH }
}

const fn at_once(name: &'static str) -> Setting {
    Setting { version: "ipv6", kind: "conf", name, value: "0", without: None }
}

/// Without this, the kernel deletes a subnet's other addresses, whoever added them, along with the first one: and that one goes
/// when the configuration has another.
const PROMOTED: Setting = Setting {
    version: "ipv4",
    kind: "conf",
    name: "promote_secondaries",
    value: "1",
    without: Some("addresses go along with the first one of their subnet"),
};

/// Settings of every TAP. Over IPv4 the kernel accepts and sends redirects if either the interface or `all` allows it
/// (a router accepts them only if both do), so workers drop redirects in both directions.
const ALWAYS: [Setting; 8] = [
    closed("ipv4", "accept_redirects"),
    closed("ipv4", "send_redirects"),
    closed("ipv6", "accept_ra"),
    closed("ipv6", "autoconf"),
    closed("ipv6", "accept_redirects"),
    // A dead next hop is to be known in some 15 seconds, not in the kernel's usual minute.
    often("ipv4", "base_reachable_time_ms", "5000"),
    often("ipv4", "delay_first_probe_time", "1"),
    PROMOTED,
];

/// Settings of a TAP with IPv6 addresses. IPv6 may be off by default: where that can't be changed, the kernel refuses
/// the address, which is an error. Addresses must be valid at once, also the link-local one: where that can't be
/// changed, backends are found a second or two later.
const OVER_IPV6: [Setting; 4] = [
    at_once("disable_ipv6"),
    at_once("accept_dad"),
    often("ipv6", "base_reachable_time_ms", "5000"),
    often("ipv6", "delay_first_probe_time", "1"),
];

/// Corrects settings that differ; returns their names, and logs those that can't be written.
pub fn settle(tap: &str, has_ipv6: bool) -> Vec<String> {
    let over_ipv6: &[Setting] = if has_ipv6 { &OVER_IPV6 } else { &[] };
    ALWAYS.iter().chain(over_ipv6).filter_map(|setting| setting.settle(tap)).collect()
}

/// The names of settings that differ.
pub fn astray(tap: &str, has_ipv6: bool) -> Vec<String> {
    let over_ipv6: &[Setting] = if has_ipv6 { &OVER_IPV6 } else { &[] };
    let all = ALWAYS.iter().chain(over_ipv6);
    all.filter(|setting| setting.is_astray(tap)).map(Setting::title).collect()
}

impl Setting {
    fn path(&self, tap: &str) -> String {
        let Setting { version, kind, name, .. } = self;
        format!("/proc/sys/net/{version}/{kind}/{tap}/{name}")
    }

    fn title(&self) -> String {
        format!("{} {}", self.version, self.name)
    }

    /// Whether the setting differs. One that can't be read does not: a kernel without IPv6 has none of these.
    fn is_astray(&self, tap: &str) -> bool {
        fs::read_to_string(self.path(tap)).is_ok_and(|now| now.trim() != self.value)
    }

    fn settle(&self, tap: &str) -> Option<String> {
        if !self.is_astray(tap) {
            return None;
        }
        match fs::write(self.path(tap), self.value) {
            Ok(()) => Some(self.title()),
            Err(error) => {
                self.complain(tap, &error);
                None
            }
        }
    }

    fn complain(&self, tap: &str, error: &io::Error) {
        if let Some(without) = self.without {
            log::warn!("cannot write {}: {error}; {without}", self.path(tap));
        }
    }
}
