//! Sending and receiving a file, block by block or window by window, for clients and servers. A repeated ACK is not
//! answered again (RFC 1123 §4.2.3.1).

use crate::link::{Failure, Link};
use crate::terms::Terms;
use crate::{content, message};
use tokio::time::Instant;
use wire::tftp::Message;

/// A message of the peer.
enum Said {
    /// A block and the length of its data.
    Data(u16, usize),
    /// The ACK of a block.
    Ack(u16),
    /// An OACK.
    Oack,
}

/// Sends `size` bytes; the peer has asked for the first block.
pub async fn send(link: &mut Link, terms: Terms, size: u64) -> Result<(), Failure> {
    let blocks = size / u64::from(terms.blksize) + 1;
    let mut packet = vec![0; usize::from(terms.blksize) + 4];
    let mut acked = 0;
    let mut tries = 0;
    loop {
        let end = blocks.min(acked + u64::from(terms.windowsize));
        for block in acked + 1..=end {
            let offset = (block - 1) * u64::from(terms.blksize);
            let len = (size - offset).min(u64::from(terms.blksize)) as usize;
            packet[..4].copy_from_slice(&message::data(block));
            content::fill(offset, &mut packet[4..4 + len]);
            link.send(&packet[..4 + len]).await?;
        }
        let deadline = link.patience();
        loop {
            match hear(link, deadline).await? {
                Some(Said::Ack(block)) => {
                    let news = u64::from(block.wrapping_sub(acked as u16));
                    if news > 0 && acked + news <= end {
                        acked += news;
                        tries = 0;
                        break;
                    }
                }
                // A repetition: the peer has not heard this side, and will ask.
                Some(Said::Data(..) | Said::Oack) => {}
                None => {
                    tries += 1;
                    link.tally.blocks += 1;
                    if tries > link.manner().retries {
                        return Err(Failure::Timeout);
                    }
                    break;
                }
            }
        }
        if acked == blocks {
            return Ok(());
        }
    }
}

/// How to receive a file.
pub struct Receipt {
    /// The message to send until the first block comes.
    pub opening: Vec<u8>,
    /// Length of the first block, if the link's buffer already holds it.
    pub first: Option<usize>,
    /// Whether the bytes are known.
    pub check: bool,
}

/// Receives a file; returns its length.
pub async fn receive(link: &mut Link, terms: Terms, receipt: Receipt) -> Result<u64, Failure> {
    let Receipt { mut opening, mut first, check } = receipt;
    let mut received = 0;
    let mut next = 1u64;
    let mut unacked = 0;
    let mut tries = 0;
    let mut deadline = link.patience();
    loop {
        let said = match first.take() {
            Some(len) => said(&link.buffer[..len])?,
            None => hear(link, deadline).await?,
        };
        match said {
            Some(Said::Data(block, len)) if block == next as u16 => {
                if check && !content::is_right(received, &link.buffer[4..4 + len]) {
                    let _ = link.send(&message::error(0, "these are not the file's bytes")).await;
                    return Err(Failure::WrongData);
                }
                received += len as u64;
                next += 1;
                unacked += 1;
                tries = 0;
                deadline = link.patience();
                let is_last = len < usize::from(terms.blksize);
                opening = message::ack(next - 1);
                if is_last || unacked == terms.windowsize {
                    link.send(&opening).await?;
                    unacked = 0;
                }
                if is_last {
                    return Ok(received);
                }
            }
            // A repetition, or behind a gap: the ACK tells the peer the position.
            Some(Said::Data(..)) | None => {
                if said.is_none() {
                    tries += 1;
                    deadline = link.patience();
                }
                if tries > link.manner().retries {
                    return Err(Failure::Timeout);
                }
                link.tally.blocks += 1;
                link.send(&opening).await?;
                unacked = 0;
            }
            Some(Said::Ack(_) | Said::Oack) => {}
        }
    }
}

/// The peer's next message; `None` at the deadline.
async fn hear(link: &mut Link, deadline: Instant) -> Result<Option<Said>, Failure> {
    match link.receive(deadline).await? {
        Some(len) => said(&link.buffer[..len]),
        None => Ok(None),
    }
}

fn said(bytes: &[u8]) -> Result<Option<Said>, Failure> {
    match Message::parse(bytes) {
        Ok(Message::Data { block, len }) => Ok(Some(Said::Data(block, len.into()))),
        Ok(Message::Ack { block }) => Ok(Some(Said::Ack(block))),
        Ok(Message::Oack(_)) => Ok(Some(Said::Oack)),
        Ok(Message::Error { code }) => Err(Failure::Error(code)),
        Ok(Message::Request(_)) | Err(_) => Err(Failure::Protocol),
    }
}
