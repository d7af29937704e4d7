//! Records of flows between gates. A record is its kind, the length of its body in 16 bits (little endian), and the body,
//! encoded by postcard. Ids are those of the gate that tells: [`super::names`] says what they stand for.
//!
//! A gate of another version may know other kinds, which are skipped, and may append fields to a body, which are ignored.
//! A record whose fields change their meaning is a new kind.

mod connection;
mod field;
#[cfg(test)]
mod tests;
mod transfer;

use connection::ConnectionBody;
use engine::flow::connection::SyncedConnection;
use engine::flow::transfer::SyncedTransfer;
use serde::Serialize;
use std::net::IpAddr;
use transfer::TransferBody;

/// Kinds of records.
const TRANSFER: u8 = 1;
const CONNECTION: u8 = 2;

/// Bytes before a body.
const HEAD: usize = 3;

/// A record of a flow.
#[derive(Debug, Clone)]
pub enum Record {
    /// A TFTP transfer.
    Transfer(SyncedTransfer),
    /// A TCP or UDP connection.
    Connection(SyncedConnection),
}

/// Error: bytes that are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRecord;

impl Record {
    /// Appends the record to `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Record::Transfer(told) => append(bytes, TRANSFER, &TransferBody::of(told)),
            Record::Connection(told) => append(bytes, CONNECTION, &ConnectionBody::of(told)),
        }
    }

    /// Encodes records in as few pieces of at most `most` bytes as their order allows. No record is as long as that.
    pub fn encode_all(records: impl Iterator<Item = Record>, most: usize) -> Vec<Vec<u8>> {
        let mut pieces = vec![];
        let (mut piece, mut record_bytes) = (vec![], vec![]);
        for record in records {
            record_bytes.clear();
            record.encode(&mut record_bytes);
            if piece.len() + record_bytes.len() > most {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.extend_from_slice(&record_bytes);
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        pieces
    }

    /// Decodes the records in these bytes; those of unknown kinds are left out.
    ///
    /// # Errors
    ///
    /// A record is cut off, or is none of its kind.
    pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Record>, BadRecord> {
        let mut all = vec![];
        while let Some((&[kind, low, high], rest)) = bytes.split_first_chunk::<HEAD>() {
            let len = usize::from(u16::from_le_bytes([low, high]));
            let (body, behind) = rest.split_at_checked(len).ok_or(BadRecord)?;
            match kind {
                TRANSFER => all.push(Record::Transfer(transfer::decode(body).ok_or(BadRecord)?)),
                CONNECTION => {
                    all.push(Record::Connection(connection::decode(body).ok_or(BadRecord)?))
                }
                _ => {}
            }
            bytes = behind;
        }
        if bytes.is_empty() { Ok(all) } else { Err(BadRecord) }
    }

    /// The client's address, by which the record's worker is found.
    pub fn client(&self) -> IpAddr {
        match self {
            Record::Transfer(told) => told.client.ip(),
            Record::Connection(told) => told.client.ip(),
        }
    }
}

/// Appends a record of this kind.
fn append(bytes: &mut Vec<u8>, kind: u8, body: &impl Serialize) {
    let start = bytes.len();
    bytes.extend([kind, 0, 0]);
    // Plain data always has a form, of a few hundred bytes.
    *bytes = postcard::to_extend(body, std::mem::take(bytes)).expect("a body of plain data");
    let len = (bytes.len() - start - HEAD) as u16;
    bytes[start + 1..start + HEAD].copy_from_slice(&len.to_le_bytes());
}
