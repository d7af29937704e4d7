//! Output buffer of the rewriter.

/// The data of an outgoing segment.
pub(super) struct Output<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Output<'a> {
        Output { bytes, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn room(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// Appends as many bytes as there is room for. Returns whether these are all.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        let len = bytes.len().min(self.room());
        self.bytes[self.len..self.len + len].copy_from_slice(&bytes[..len]);
        self.len += len;
        len == bytes.len()
    }

    /// Appends all bytes, if there is room.
    pub fn put_whole(&mut self, bytes: &[u8]) -> bool {
        bytes.len() <= self.room() && self.put(bytes)
    }
}
