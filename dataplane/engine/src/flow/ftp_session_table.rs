//! FTP sessions: the parser state of inspected control connections, by session number. All memory is allocated at the
//! start.

use super::hash::mixed;
use super::hash_index::{FlowId, NO_FLOW};
use super::lists::Lists;
use crate::alg::ftp::exchange::Exchange;
use crate::alg::ftp::rewriter::{Buffer, LONGEST, Stream, ToldStream};
use crate::types::tick::Tick;
use wire::tcp::SeqNumber;

/// The parser state of one control connection.
#[derive(Debug, Clone)]
pub struct FtpSession {
    /// Streams from client and server.
    pub streams: [Stream; 2],
    /// Matching of commands and replies.
    pub exchange: Exchange,
    /// Time since which the server has been silent, although the client's window was open.
    pub silent_since: Tick,
    /// Latest windows of client and server.
    pub windows: [u16; 2],
}

/// A session as one gate tells it to another: between two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncedSession {
    /// Streams from client and server.
    pub streams: [ToldStream; 2],
    /// Whether the client has logged in.
    pub has_logged_in: bool,
}

impl SyncedSession {
    /// A short hash.
    pub fn digest(&self) -> u16 {
        let bits = self.streams.iter().fold(u64::from(self.has_logged_in), |bits, stream| {
            let ToldStream { next, growth, is_opaque } = *stream;
            mixed(bits ^ u64::from(next.0) << 32 ^ u64::from(growth) ^ u64::from(is_opaque) << 31)
        });
        bits as u16
    }
}

/// The FTP sessions of a worker.
pub struct FtpSessionTable {
    /// Sessions by number; one in use may be taken out temporarily.
    all: Vec<Option<Box<FtpSession>>>,
    free: Vec<u32>,
    /// Sessions before login, oldest first, by number minus one.
    quiet: Lists,
    /// Connection of each session, by number minus one.
    rows: Box<[FlowId]>,
    /// Buffers for long lines that no stream holds.
    spare: Vec<Buffer>,
}

/// One session per so many connections.
const SHARE: usize = 32;
/// Least number of sessions.
const LEAST: usize = 256;
/// Most long lines held at a time: hardly any session has one.
const LONG_LINES: usize = 64;

impl FtpSessionTable {
    /// Number of sessions for so many connections.
    pub fn most(connections: usize) -> usize {
        (connections / SHARE).max(LEAST.min(connections))
    }

    /// A table for so many connections.
    pub fn new(connections: usize) -> FtpSessionTable {
        let count = FtpSessionTable::most(connections);
        FtpSessionTable {
            quiet: Lists::new(count as u32, 1),
            rows: vec![NO_FLOW; count].into(),
            all: (0..count).map(|_| Some(Box::new(FtpSession::new()))).collect(),
            free: (1..=count as u32).rev().collect(),
            spare: (0..LONG_LINES).map(|_| Buffer::new([0; LONGEST])).collect(),
        }
    }

    /// Creates a session for the connection in `row`. The streams of client and server begin at sequence numbers
    /// `first`. Returns its number; `None`: the table is full.
    pub fn enter(&mut self, row: FlowId, first: [SeqNumber; 2]) -> Option<u32> {
        let number = self.free.pop()?;
        self.rows[number as usize - 1] = row;
        self.quiet.append(0, number - 1);
        if let Some(session) = self.slot(number).and_then(Option::as_mut) {
            session.begin(first);
        }
        Some(number)
    }

    /// Ends a session.
    pub fn leave(&mut self, number: u32) {
        if let Some(mut session) = self.take(number) {
            session.streams.iter_mut().for_each(Stream::discard);
            self.put(number, session);
        }
        if number > 0 {
            self.quiet.remove(number - 1);
            self.free.push(number);
        }
    }

