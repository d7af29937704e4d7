//! What a service's clients may ask for, what becomes of their requests' options, and which backends a
//! request is for.

use fast_glob::glob_match;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::tftp::{self, Request};

/// What clients may ask for. The default: anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// No uploads.
    pub read_only: bool,
    /// Only these files; none named: all.
    pub allow_files: Vec<String>,
    /// Not these, even if they are among those, whatever the case that their names are spelled in: some servers don't
    /// mind. The patterns are in lower case.
    pub deny_files: Vec<String>,
    /// Only these clients; none named: all.
    pub allow_clients: Vec<IpNet>,
    /// Requests that a client may make in a minute, and at once; `None`: any number.
    pub max_requests: Option<u16>,
    /// The most connections that a client may have at a time, and as many for data that nobody announces; `None`: any
    /// number.
    pub max_connections: Option<u32>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An upload.
    ReadOnly,
    /// A file that is not for clients.
    File,
    /// Not a client of this service.
    Client,
    /// Too many requests of one client.
    Rate,
}

impl Refusal {
    /// What the client is told: an ERROR 2, access violation (RFC 1350 §5), with a text.
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
    /// Whether this client may ask for anything.
    #[inline]
    pub fn admits(&self, client: IpAddr) -> bool {
        self.allow_clients.is_empty() || contains(&self.allow_clients, client)
    }

    /// Whether this client may ask for that, but for how often it does.
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
        path.bytes.make_ascii_lowercase();
        if allowed && !path.matches(&self.deny_files) { Ok(()) } else { Err(Refusal::File) }
    }
}

/// What becomes of requests' options. The default: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionLimits {
    /// A larger `blksize` becomes this (RFC 2348 lets a server answer with less).
    pub max_blksize: Option<u16>,
    /// A larger `windowsize` becomes this (RFC 7440 lets a server answer with less).
    pub max_windowsize: Option<u16>,
    /// Options that are taken out, of answers too.
    pub strip: Vec<String>,
}

impl OptionLimits {
    /// Whether nothing becomes of any option.
    pub fn is_empty(&self) -> bool {
        *self == OptionLimits::default()
    }

    /// Rewrites a request's or an OACK's options in place, with a limit of the way's to a block; answers the
    /// message's length now, which is no larger.
    pub fn apply(&self, message: &mut [u8], largest_block: Option<u16>) -> usize {
        let max_blksize = self.max_blksize.into_iter().chain(largest_block).min();
        tftp::edit_options(message, |name, value| {
            let limit = |option: &str, most: Option<u16>| {
                let most = most.filter(|_| name.eq_ignore_ascii_case(option.as_bytes()))?;
                // To a server that is the largest there is (strtoul), and too short to hold another number.
                if value.trim_ascii_start().starts_with(b"-") {
                    return Some(tftp::Edit::Strip);
                }
                (number(value)? > most.into()).then_some(tftp::Edit::Lower(most))
            };
            if self.strip.iter().any(|strip| name.eq_ignore_ascii_case(strip.as_bytes())) {
                return tftp::Edit::Strip;
            }
            limit("blksize", max_blksize)
                .or_else(|| limit("windowsize", self.max_windowsize))
                .unwrap_or(tftp::Edit::Keep)
        })
    }
}

/// A number as servers read it (strtoul), no larger than fits; `None`: it is none.
fn number(value: &[u8]) -> Option<u32> {
    let value = value.trim_ascii_start();
    let digits = value.strip_prefix(b"+").unwrap_or(value);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(digits).ok()?.parse().ok())?.or(Some(u32::MAX))
}

/// Which requests are for some of the backends alone. All that is named must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// One of these files; none named: any.
    pub files: Vec<String>,
    /// Uploads, or downloads; `None`: both.
    pub is_write: Option<bool>,
    /// One of these clients; none named: any.
    pub clients: Vec<IpNet>,
}

impl Rule {
    /// Whether it is for this request.
    pub fn is_for(&self, client: IpAddr, request: &Request) -> bool {
        self.is_write.is_none_or(|is_write| is_write == request.is_write)
            && (self.clients.is_empty() || contains(&self.clients, client))
            && (self.files.is_empty()
                || Path::of(request.file).is_some_and(|path| path.matches(&self.files)))
    }
}

fn contains(nets: &[IpNet], client: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&client))
}

/// A file's path as servers come to understand it: without a `/` in front, `\` for `/`, `.` and `..`
/// resolved. So no spelling of a name gets round a rule about it.
pub(crate) struct Path {
    bytes: [u8; LONGEST],
    len: usize,
}

