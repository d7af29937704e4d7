//! The side of a link that sends.

use super::error::LinkError;
use super::frame::{LENGTH, LONGEST, MOST, TAG};
use snow::StatelessTransportState;
use std::fmt;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

/// The sending side. Dropping it ends the stream that the peer receives.
pub struct Sender {
    stream: OwnedWriteHalf,
    noise: Arc<StatelessTransportState>,
    /// Messages sent so far: the number of the next one.
    sent: u64,
    frame: Box<[u8]>,
}

impl Sender {
    pub(super) fn new(stream: OwnedWriteHalf, noise: Arc<StatelessTransportState>) -> Sender {
        let frame = vec![0; LENGTH + LONGEST].into();
        Sender { stream, noise, sent: 0, frame }
    }

    /// Sends a message. If the call is cancelled, a part of it may be sent, and the link is of no use any more.
    ///
    /// # Errors
    ///
    /// The message has more than [`MOST`] bytes, and nothing is sent; or the stream fails.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        if message.len() > MOST {
            return Err(LinkError::TooLong(message.len()));
        }
        let size = message.len() + TAG;
        let (length, rest) = self.frame.split_at_mut(LENGTH);
        length.copy_from_slice(&(size as u16).to_be_bytes());
        self.noise.write_message(self.sent, message, rest).map_err(LinkError::Noise)?;
        // The number is used, whatever becomes of the message.
        self.sent += 1;
        Ok(self.stream.write_all(&self.frame[..LENGTH + size]).await?)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("sent", &self.sent).finish_non_exhaustive()
    }
}
