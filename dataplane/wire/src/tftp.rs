//! TFTP's grammar (RFC 1350, options RFC 2347), as lenient as real servers: modes and option names in any case, file
//! names as bytes.

use std::io::Write;
use std::str::FromStr;

/// Opcodes (RFC 1350 §5, RFC 2347).
mod opcode {
    pub const RRQ: u16 = 1;
    pub const WRQ: u16 = 2;
    pub const DATA: u16 = 3;
    pub const ACK: u16 = 4;
    pub const ERROR: u16 = 5;
    pub const OACK: u16 = 6;
}

/// ERROR 1: file not found.
pub const FILE_NOT_FOUND: u16 = 1;
/// ERROR 0: not defined, see the message.
pub const NOT_DEFINED: u16 = 0;
/// ERROR 5: unknown transfer ID.
pub const WRONG_TID: u16 = 5;
/// ERROR 8: the options were refused (RFC 2347).
pub const OPTIONS_REFUSED: u16 = 8;
/// Bytes of data in a full block unless negotiated otherwise.
pub const DEFAULT_BLKSIZE: u16 = 512;
/// Microsoft's WDS option: each ACK has a fifth byte, the number of blocks that the client asks for.
pub const MSFTWINDOW: &[u8] = b"msftwindow";
/// Bytes before the data in a DATA.
pub const DATA_HEADER: usize = 4;
/// Bytes of an ERROR before its text.
pub const ERROR_HEADER: usize = 4;
/// ERROR 5, unknown transfer ID, as bytes on the wire.
pub const UNKNOWN_TID: &[u8] = b"\x00\x05\x00\x05Unknown transfer ID\x00";

/// The ACK of a block, as bytes on the wire.
pub fn ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, opcode::ACK as u8, high, low]
}

/// One TFTP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// RRQ or WRQ.
    Request(Request<'a>),
    /// DATA: a block of the file.
    Data {
        /// The block number; it wraps.
        block: u16,
        /// Bytes of data in the block.
        len: u16,
    },
    /// ACK: a block has arrived.
    Ack {
        /// The block number.
        block: u16,
    },
    /// ERROR: the end of the transfer.
    Error {
        /// The error code (RFC 1350 §5, RFC 2347).
        code: u16,
    },
    /// OACK: the options that the server grants.
    Oack(Options<'a>),
}

/// A request to read or write a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// WRQ: the client sends the file.
    pub is_write: bool,
    /// The file name, as sent.
    pub file: &'a [u8],
    /// The options asked for.
    pub options: Options<'a>,
}

/// Option names and values, each terminated by a zero byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a>(&'a [u8]);

/// Error: the bytes are no TFTP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Message<'a> {
    /// Parses a datagram's data.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let Some((head, rest)) = bytes.split_first_chunk::<4>() else {
            return Message::parse_short(bytes);
        };
        let word = u16::from_be_bytes([head[2], head[3]]);
        match u16::from_be_bytes([head[0], head[1]]) {
            opcode::DATA => {
                let len = u16::try_from(rest.len()).map_err(|_| Malformed)?;
                Ok(Message::Data { block: word, len })
            }
            opcode::ACK => Ok(Message::Ack { block: word }),
            opcode @ (opcode::RRQ | opcode::WRQ) => {
                Request::parse(opcode == opcode::WRQ, &bytes[2..]).map(Message::Request)
            }
            opcode::ERROR => Ok(Message::Error { code: word }),
            opcode::OACK => Ok(Message::Oack(Options(&bytes[2..]))),
            _ => Err(Malformed),
        }
    }

    /// Parses a message of less than four bytes: only an OACK without options is that short.
    #[cold]
    fn parse_short(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        match bytes.split_first_chunk() {
            Some((opcode, rest)) if u16::from_be_bytes(*opcode) == opcode::OACK => {
                Ok(Message::Oack(Options(rest)))
            }
            _ => Err(Malformed),
        }
    }
}

