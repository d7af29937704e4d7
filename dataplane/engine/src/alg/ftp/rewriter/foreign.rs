//! Streams that are not FTP by their first byte. In implicit FTPS the client speaks first and its server waits for the
//! whole message: nothing may be held, and no byte may change.
//!
//! The client alone does not decide: if the server reads FTP all the same, it finds lines in the stream. Until the
//! server has answered in kind, the end of any line that could name a data endpoint is therefore held back, so that no
//! such command is ever complete; and as no other command is read, no reply opens anything.

use super::*;
use wire::ftp::is_text;

impl Stream {
    /// Whether only the client claims another protocol. Urgent data could still be left out of a line.
    pub fn is_foreign(&self) -> bool {
        self.mode == Mode::Foreign
    }

    /// Decides by the first byte whether the stream is FTP.
    pub(super) fn begin(&mut self, first: u8, speaker: Speaker, reader: &mut impl Reader) {
        self.mode = match speaker {
            _ if is_text(first) => Mode::Reading,
            Speaker::Client => Mode::Foreign,
            Speaker::Server => {
                reader.is_foreign();
                Mode::Opaque
            }
        };
    }

    /// Forwards a client's unread bytes, up to the end of a line that could name an endpoint. Returns the number of
    /// bytes taken.
    pub(super) fn pass_foreign(&mut self, fresh: &[u8], out: &mut Output) -> usize {
        let part = match self.place.end(fresh, Speaker::Client) {
            Some(0) if self.names_endpoint() => &[],
            Some(0) => &fresh[..1],
            Some(end) => &fresh[..end],
            None => fresh,
        };
        let taken = self.pass_on(part, Speaker::Client, out);
        self.place.take(&part[..taken]);
        if part == b"\n" && taken > 0 {
            self.place.begin();
        }
        taken
    }

    /// Whether the line may name an endpoint, by its first bytes. A line no longer than these is too short for one.
    fn names_endpoint(&self) -> bool {
        self.place.is_longer_than_its_start() && Command::may_name_endpoint(self.place.start())
    }
}
