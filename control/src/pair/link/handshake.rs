//! The handshake: a message of each side, by which both agree on keys that only the two of them know.

use super::error::LinkError;
use super::frame::{LENGTH, TAG};
use crate::pair::key::Key;
use snow::{Builder, HandshakeState, StatelessTransportState};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Keys drawn for this link alone, and a key that both sides have, mixed in first: without it no message is answered.
const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// The protocol above Noise; sides that do not mean the same do not understand each other.
const PROLOGUE: &[u8] = b"tidegate pair 1";
/// Bytes of each message: a public key and the tag.
const SIZE: usize = 32 + TAG;

/// Begins the handshake, and waits for the answer.
pub async fn offer(
    stream: TcpStream,
    key: &Key,
) -> Result<(TcpStream, StatelessTransportState), LinkError> {
    let noise = builder(key).and_then(Builder::build_initiator);
    let mut handshake = Handshake { stream, noise: noise.map_err(LinkError::Noise)? };
    handshake.write().await?;
    handshake.read().await?;
    handshake.end()
}

/// Waits for the peer's message, and answers it.
pub async fn answer(
    stream: TcpStream,
    key: &Key,
) -> Result<(TcpStream, StatelessTransportState), LinkError> {
    let noise = builder(key).and_then(Builder::build_responder);
    let mut handshake = Handshake { stream, noise: noise.map_err(LinkError::Noise)? };
    handshake.read().await?;
    handshake.write().await?;
    handshake.end()
}

fn builder(key: &Key) -> Result<Builder<'_>, snow::Error> {
    Builder::new(PATTERN.parse()?).psk(0, key.bytes())?.prologue(PROLOGUE)
}

struct Handshake {
    stream: TcpStream,
    noise: HandshakeState,
}

impl Handshake {
    async fn write(&mut self) -> Result<(), LinkError> {
        let mut frame = [0; LENGTH + SIZE];
        let (length, message) = frame.split_at_mut(LENGTH);
        length.copy_from_slice(&(SIZE as u16).to_be_bytes());
        self.noise.write_message(&[], message).map_err(LinkError::Noise)?;
        Ok(self.stream.write_all(&frame).await?)
    }

    /// Reads the peer's message. A peer with another key cannot read ours, and hangs up.
    async fn read(&mut self) -> Result<(), LinkError> {
        let mut length = [0; LENGTH];
        self.fill(&mut length).await?;
        // Another protocol's first bytes are not waited for.
        if usize::from(u16::from_be_bytes(length)) != SIZE {
            return Err(LinkError::OtherKey);
        }
        let mut message = [0; SIZE];
        self.fill(&mut message).await?;
        let payload = self.noise.read_message(&message, &mut [0; SIZE]);
        payload.map(drop).map_err(|_| LinkError::OtherKey)
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), LinkError> {
        match self.stream.read_exact(bytes).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(LinkError::OtherKey),
            Err(error) => Err(error.into()),
        }
    }

    fn end(self) -> Result<(TcpStream, StatelessTransportState), LinkError> {
        // A message is written at once, and must not wait for more.
        self.stream.set_nodelay(true)?;
        let noise = self.noise.into_stateless_transport_mode().map_err(LinkError::Noise)?;
        Ok((self.stream, noise))
    }
}
