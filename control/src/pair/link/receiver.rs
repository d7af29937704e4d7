//! The side of a link that receives.

use super::error::LinkError;
use super::frame::{LENGTH, LONGEST, TAG};
use snow::StatelessTransportState;
use std::fmt;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// The receiving side.
pub struct Receiver {
    stream: OwnedReadHalf,
    noise: Arc<StatelessTransportState>,
    /// Messages received so far: the number of the next one.
    received: u64,
    /// Bytes of the stream; those before `begin` are used.
    buffer: Vec<u8>,
    begin: usize,
}

impl Receiver {
    pub(super) fn new(stream: OwnedReadHalf, noise: Arc<StatelessTransportState>) -> Receiver {
        Receiver { stream, noise, received: 0, buffer: vec![], begin: 0 }
    }

    /// Waits for the next message; `None`: the peer has ended the stream. If the call is cancelled, nothing is lost.
    ///
    /// The end of the stream is not authenticated: somebody on the way can end it between two messages.
    ///
    /// # Errors
    ///
    /// A message is not as the peer sent it, the stream ends within one, or fails.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            self.buffer.drain(..self.begin);
            self.begin = 0;
            self.buffer.reserve(LENGTH + LONGEST);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(LinkError::Cut) };
            }
        }
    }

    /// Takes the next message, if all of it is there.
    fn take(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        let Some((&length, rest)) = self.buffer[self.begin..].split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let size = usize::from(u16::from_be_bytes(length));
        let Some(sealed) = rest.get(..size) else { return Ok(None) };
        let mut message = vec![0; size.saturating_sub(TAG)];
        let opened = self.noise.read_message(self.received, sealed, &mut message);
        opened.map_err(|_| LinkError::Forged)?;
        self.received += 1;
        self.begin += LENGTH + size;
        Ok(Some(message))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("received", &self.received).finish_non_exhaustive()
    }
}
