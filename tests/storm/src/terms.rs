//! Negotiated options.

use wire::tftp::{DEFAULT_BLKSIZE, Options};

/// Negotiated options of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Bytes of a full block (RFC 2348).
    pub blksize: u16,
    /// Blocks per ACK (RFC 7440).
    pub windowsize: u16,
}

impl Terms {
    /// RFC 1350's defaults.
    pub const PLAIN: Terms = Terms { blksize: DEFAULT_BLKSIZE, windowsize: 1 };

    /// Terms by options, with defaults for missing ones.
    pub fn of(options: Options) -> Terms {
        let blksize = number(options, b"blksize").filter(|size| (8..=65_464).contains(size));
        let windowsize = number(options, b"windowsize").filter(|&blocks| blocks > 0);
        Terms {
            blksize: blksize.unwrap_or(Terms::PLAIN.blksize),
            windowsize: windowsize.unwrap_or(Terms::PLAIN.windowsize),
        }
    }

    /// Options to ask for; none for defaults.
    pub fn asked(self) -> Vec<(&'static str, u64)> {
        let blksize = ("blksize", u64::from(self.blksize));
        let windowsize = ("windowsize", u64::from(self.windowsize));
        let mut options = vec![];
        options.extend((self.blksize != Terms::PLAIN.blksize).then_some(blksize));
        options.extend((self.windowsize != Terms::PLAIN.windowsize).then_some(windowsize));
        options
    }
}

/// The number in an option.
pub fn number<T: std::str::FromStr>(options: Options, name: &[u8]) -> Option<T> {
    std::str::from_utf8(options.value(name)?).ok()?.parse().ok()
}
