//! Checks of a service's protocol, and of the keys that only some protocols have.

use super::check::Checker;
use super::file::{self, place};
use super::types::Mode;
use engine::snapshot::{Ftp, Protocol};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// The timeouts of RFC 5382, REQ-5: two hours and four minutes of silence, and four minutes for half-open and closing
/// connections.
const TCP_IDLE: Duration = Duration::from_secs(124 * 60);
const TRANSITORY: Duration = Duration::from_secs(4 * 60);
/// The timeout of RFC 4787, REQ-5.
const UDP_IDLE: Duration = Duration::from_secs(5 * 60);
const TFTP_IDLE: Duration = Duration::from_secs(60);
/// Time for a draining backend to answer over UDP, by default.
const DRAIN: Duration = Duration::from_secs(60);

const HOUR: u64 = 3600;

impl Checker {
    pub fn protocol(&mut self, written: &file::Service, mode: &Mode) -> Protocol {
        let word = &written.protocol;
        let protocol = match word.as_ref().as_str() {
            "tftp" => Protocol::Tftp,
            "ftp" => Protocol::Ftp(self.ftp(written, mode)),
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "any" => Protocol::Any,
            other => {
                let hint = "\"tftp\", \"ftp\", \"tcp\", \"udp\" or \"any\"";
                self.fault(word.span(), format!("no such protocol: `{other}`"), hint);
                return Protocol::Tftp;
            }
        };
        if protocol == Protocol::Any && *mode != Mode::Dsr {
            let what = "`any` needs `mode = \"dsr\"`";
            self.fault(word.span(), what, "there is nothing to translate in what nobody knows");
        }
        self.keys_of_its_protocol(written, protocol);
        protocol
    }

    fn ftp(&mut self, written: &file::Service, mode: &Mode) -> Ftp {
        let data_port = &written.data_port;
        let data_port = data_port.is_some().then(|| self.number(data_port, 0, 1..=65_535) as u16);
        let foreign_data = written.foreign_data.as_ref();
        for place in [place(&written.data_port), place(&written.foreign_data)] {
            if let (Some(place), Mode::Dsr) = (place, mode) {
                let what = "this does not go with `mode = \"dsr\"`";
                self.fault(place, what, "nothing is read there that servers say: leave it out");
            }
        }
        Ftp { data_port, foreign_data: foreign_data.is_some_and(|written| *written.as_ref()) }
    }

    /// Refuses keys that belong to other protocols, and would have no effect.
    fn keys_of_its_protocol(&mut self, written: &file::Service, protocol: Protocol) {
        let mut only = |key: &str, place: Option<Range<usize>>, protocols: &[&str]| {
            if let (Some(place), false) = (place, protocols.contains(&protocol.name())) {
                let what = format!("`{key}` does not go with `protocol = \"{}\"`", protocol.name());
                self.fault(place, what, "leave it out");
            }
        };
        only("port", place(&written.port), &["tftp", "ftp", "tcp", "udp"]);
        only("transitory_timeout", place(&written.transitory_timeout), &["ftp", "tcp"]);
        only("drain_timeout", place(&written.drain_timeout), &["udp", "any"]);
        only("data_port", place(&written.data_port), &["ftp"]);
        only("foreign_data", place(&written.foreign_data), &["ftp"]);
        only("broadcast", place(&written.broadcast), &["tftp"]);
        only("failover", place(&written.failover), &["tftp"]);
        only("read_only", place(&written.read_only), &["tftp"]);
        only("allow_files", place(&written.allow_files), &["tftp"]);
        only("deny_files", place(&written.deny_files), &["tftp"]);
        only("max_requests_per_client", place(&written.max_requests_per_client), &["tftp"]);
        let connections = place(&written.max_connections_per_client);
        only("max_connections_per_client", connections, &["ftp", "tcp", "udp"]);
        only("max_blksize", place(&written.max_blksize), &["tftp"]);
        only("max_windowsize", place(&written.max_windowsize), &["tftp"]);
        only("strip_options", place(&written.strip_options), &["tftp"]);
        only("rule", written.rule.first().map(Spanned::span), &["tftp"]);
        for backend in written.backend.iter().map(Spanned::as_ref) {
            only("aliases", place(&backend.aliases), &["tftp"]);
            only("passive_ports", place(&backend.passive_ports), &["ftp"]);
        }
    }

    /// Reads the port of a service; 0: every port.
    pub fn port(&mut self, written: &file::Service, protocol: Protocol) -> u16 {
        if written.port.is_none() && protocol.default_port().is_none() && protocol != Protocol::Any
        {
            let what = format!("`protocol = \"{}\"` without `port`", protocol.name());
            self.fault(written.protocol.span(), what, "this one needs `port`");
        }
        let default = protocol.default_port().unwrap_or_default();
        // Active data comes to clients from the port below.
        let least = if matches!(protocol, Protocol::Ftp(_)) { 2 } else { 1 };
        self.number(&written.port, default.into(), least..=65_535) as u16
    }

    /// Reads the idle timeouts: of transfers and open connections, and of half-open and closing connections.
    pub fn timeouts(&mut self, written: &file::Service, protocol: Protocol) -> [Duration; 2] {
        let (idle, longest) = match protocol {
            Protocol::Tftp => (TFTP_IDLE, HOUR),
            Protocol::Ftp(_) | Protocol::Tcp => (TCP_IDLE, 24 * HOUR),
            Protocol::Udp | Protocol::Any => (UDP_IDLE, 24 * HOUR),
        };
        let idle = self.duration(&written.idle_timeout, 1..=longest).unwrap_or(idle);
        let transitory = self.duration(&written.transitory_timeout, 1..=HOUR);
        [idle, transitory.unwrap_or(TRANSITORY.min(idle))]
    }

    /// Reads the time for which datagrams still go to a draining backend: nothing else ends a stream of them.
    pub fn drain_timeout(
        &mut self,
        written: &file::Service,
        protocol: Protocol,
    ) -> Option<Duration> {
        let length = self.duration(&written.drain_timeout, 1..=24 * HOUR).unwrap_or(DRAIN);
        matches!(protocol, Protocol::Udp | Protocol::Any).then_some(length)
    }
}

#[cfg(test)]
mod tests;
