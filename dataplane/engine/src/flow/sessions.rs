//! What is read of control connections: by the number that their row has. All memory is taken at the start.

use super::index::{FlowId, NO_FLOW};
use super::lists::Lists;
use crate::alg::ftp::exchange::Exchange;
use crate::alg::ftp::stream::{Buffer, LONGEST, Stream};
use crate::tick::Tick;

/// What is read of one control connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// What the client says, and what the server says.
    pub streams: [Stream; 2],
    /// Which command a reply answers.
    pub exchange: Exchange,
    /// Since when the server has said nothing, though the client had room for that.
    pub silent_since: Tick,
    /// How much the client and the server have room for, as they have said last.
    pub windows: [u16; 2],
}

/// All of one worker's.
pub struct Sessions {
    /// One that is in use may be taken out for a while.
    all: Vec<Option<Box<Session>>>,
    free: Vec<u32>,
    /// Those whose client has not logged in, the oldest first; one less than their number.
    quiet: Lists,
    /// The connections that they are of, likewise.
    rows: Box<[FlowId]>,
    /// Memory for long lines that no stream has.
    spare: Vec<Buffer>,
}

/// Of so many connections, one can be read.
const SHARE: usize = 32;
/// Fewer are not worth the trouble.
const LEAST: usize = 256;
/// Long lines that can be held at a time: hardly anybody has one.
const LONG_LINES: usize = 64;

impl Sessions {
    /// Sessions that can be read of so many connections.
    pub fn most(connections: usize) -> usize {
        (connections / SHARE).max(LEAST.min(connections))
    }

    /// Room for what can be read of so many connections.
    pub fn new(connections: usize) -> Sessions {
        let count = Sessions::most(connections);
        Sessions {
            quiet: Lists::new(count as u32, 1),
            rows: vec![NO_FLOW; count].into(),
            all: (0..count).map(|_| Some(Box::new(Session::new()))).collect(),
            free: (1..=count as u32).rev().collect(),
            spare: (0..LONG_LINES).map(|_| Buffer::new([0; LONGEST])).collect(),
        }
    }

    /// The number of one that is new, of this connection, whose client and server begin with these numbers; `None`:
    /// there is no room.
    pub fn enter(&mut self, row: FlowId, first: [u32; 2]) -> Option<u32> {
        let number = self.free.pop()?;
        self.rows[number as usize - 1] = row;
        self.quiet.append(0, number - 1);
        if let Some(session) = self.slot(number).and_then(Option::as_mut) {
            session.begin(first);
        }
        Some(number)
    }

    /// That one is over.
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

    /// The client of this one has logged in, or may have: it can't be read any more.
    pub fn settle(&mut self, number: u32) {
        if number > 0 {
            self.quiet.remove(number - 1);
        }
    }

    /// Whether the client of this one has not logged in.
    pub fn is_quiet(&self, number: u32) -> bool {
        number > 0 && self.quiet.has(number - 1)
    }

    /// The connection that has been read for longest of those whose client has not logged in.
    pub fn oldest_quiet(&self) -> Option<FlowId> {
        self.quiet.first(0).map(|place| self.rows[place as usize])
    }

    /// Takes one out, to be put back.
    pub fn take(&mut self, number: u32) -> Option<Box<Session>> {
        self.slot(number)?.take()
    }

    /// Lends memory for a long line to a stream that is about to hear more, if there is any.
    pub fn lend(&mut self, stream: &mut Stream) {
        stream.borrow(&mut self.spare);
    }

    /// Puts it back.
    pub fn put(&mut self, number: u32, mut session: Box<Session>) {
        session.streams.iter_mut().for_each(|stream| stream.give_back(&mut self.spare));
        if let Some(slot) = self.slot(number) {
            *slot = Some(session);
        }
    }

    fn slot(&mut self, number: u32) -> Option<&mut Option<Box<Session>>> {
        self.all.get_mut((number as usize).checked_sub(1)?)
    }
}

/// Ticks of silence after which a server has answered all that it will.
const SILENCE: u32 = 20;
/// Who has room for less, in whatever unit, may be keeping the other side from speaking.
const LEAST_WINDOW: u16 = 256;

impl Session {
    /// A client has sent a segment, and has room for so much.
    pub fn heard_client(&mut self, window: u16, now: Tick) {
        if self.windows[0] < LEAST_WINDOW {
            self.silent_since = now;
        }
        self.windows[0] = window;
    }

    /// A server has sent a segment, perhaps with something new.
    pub fn heard_server(&mut self, window: u16, is_new: bool, now: Tick) {
        if is_new {
            self.silent_since = now;
        }
        self.windows[1] = window;
    }

    /// Whether the server has, for a while, had nothing to say to all that was said before, and could have.
    pub fn is_silent(&self, now: Tick) -> bool {
        self.streams.iter().all(Stream::is_settled)
            && !self.exchange.is_within()
            && now.since(self.silent_since) >= SILENCE
    }

    fn new() -> Session {
        let streams = [Stream::new(0), Stream::new(0)];
        let exchange = Exchange::default();
        Session { streams, exchange, silent_since: Tick(0), windows: [0; 2] }
    }

    fn begin(&mut self, first: [u32; 2]) {
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
        assert!(size_of::<Session>() <= 3 << 10, "{}", size_of::<Session>());
    }
}
