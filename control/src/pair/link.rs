//! The link between two gates: messages over TCP, each encrypted and authenticated by Noise (revision 34).
//!
//! Both sides know the pair's key, and each draws a key of its own for every link, so that a recorded stream is worth
//! nothing on another link. A frame is the length of a Noise message, 16 bits in network order, and the message.

mod error;
mod frame;
mod handshake;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use error::LinkError;
pub use frame::MOST;
pub use receiver::Receiver;
pub use sender::Sender;

use super::key::Key;
use handshake::{answer, offer};
use snow::StatelessTransportState;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time after which a peer that has not finished the handshake is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open link to a peer that has proved that it has the key.
#[derive(Debug)]
pub struct Link {
    sender: Sender,
    receiver: Receiver,
}

impl Link {
    /// Opens a link as the side that has connected.
    ///
    /// # Errors
    ///
    /// The peer has another key, is silent, or the stream fails.
    pub async fn connect(stream: TcpStream, key: &Key) -> Result<Link, LinkError> {
        within(PATIENCE, async {
            let (stream, noise) = offer(stream, key).await?;
            let mut link = Link::new(stream, noise);
            // The peer must see that this is no recording.
            link.sender.send(&[]).await?;
            Ok(link)
        })
        .await
    }

    /// Opens a link as the side that has accepted the connection.
    ///
    /// # Errors
    ///
    /// The peer has another key, sends a recording, is silent, or the stream fails.
    pub async fn accept(stream: TcpStream, key: &Key) -> Result<Link, LinkError> {
        within(PATIENCE, async {
            let (stream, noise) = answer(stream, key).await?;
            let mut link = Link::new(stream, noise);
            match link.receiver.receive().await {
                Ok(Some(proof)) if proof.is_empty() => Ok(link),
                Ok(_) | Err(LinkError::Forged | LinkError::Cut) => Err(LinkError::OtherKey),
                Err(error) => Err(error),
            }
        })
        .await
    }

    fn new(stream: TcpStream, noise: StatelessTransportState) -> Link {
        let noise = Arc::new(noise);
        let (read, write) = stream.into_split();
        Link {
            sender: Sender::new(write, Arc::clone(&noise)),
            receiver: Receiver::new(read, noise),
        }
    }

    /// Takes the link apart, for a task that sends and one that receives.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

async fn within(
    patience: Duration,
    handshake: impl Future<Output = Result<Link, LinkError>>,
) -> Result<Link, LinkError> {
    timeout(patience, handshake).await.unwrap_or(Err(LinkError::TimedOut))
}