/// No longer name is looked at: a request of 512 bytes (RFC 2347) has none.
const LONGEST: usize = 512;

impl Path {
    /// `None`: it is too long, or leads out of the root.
    pub(crate) fn of(file: &[u8]) -> Option<Path> {
        let mut path = Path { bytes: [0; LONGEST], len: 0 };
        for part in file.split(|byte| matches!(byte, b'/' | b'\\')) {
            match part {
                b"" | b"." => {}
                b".." => path.leave()?,
                part => path.enter(part)?,
            }
        }
        Some(path)
    }

    fn enter(&mut self, part: &[u8]) -> Option<()> {
        let slash = usize::from(self.len > 0);
        let end = self.len + slash + part.len();
        let place = self.bytes.get_mut(self.len..end)?;
        place[..slash].fill(b'/');
        place[slash..].copy_from_slice(part);
        self.len = end;
        Some(())
    }

    fn leave(&mut self) -> Option<()> {
        let known = self.as_bytes();
        (!known.is_empty()).then_some(())?;
        self.len = known.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn matches(&self, globs: &[String]) -> bool {
        globs.iter().any(|glob| glob_match(glob, self.as_bytes()))
    }
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

    #[test]
    fn a_rule_is_for_what_fits_all_that_it_names() {
        let rule = Rule {
            files: globs(&["*.efi", "grub/**"]),
            is_write: Some(false),
            clients: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let is_for = |bytes: &[u8], client: &str| {
            let Ok(Message::Request(request)) = Message::parse(bytes) else { panic!() };
            rule.is_for(client.parse().unwrap(), &request)
        };
        assert!(is_for(b"\0\x01boot.efi\0octet\0", "10.1.0.9"));
        assert!(is_for(b"\0\x01/grub/x/y\0octet\0", "10.1.0.9"));
        assert!(!is_for(b"\0\x02boot.efi\0octet\0", "10.1.0.9"));
        assert!(!is_for(b"\0\x01boot.efi\0octet\0", "10.2.0.9"));
        assert!(!is_for(b"\0\x01boot.img\0octet\0", "10.1.0.9"));
    }

    #[test]
    fn options_are_lowered_and_stripped_and_nothing_else() {
        let limits = OptionLimits {
            max_blksize: Some(1428),
            max_windowsize: Some(8),
            strip: globs(&["multicast", "x"]),
        };
        for (before, after) in [
            (&b"\0\x01f\0octet\0"[..], &b"\0\x01f\0octet\0"[..]),
            (b"\0\x01f\0octet\0blksize\x008192\0", b"\0\x01f\0octet\0blksize\x001428\0"),
            (b"\0\x01f\0octet\0BlkSize\x0065464\0", b"\0\x01f\0octet\0BlkSize\x001428\0"),
            (b"\0\x01f\0octet\0blksize\x00512\0", b"\0\x01f\0octet\0blksize\x00512\0"),
            (
                b"\0\x02f\0octet\0tsize\x000\0windowsize\x0064\0timeout\x005\0",
                b"\0\x02f\0octet\0tsize\x000\0windowsize\x008\0timeout\x005\0",
            ),
            (b"\0\x01f\0octet\0MULTICAST\0\0tsize\x000\0", b"\0\x01f\0octet\0tsize\x000\0"),
            (b"\0\x01f\0octet\0x\x001\0x\x002\0X\x003\0", b"\0\x01f\0octet\0"),
            (b"\0\x06multicast\0a,1,1\0blksize\x00512\0", b"\0\x06blksize\x00512\0"),
            (b"\0\x01f\0octet\0blksize\x004294967296\0", b"\0\x01f\0octet\0blksize\x001428\0"),
            (b"\0\x01f\0octet\0blksize\0 +065464\0", b"\0\x01f\0octet\0blksize\x001428\0"),
            (b"\0\x01f\0octet\0blksize\0 -1\0tsize\x000\0", b"\0\x01f\0octet\0tsize\x000\0"),
            // What is no number, or no end, is left to the server.
            (b"\0\x01f\0octet\0blksize\0many\0", b"\0\x01f\0octet\0blksize\0many\0"),
            (b"\0\x01f\0octet\0multicast", b"\0\x01f\0octet\0multicast"),
            (b"\0\x01f\0octet\0x\x001\0blksize\x009000", b"\0\x01f\0octet\0blksize\x009000"),
            (b"\0\x03\0\x01x\x001\0", b"\0\x03\0\x01x\x001\0"),
        ] {
            let mut message = before.to_vec();
            let len = limits.apply(&mut message, None);
            assert_eq!(&message[..len], after, "{}", before.escape_ascii());
        }
    }
}