    /// The session as another gate can go on with it; `None`: it is in the middle of a line.
    pub fn told(&self, number: u32) -> Option<SyncedSession> {
        let place = (number as usize).checked_sub(1)?;
        let FtpSession { streams: [client, server], exchange, .. } =
            &**self.all.get(place)?.as_ref()?;
        let streams = [client.told()?, server.told()?];
        Some(SyncedSession { streams, has_logged_in: exchange.has_logged_in() })
    }

    /// Goes on with a session of another gate.
    pub fn resume(&mut self, number: u32, told: &SyncedSession, now: Tick) {
        if let Some(mut session) = self.take(number) {
            session.streams.iter_mut().for_each(Stream::discard);
            session.streams.iter_mut().for_each(|stream| stream.give_back(&mut self.spare));
            session.streams = told.streams.map(Stream::resumed);
            session.exchange = Exchange::resumed(told.has_logged_in);
            session.silent_since = now;
            session.windows = [LEAST_WINDOW; 2];
            self.put(number, session);
        }
        if told.has_logged_in {
            self.settle(number);
        }
    }

    /// Notes that the client has logged in, or may have: the session cannot be inspected any more.
    pub fn settle(&mut self, number: u32) {
        if number > 0 {
            self.quiet.remove(number - 1);
        }
    }

    /// Whether the session's client has not logged in.
    pub fn is_quiet(&self, number: u32) -> bool {
        number > 0 && self.quiet.has(number - 1)
    }

    /// The connection with the oldest session before login.
    pub fn oldest_quiet(&self) -> Option<FlowId> {
        self.quiet.first(0).map(|place| self.rows[place as usize])
    }

    /// Takes a session out; [`FtpSessionTable::put`] returns it.
    pub fn take(&mut self, number: u32) -> Option<Box<FtpSession>> {
        self.slot(number)?.take()
    }

    /// Lends a buffer for a long line to a stream, if one is free.
    pub fn lend(&mut self, stream: &mut Stream) {
        stream.borrow(&mut self.spare);
    }

    /// Puts a session back.
    pub fn put(&mut self, number: u32, mut session: Box<FtpSession>) {
        session.streams.iter_mut().for_each(|stream| stream.give_back(&mut self.spare));
        if let Some(slot) = self.slot(number) {
            *slot = Some(session);
        }
    }

    fn slot(&mut self, number: u32) -> Option<&mut Option<Box<FtpSession>>> {
        self.all.get_mut((number as usize).checked_sub(1)?)
    }
}

/// Ticks of silence after which a server has answered everything that it will answer.
const SILENCE: u32 = 20;
/// A window below this, in any scale, may keep the other side from sending.
const LEAST_WINDOW: u16 = 256;

impl FtpSession {
    /// Notes a client's segment with this window.
    pub fn heard_client(&mut self, window: u16, now: Tick) {
        if self.windows[0] < LEAST_WINDOW {
            self.silent_since = now;
        }
        self.windows[0] = window;
    }

    /// Notes a server's segment; `is_new` tells whether it carries new data.
    pub fn heard_server(&mut self, window: u16, is_new: bool, now: Tick) {
        if is_new {
            self.silent_since = now;
        }
        self.windows[1] = window;
    }

    /// Whether the server had the chance to answer for a while, and did not.
    pub fn is_silent(&self, now: Tick) -> bool {
        self.streams.iter().all(Stream::is_settled)
            && !self.exchange.is_within()
            && now.since(self.silent_since) >= SILENCE
    }

    fn new() -> FtpSession {
        let streams = [SeqNumber::default(); 2].map(Stream::new);
        let exchange = Exchange::default();
        FtpSession { streams, exchange, silent_since: Tick(0), windows: [0; 2] }
    }

    fn begin(&mut self, first: [SeqNumber; 2]) {
        self.streams = first.map(Stream::new);
        self.exchange = Exchange::default();
        self.windows = [0; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_small_since_there_are_many() {
        assert!(size_of::<FtpSession>() <= 3 << 10, "{}", size_of::<FtpSession>());
    }
}
