//! Access rules of a service, checked for each request.

use crate::types::tftp_path::Path;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::tftp::Request;

/// Access rules of a service. The default allows everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Refuses uploads.
    pub read_only: bool,
    /// Allowed files (patterns); empty: all.
    pub allow_files: Vec<String>,
    /// Denied files (patterns in lower case), even if allowed above. Compared without regard to case, since some
    /// servers ignore it.
    pub deny_files: Vec<String>,
    /// Allowed clients; empty: all.
    pub allow_clients: Vec<IpNet>,
    /// Requests of a client per minute, and at once; `None`: no limit.
    pub max_requests: Option<u16>,
    /// Most connections of a client, and as many unannounced data connections; `None`: no limit.
    pub max_connections: Option<u32>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An upload to a read-only service.
    ReadOnly,
    /// A file that is not allowed.
    File,
    /// A client that is not allowed.
    Client,
    /// Too many requests of the client.
    Rate,
}

impl Refusal {
    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::ReadOnly => "read-only",
            Refusal::File => "file",
            Refusal::Client => "client",
            Refusal::Rate => "rate",
        }
    }

    /// The client's answer: ERROR 2, access violation (RFC 1350 §5), with a text.
    pub fn message(self) -> &'static [u8] {
        match self {
            Refusal::ReadOnly => b"\x00\x05\x00\x02This service takes no uploads\x00",
            Refusal::File => b"\x00\x05\x00\x02This file is not served here\x00",
            Refusal::Client => b"\x00\x05\x00\x02This service is not for you\x00",
            Refusal::Rate => b"\x00\x05\x00\x02Too many requests\x00",
        }
    }
}

impl Access {
    /// Whether the client is allowed.
    #[inline]
    pub fn admits(&self, client: IpAddr) -> bool {
        self.allow_clients.is_empty() || contains(&self.allow_clients, client)
    }

    /// Checks the request, except for its rate.
    pub fn check(&self, client: IpAddr, request: &Request) -> Result<(), Refusal> {
        if !self.admits(client) {
            return Err(Refusal::Client);
        }
        if self.read_only && request.is_write {
            return Err(Refusal::ReadOnly);
        }
        if self.allow_files.is_empty() && self.deny_files.is_empty() {
            return Ok(());
        }
        let mut path = Path::of(request.file).ok_or(Refusal::File)?;
        let allowed = self.allow_files.is_empty() || path.matches(&self.allow_files);
        path.make_lowercase();
        if allowed && !path.matches(&self.deny_files) { Ok(()) } else { Err(Refusal::File) }
    }
}

/// Whether the client is in one of the networks.
pub(super) fn contains(nets: &[IpNet], client: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::tftp::Message;

    fn globs(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|&glob| glob.to_owned()).collect()
    }

    fn check(access: &Access, file: &str, is_write: bool, client: &str) -> Result<(), Refusal> {
        let bytes = format!("\0{}{file}\0octet\0", if is_write { '\x02' } else { '\x01' });
        let Ok(Message::Request(request)) = Message::parse(bytes.as_bytes()) else { panic!() };
        access.check(client.parse().unwrap(), &request)
    }

    #[test]
    fn anything_is_allowed_by_default() {
        assert_eq!(check(&Access::default(), "../../etc/passwd", true, "10.0.0.9"), Ok(()));
    }

    #[test]
    fn files_by_any_spelling() {
        let access = Access {
            allow_files: globs(&["boot/**", "*.0"]),
            deny_files: globs(&["boot/secret/**"]),
            ..Access::default()
        };
        for (file, allowed) in [
            ("pxelinux.0", true),
            ("/pxelinux.0", true),
            ("boot/a/b.img", true),
            ("\\boot\\a.img", true),
            ("boot/secret/../a.img", true),
            ("dir/pxelinux.0", false),
            ("boot", false),
            ("boot/secret/key", false),
            ("boot//secret/key", false),
            ("/boot/./secret/key", false),
            ("boot\\secret\\key", false),
            ("boot/SECRET/Key", false),
            ("Boot/a.img", false),
            ("boot/a/../secret/key", false),
            ("../boot/a.img", false),
            ("", false),
        ] {
            let refusal = if allowed { Ok(()) } else { Err(Refusal::File) };
            if !file.is_empty() {
                assert_eq!(check(&access, file, false, "10.0.0.9"), refusal, "{file}");
            }
        }
        let long = format!("boot/{}", "a".repeat(600));
        assert_eq!(check(&access, &long, false, "10.0.0.9"), Err(Refusal::File));
    }

    #[test]
    fn uploads_and_clients() {
        let nets = ["10.0.0.0/24", "fd00::/64"].map(|net| net.parse().unwrap());
        let access = Access { read_only: true, allow_clients: nets.into(), ..Access::default() };
        let admits = |client: &str| access.admits(client.parse().unwrap());
        assert!(admits("10.0.0.9") && admits("fd00::9") && !admits("10.0.1.9"));
        assert_eq!(check(&access, "f", false, "10.0.0.9"), Ok(()));
        assert_eq!(check(&access, "f", false, "fd00::9"), Ok(()));
        assert_eq!(check(&access, "f", true, "10.0.0.9"), Err(Refusal::ReadOnly));
        assert_eq!(check(&access, "f", false, "10.0.1.9"), Err(Refusal::Client));
        assert_eq!(check(&access, "f", false, "fd01::9"), Err(Refusal::Client));
    }
}
