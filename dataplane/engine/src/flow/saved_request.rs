//! Requests, kept as long as their transfers: for their file names, and for failover.

use super::query::FILE_NAME;
use wire::tftp::{Message, Request};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Kept bytes: nearly all requests are shorter.
const ROOM: usize = 158;

/// A request; of one that is too long, the end of its file name.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SavedRequest {
    /// Seal of the row: the request belongs to the transfer, and is complete
    /// ([`super::transfer_table::TransferTable::is_sealed`]).
    pub seal: u32,
    bytes: [u8; ROOM],
    len: u8,
    is_whole: bool,
}

row_layout!(SavedRequest, 164: seal 0, bytes 4, len 162, is_whole 163);

impl SavedRequest {
    /// No request.
    pub const NONE: SavedRequest =
        SavedRequest { seal: 0, bytes: [0; ROOM], len: 0, is_whole: false };

    /// Keeps this request.
    pub fn keep(&mut self, request: &[u8]) {
        self.is_whole = request.len() <= ROOM;
        let file = if self.is_whole { None } else { parse(request).map(|request| request.file) };
        let bytes = end(file.unwrap_or(request), ROOM);
        self.len = bytes.len() as u8;
        self.bytes[..bytes.len()].copy_from_slice(bytes);
    }

    /// A request that another gate has kept: whole, or the end of its file name.
    pub fn told(bytes: &[u8], is_whole: bool) -> SavedRequest {
        let mut kept = SavedRequest::NONE;
        kept.keep(end(bytes, ROOM));
        kept.is_whole = is_whole && bytes.len() <= ROOM;
        kept
    }

    /// The whole request, if it fitted.
    pub fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(self.bytes())
    }

    /// The file name, or its end.
    pub fn file(&self) -> &[u8] {
        let whole = self.whole().and_then(parse).map(|request| request.file);
        end(whole.unwrap_or(self.bytes()), FILE_NAME)
    }

    /// The kept bytes.
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
            let mut kept = SavedRequest::NONE;
            kept.keep(&request);
            assert_eq!(kept.file(), &name[len.saturating_sub(FILE_NAME)..], "{len}");
            assert_eq!(kept.whole(), (request.len() <= ROOM).then_some(&request[..]), "{len}");
        }
        assert_eq!(SavedRequest::NONE.file(), b"");
    }
}
