//! What goes on.

/// A segment's data as it is made.
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

    /// As much of this as there is room for. Answers whether that is all.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        let len = bytes.len().min(self.room());
        self.bytes[self.len..self.len + len].copy_from_slice(&bytes[..len]);
        self.len += len;
        len == bytes.len()
    }

    /// All of this, if there is room for it.
    pub fn put_whole(&mut self, bytes: &[u8]) -> bool {
        bytes.len() <= self.room() && self.put(bytes)
    }
}