impl<'a> Request<'a> {
    #[inline(never)]
    fn parse(is_write: bool, bytes: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (file, rest) = string(bytes)?;
        let (mode, options) = string(rest)?;
        let known = [&b"octet"[..], b"netascii", b"mail"];
        // Nearly all clients write the mode like this.
        let is_known = mode == known[0] || known.iter().any(|it| mode.eq_ignore_ascii_case(it));
        if file.is_empty() || !is_known {
            return Err(Malformed);
        }
        Ok(Request { is_write, file, options: Options(options) })
    }
}

/// An edit of one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// Leaves the option.
    Keep,
    /// Removes the option.
    Strip,
    /// Sets a smaller value.
    Lower(u16),
}

/// Edits the options of a request or OACK in place, by name and value. Returns the message's new length, which is never
/// larger. Other messages, and bytes behind a malformed option, stay unchanged.
pub fn edit_options(message: &mut [u8], mut edit: impl FnMut(&[u8], &[u8]) -> Edit) -> usize {
    let Some(mut read) = options_at(message) else { return message.len() };
    let mut write = read;
    while let Some((value, end)) = option_at(message, read) {
        let edit = edit(&message[read..value - 1], &message[value..end - 1]);
        let kept = match edit {
            Edit::Strip => read..read,
            Edit::Keep => read..end,
            Edit::Lower(_) => read..value,
        };
        message.copy_within(kept.clone(), write);
        write += kept.len();
        if let Edit::Lower(number) = edit {
            // The new value has no more digits than the old one.
            let mut place = &mut message[write..end];
            let room = place.len();
            let _ = write!(place, "{number}\0");
            write += room - place.len();
        }
        read = end;
    }
    message.copy_within(read.., write);
    write + message.len() - read
}

/// Offset of a message's options, if its opcode has any.
fn options_at(message: &[u8]) -> Option<usize> {
    let (head, rest) = message.split_first_chunk::<2>()?;
    let behind = match u16::from_be_bytes(*head) {
        opcode::RRQ | opcode::WRQ => string(string(rest).ok()?.1).ok()?.1,
        opcode::OACK => rest,
        _ => return None,
    };
    Some(message.len() - behind.len())
}

/// Offsets of the value and the end of the option at `at`.
fn option_at(message: &[u8], at: usize) -> Option<(usize, usize)> {
    let (name, behind) = string(&message[at..]).ok()?;
    let (value, _) = string(behind).ok()?;
    let value_at = at + name.len() + 1;
    Some((value_at, value_at + value.len() + 1))
}

impl<'a> Options<'a> {
    /// Whether there are no options.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first option with this name, in any case.
    pub fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        self.pairs().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The block size (RFC 2348, or tftp-hpa's power of two), if it is valid.
    pub fn blksize(self) -> Option<u16> {
        let size = self.number(b"blksize").or_else(|| self.number(b"blksize2"));
        size.filter(|size| *size >= 8)
    }

    /// The retransmission timeout in seconds (RFC 2349, or tftp-hpa's in microseconds), if there is one.
    pub fn timeout(self) -> Option<u8> {
        let millionths = || self.number(b"utimeout").map(|time: u32| time.div_ceil(1_000_000));
        let seconds = self.number(b"timeout").or_else(millionths)?;
        u8::try_from(seconds).ok().filter(|seconds| *seconds > 0)
    }

    /// The window size in blocks (RFC 7440), if it is valid.
    pub fn windowsize(self) -> Option<u16> {
        self.number(b"windowsize").filter(|size| *size > 0)
    }

    /// The file's size in bytes (RFC 2349).
    pub fn tsize(self) -> Option<u64> {
        self.number(b"tsize")
    }

    fn number<T: FromStr>(self, name: &[u8]) -> Option<T> {
        str::from_utf8(self.value(name)?).ok()?.parse().ok()
    }

    fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, behind) = string(rest).ok()?;
            let (value, behind) = string(behind).ok()?;
            rest = behind;
            Some((name, value))
        })
    }
}

