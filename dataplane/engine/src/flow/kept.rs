//! Requests as they were made, kept as long as their transfers: to say what those are of, and to ask again.

use super::view::FILE_NAME;
use wire::tftp::{Message, Request};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Bytes that are kept: nearly all requests are shorter.
const ROOM: usize = 158;

/// A request; of one that is too long, the end of its file's name.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Kept {
    /// Tells that this is the request of its transfer, and that all of that is here
    /// ([`super::table::Table::is_sealed`]).
    pub seal: u32,
    bytes: [u8; ROOM],
    len: u8,
    is_whole: bool,
}

impl Kept {
    /// No request.
    pub const NONE: Kept = Kept { seal: 0, bytes: [0; ROOM], len: 0, is_whole: false };

    /// This one from now on.
    pub fn keep(&mut self, request: &[u8]) {
        self.is_whole = request.len() <= ROOM;
        let file = if self.is_whole { None } else { parse(request).map(|request| request.file) };
        let bytes = end(file.unwrap_or(request), ROOM);
        self.len = bytes.len() as u8;
        self.bytes[..bytes.len()].copy_from_slice(bytes);
    }

    /// All of it, as it came.
    pub fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(self.bytes())
    }

    /// The file's name, or its end.
    pub fn file(&self) -> &[u8] {
        let whole = self.whole().and_then(parse).map(|request| request.file);
        end(whole.unwrap_or(self.bytes()), FILE_NAME)
    }

    /// What is kept of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(ROOM)]
    }
}

fn parse(request: &[u8]) -> Option<Request<'_>> {
    match Message::parse(request) {
        Ok(Message::Request(request)) => Some(request),
        Ok(_) | Err(_) => None,
    }
}

fn end(name: &[u8], len: usize) -> &[u8] {
    &name[name.len().saturating_sub(len)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_name_the_end_is_seen() {
        let around = b"\0\x01\0octet\0".len();
        for len in [1, FILE_NAME, FILE_NAME + 1, ROOM - around, ROOM - around + 1, 500] {
            let name: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
            let request = [b"\0\x01", &name[..], b"\0octet\0"].concat();
            let mut kept = Kept::NONE;
            kept.keep(&request);
            assert_eq!(kept.file(), &name[len.saturating_sub(FILE_NAME)..], "{len}");
            assert_eq!(kept.whole(), (request.len() <= ROOM).then_some(&request[..]), "{len}");
        }
        assert_eq!(Kept::NONE.file(), b"");
    }
}
