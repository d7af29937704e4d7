//! Limits on TFTP options.

use wire::tftp;

/// A service's limits on TFTP options. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionLimits {
    /// Upper limit of `blksize` (RFC 2348 lets a server answer with less).
    pub max_blksize: Option<u16>,
    /// Upper limit of `windowsize` (RFC 7440 lets a server answer with less).
    pub max_windowsize: Option<u16>,
    /// Options to remove, from OACKs too.
    pub strip: Vec<String>,
}

impl OptionLimits {
    /// Whether no option is limited or removed.
    pub fn is_empty(&self) -> bool {
        *self == OptionLimits::default()
    }

    /// Whether options with this name are removed.
    pub fn strips(&self, name: &[u8]) -> bool {
        self.strip.iter().any(|strip| name.eq_ignore_ascii_case(strip.as_bytes()))
    }

    /// Rewrites the options of a request or OACK in place, within these limits and the path's. Returns the message's
    /// new length, which is never larger.
    pub fn apply(&self, message: &mut [u8], blocks: BlockLimits) -> usize {
        let largest = self.max_blksize.into_iter().chain(blocks.largest).min();
        let blocks = BlockLimits { largest, ..blocks };
        tftp::edit_options(message, |name, value| {
            let is = |option: &str| name.eq_ignore_ascii_case(option.as_bytes());
            let limit = |limit: &dyn Fn(u32) -> Option<u16>| {
                // Servers that use strtoul read a negative number as the largest one; the text is too short for another
                // number.
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
                // Each ACK of the client carries the window.
                tftp::Edit::Strip
            } else {
                tftp::Edit::Keep
            }
        })
    }
}

/// Limits that the path sets to blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLimits {
    /// Upper limit of the block size.
    pub largest: Option<u16>,
    /// Block sizes that fit one packet at the client must fit one at the server.
    pub fitting: Option<Fitting>,
}

/// The largest blocks that fit one packet at each end. The server's is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitting {
    /// At the client.
    pub client: u16,
    /// At the server.
    pub server: u16,
}

impl BlockLimits {
    /// The reduced size; `None`: unchanged.
    fn lower(&self, asked: u32) -> Option<u16> {
        let largest = self.largest.filter(|&largest| asked > largest.into());
        let size = largest.map_or(asked, u32::from);
        let fits = |fitting: &Fitting| {
            (u32::from(fitting.server) + 1..=fitting.client.into()).contains(&size)
        };
        self.fitting.filter(fits).map(|fitting| fitting.server).or(largest)
    }
}

/// The largest power of two up to `size`; `None` for 0.
fn power_of_two(size: u16) -> u16 {
    size.checked_ilog2().map_or(0, |log| 1 << log)
}

/// A number as servers read it (strtoul), saturated; `None`: not a number.
fn number(value: &[u8]) -> Option<u32> {
    let value = value.trim_ascii_start();
    let digits = value.strip_prefix(b"+").unwrap_or(value);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(digits).ok()?.parse().ok())?.or(Some(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|&glob| glob.to_owned()).collect()
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
            // Invalid numbers, and missing terminators, are left to the server.
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

    /// The IPv6 header is 20 bytes longer: a block in one packet stays in one; larger blocks are left unchanged.
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
