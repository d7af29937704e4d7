//! Messages between the gates of a pair: a byte that says the kind, and a body.
//!
//! Gates of two versions in a row understand each other. A newer one may send kinds that the older one skips, and append
//! fields to a body, which the older one ignores. It never changes a field that there is.

mod error;
#[cfg(test)]
mod tests;

pub use error::BadMessage;

use crate::foreign_text::acts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::IpAddr;

const HELLO: u8 = 1;
const NAMES: u8 = 2;
const ROWS: u8 = 3;
const ROUND_END: u8 = 4;
const DONE: u8 = 5;
const STATIONS: u8 = 6;
const LAST_ROWS: u8 = 7;

/// The most entries of a list.
const MOST_ENTRIES: usize = 65_536;
/// The most bytes of a name.
const LONGEST_NAME: usize = 256;

/// A message of one gate to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first message of each side.
    Hello {
        /// The version that the gate speaks.
        version: u16,
        /// The oldest version that the gate understands.
        least_version: u16,
        /// The gate's build, for operators.
        build: String,
    },
    /// Names that rows have numbers for: the places in these lists, which go on over several messages.
    Names {
        /// Whether the lists begin with this message.
        is_first: bool,
        /// Backends, each with its service before it and its address behind it.
        backends: Vec<(String, String, IpAddr)>,
        /// VIPs of services.
        vips: Vec<IpAddr>,
        /// Interfaces.
        interfaces: Vec<String>,
    },
    /// The gate's stations, instead of those that it has told before.
    Stations(Vec<Station>),
    /// Rows of flows, in a form of their own.
    Rows(Vec<u8>),
    /// Rows of a gate that has just lost addresses, flows of these among them: the peer may have the addresses already.
    LastRows(Vec<u8>),
    /// The end of a round through all flows.
    RoundEnd {
        /// The round's number.
        round: u64,
        /// The addresses that the sender's kernel holds.
        held: Vec<IpAddr>,
    },
    /// The answer to a round's end: all its rows are taken in.
    Done {
        /// The round's number.
        round: u64,
        /// Rows that were refused.
        refused: u32,
    },
}

/// A gate's place on a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// The interface's name.
    pub interface: String,
    /// The hardware address.
    pub mac: [u8; 6],
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

impl Message {
    /// Encodes the message for the link.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Message::Hello { version, least_version, build } => {
                with_body(HELLO, &(version, least_version, build))
            }
            Message::Names { is_first, backends, vips, interfaces } => {
                with_body(NAMES, &(is_first, backends, vips, interfaces))
            }
            Message::LastRows(rows) => [&[LAST_ROWS], &rows[..]].concat(),
            Message::Stations(stations) => with_body(STATIONS, stations),
            Message::Rows(rows) => [&[ROWS], &rows[..]].concat(),
            Message::RoundEnd { round, held } => with_body(ROUND_END, &(round, held)),
            Message::Done { round, refused } => with_body(DONE, &(round, refused)),
        }
    }

    /// Decodes a message from the link; `None`: a newer version's kind, which must be skipped.
    ///
    /// # Errors
    ///
    /// The message is empty or incomplete, or a list or name is none that a gate has.
    pub fn decode(bytes: &[u8]) -> Result<Option<Message>, BadMessage> {
        let (&kind, body) = bytes.split_first().ok_or(BadMessage::Empty)?;
        Ok(Some(match kind {
            HELLO => {
                let (version, least_version, build): (_, _, String) = read(body)?;
                check_name(&build)?;
                Message::Hello { version, least_version, build }
            }
            NAMES => names(body)?,
            ROWS => Message::Rows(body.to_vec()),
            STATIONS => stations(body)?,
            LAST_ROWS => Message::LastRows(body.to_vec()),
            ROUND_END => {
                let (round, held): (_, Vec<_>) = read(body)?;
                check_list(&held)?;
                Message::RoundEnd { round, held }
            }
            DONE => {
                let (round, refused) = read(body)?;
                Message::Done { round, refused }
            }
            _ => return Ok(None),
        }))
    }
}

fn names(body: &[u8]) -> Result<Message, BadMessage> {
    type Body = (bool, Vec<(String, String, IpAddr)>, Vec<IpAddr>, Vec<String>);
    let (is_first, backends, vips, interfaces): Body = read(body)?;
    check_list(&backends)?;
    check_list(&vips)?;
    check_list(&interfaces)?;
    let of_backends = backends.iter().flat_map(|(service, backend, _)| [service, backend]);
    of_backends.chain(&interfaces).try_for_each(|name| check_name(name))?;
    Ok(Message::Names { is_first, backends, vips, interfaces })
}

fn stations(body: &[u8]) -> Result<Message, BadMessage> {
    let stations: Vec<Station> = read(body)?;
    check_list(&stations)?;
    for station in &stations {
        check_name(&station.interface)?;
        check_list(&station.addresses)?;
    }
    Ok(Message::Stations(stations))
}

fn with_body(kind: u8, body: &impl Serialize) -> Vec<u8> {
    // Integers, text and lists of known lengths always have a form.
    postcard::to_extend(body, vec![kind]).expect("a body of plain data")
}

/// Reads a body; fields behind those that this version knows are ignored.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadMessage> {
    postcard::take_from_bytes(body).map(|(body, _)| body).map_err(|_| BadMessage::Malformed)
}

fn check_list<T>(list: &[T]) -> Result<(), BadMessage> {
    if list.len() > MOST_ENTRIES { Err(BadMessage::TooMany(list.len())) } else { Ok(()) }
}

/// Checks that a name is short, and does nothing on a terminal.
fn check_name(name: &str) -> Result<(), BadMessage> {
    if name.len() > LONGEST_NAME {
        return Err(BadMessage::LongName(name.len()));
    }
    if name.chars().any(acts) { Err(BadMessage::ActingName) } else { Ok(()) }
}
