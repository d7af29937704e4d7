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

    /// Whether the option of this name is taken out.
    pub fn strips(&self, name: &[u8]) -> bool {
        self.strip.iter().any(|strip| name.eq_ignore_ascii_case(strip.as_bytes()))
    }

    /// Rewrites a request's or an OACK's options in place, with the limits of the way to a block; answers the
    /// message's length now, which is no larger.
    pub fn apply(&self, message: &mut [u8], blocks: BlockLimits) -> usize {
        let largest = self.max_blksize.into_iter().chain(blocks.largest).min();
        let blocks = BlockLimits { largest, ..blocks };
        tftp::edit_options(message, |name, value| {
            let is = |option: &str| name.eq_ignore_ascii_case(option.as_bytes());
            let limit = |limit: &dyn Fn(u32) -> Option<u16>| {
                // To a server that is the largest there is (strtoul), and too short to hold another number.
                if value.trim_ascii_start().starts_with(b"-") && limit(u32::MAX).is_some() {
                    return tftp::Edit::Strip;
                }
                number(value).and_then(limit).map_or(tftp::Edit::Keep, tftp::Edit::Lower)
            };
            if self.strips(name) {
                tftp::Edit::Strip
            } else if is("blksize") {
                limit(&|asked| blocks.lower(asked))
            } else if is("blksize2") {
                // A power of two (tftp-hpa).
                limit(&|asked| blocks.lower(asked).map(power_of_two))
            } else if is("windowsize") {
                limit(&|asked| self.max_windowsize.filter(|&most| asked > most.into()))
            } else if is("msftwindow") && self.max_windowsize.is_some() {
                // The window is in each ACK of the client's.
                tftp::Edit::Strip
            } else {
                tftp::Edit::Keep
            }
        })
    }
}

/// What the way lets blocks be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLimits {
    /// A larger one becomes this.
    pub largest: Option<u16>,
    /// What fits one packet at the client's end is to fit one at the server's.
    pub fitting: Option<Fitting>,
}

/// The largest blocks that one packet holds at each end, of which the server's are smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitting {
    /// At the client's.
    pub client: u16,
    /// At the server's.
    pub server: u16,
}

impl BlockLimits {
    /// What a size becomes that is asked for; `None`: it stays.
    fn lower(&self, asked: u32) -> Option<u16> {
        let largest = self.largest.filter(|&largest| asked > largest.into());
        let size = largest.map_or(asked, u32::from);
        let fits = |fitting: &Fitting| {
            (u32::from(fitting.server) + 1..=fitting.client.into()).contains(&size)
        };
        self.fitting.filter(fits).map(|fitting| fitting.server).or(largest)
    }
}

/// The largest power of two that is no larger; 0 has none.
fn power_of_two(size: u16) -> u16 {
    size.checked_ilog2().map_or(0, |log| 1 << log)
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
            (b"\0\x01f\0octet\0BLKSIZE2\x008192\0", b"\0\x01f\0octet\0BLKSIZE2\x001024\0"),
            (b"\0\x01f\0octet\0blksize2\x001024\0", b"\0\x01f\0octet\0blksize2\x001024\0"),
            (
                b"\0\x01f\0octet\0msftwindow\x0031416\0blksize\x001400\0",
                b"\0\x01f\0octet\0blksize\x001400\0",
            ),
            // What is no number, or no end, is left to the server.
            (b"\0\x01f\0octet\0blksize\0many\0", b"\0\x01f\0octet\0blksize\0many\0"),
            (b"\0\x01f\0octet\0multicast", b"\0\x01f\0octet\0multicast"),
            (b"\0\x01f\0octet\0x\x001\0blksize\x009000", b"\0\x01f\0octet\0blksize\x009000"),
            (b"\0\x03\0\x01x\x001\0", b"\0\x03\0\x01x\x001\0"),
        ] {
            let mut message = before.to_vec();
            let len = limits.apply(&mut message, BlockLimits::default());
            assert_eq!(&message[..len], after, "{}", before.escape_ascii());
        }
    }

    /// From IPv4 to IPv6, whose header takes 20 bytes more: one packet stays one, and more than one are left alone.
    #[test]
    fn a_block_that_fits_one_packet_is_to_fit_the_other_end_s() {
        let fitting = Some(Fitting { client: 1468, server: 1448 });
        for (largest, asked, becomes) in [
            (None, 1448, None),
            (None, 1449, Some(1448)),
            (None, 1468, Some(1448)),
            (None, 1469, None),
            (None, 65_464, None),
            (Some(1468), 8192, Some(1448)),
            (Some(1500), 8192, Some(1500)),
            (Some(1400), 1468, Some(1400)),
        ] {
            let limits = BlockLimits { largest, fitting };
            assert_eq!(limits.lower(asked), becomes, "{largest:?} {asked}");
        }
    }
}