fn string(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: &[u8]) -> Result<Request<'_>, Malformed> {
        match Message::parse(bytes)? {
            Message::Request(request) => Ok(request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_with_options() {
        let read = request(b"\0\x01boot\\x.img\0OcTeT\0tsize\x000\0BlkSize\x001428\0").unwrap();
        assert!(!read.is_write);
        assert_eq!(read.file, b"boot\\x.img");
        assert_eq!(read.options.value(b"TSIZE"), Some(&b"0"[..]));
        assert_eq!(read.options.blksize(), Some(1428));
        assert_eq!(read.options.value(b"windowsize"), None);
    }

    #[test]
    fn the_three_modes_and_no_other() {
        for mode in ["netascii", "MAIL", "Octet"] {
            assert!(request(format!("\0\x02f\0{mode}\0").as_bytes()).unwrap().is_write);
        }
        assert_eq!(request(b"\0\x01f\0binary\0"), Err(Malformed));
    }

    #[test]
    fn what_is_not_a_message() {
        let broken: [&[u8]; 11] = [
            b"",
            b"\0",
            b"\0\x00",
            b"\0\x07\0\0",
            b"\x01\0f\0octet\0",
            b"\0\x01",
            b"\0\x01\0octet\0",
            b"\0\x01file",
            b"\0\x01file\0octet",
            b"\0\x03\0",
            b"\0\x04",
        ];
        for bytes in broken {
            assert_eq!(Message::parse(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn the_messages_of_a_transfer() {
        assert_eq!(Message::parse(b"\0\x03\0\x01abc"), Ok(Message::Data { block: 1, len: 3 }));
        assert_eq!(Message::parse(b"\0\x03\xff\xff"), Ok(Message::Data { block: 65535, len: 0 }));
        assert_eq!(Message::parse(b"\0\x04\0\0"), Ok(Message::Ack { block: 0 }));
        assert_eq!(Message::parse(b"\0\x05\0\x08no"), Ok(Message::Error { code: 8 }));
        assert_eq!(Message::parse(UNKNOWN_TID), Ok(Message::Error { code: 5 }));
        let Ok(Message::Oack(options)) = Message::parse(b"\0\x06blksize\08192\0") else { panic!() };
        assert_eq!(options.blksize(), Some(8192));
        assert_eq!((options.windowsize(), options.tsize()), (None, None));
        let list = b"\0\x06tsize\x005000000000\0WindowSize\x0016\0";
        let Ok(Message::Oack(options)) = Message::parse(list) else { panic!() };
        assert_eq!((options.windowsize(), options.tsize()), (Some(16), Some(5_000_000_000)));
        let list = b"\0\x06blksize2\x001024\0utimeout\x0070000000\0";
        let Ok(Message::Oack(options)) = Message::parse(list) else { panic!() };
        assert_eq!((options.blksize(), options.timeout()), (Some(1024), Some(70)));
        for (value, seconds) in [("1", Some(1)), ("255", Some(255)), ("0", None), ("256", None)] {
            let list = format!("timeout\0{value}\0");
            assert_eq!(Options(list.as_bytes()).timeout(), seconds);
        }
        assert_eq!(Message::parse(&ack(513)), Ok(Message::Ack { block: 513 }));
        assert_eq!(Message::parse(b"\0\x04\x02\x01\x08"), Ok(Message::Ack { block: 513 }));
    }

    #[test]
    fn a_broken_option_list_ends_where_it_breaks() {
        for (list, blksize) in [
            (&b"blksize\x00512"[..], None),
            (b"tsize\x00blksize\x00", None),
            (b"blksize\x00x\0", None),
            (b"blksize\x004\0", None),
            (b"blksize\x00999999\0", None),
            (b"a\0b\0blksize\x001024\0tail", Some(1024)),
        ] {
            assert_eq!(Options(list).blksize(), blksize, "{list:?}");
        }
    }
}
