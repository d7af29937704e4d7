//! Streams that are not FTP from their first byte on. In implicit FTPS the client speaks first, and its server waits for all
//! that it has said: nothing of that can be held, and no byte may become another one.
//!
//! A client only seems to speak another language as long as its server has not answered in that. If the server reads FTP all
//! the same, it finds lines there. So the end of a line that could say where data goes waits, and no such command is ever
//! whole; and since nothing else of the client's is read either, no reply opens anything.

use super::*;
use wire::ftp::is_text;

impl Stream {
    /// Whether its client only seems to speak another language: what is urgent could still be left out of a line.
    pub fn is_foreign(&self) -> bool {
        self.mode == Mode::Foreign
    }

    /// Decides by the first byte whether the stream can be read.
    pub(super) fn begin(&mut self, first: u8, side: Side, reader: &mut impl Reader) {
        self.mode = match side {
            _ if is_text(first) => Mode::Reading,
            Side::Client => Mode::Foreign,
            Side::Server => {
                reader.is_foreign();
                Mode::Opaque
            }
        };
    }

    /// Takes what goes on of a client as it is, up to the end of a line that could name an endpoint. Answers how many bytes
    /// could be taken.
    pub(super) fn pass_foreign(&mut self, fresh: &[u8], out: &mut Output) -> usize {
        let part = match self.place.end(fresh, Side::Client) {
            Some(0) if self.names_endpoint() => &[],
            Some(0) => &fresh[..1],
            Some(end) => &fresh[..end],
            None => fresh,
        };
        let taken = self.pass_on(part, Side::Client, out);
        self.place.take(&part[..taken]);
        if part == b"\n" && taken > 0 {
            self.place.begin();
        }
        taken
    }

    /// Whether the line could do so, as far as its first bytes tell: with no more than these, it has no room for that.
    fn names_endpoint(&self) -> bool {
        self.place.is_longer_than_its_start() && Command::may_name_endpoint(self.place.start())
    }
}
