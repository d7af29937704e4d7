//! What may still come to a port of ours from the server of the transfer that had it before.

use crate::alg::tftp::earlier::Earlier;
use crate::tables::ServerId;
use crate::tick::{PER_SECOND, Tick};

/// Ticks that a server may go on repeating what nobody acknowledges: tftp-hpa, the most patient common one, does so
/// for 63 seconds.
const REPEATING: u32 = 64 * PER_SECOND;

/// Ticks that the first answer to a request may be late.
const LATE: u32 = 4 * PER_SECOND;

/// In place of a server: any of them.
const ANY: ServerId = ServerId::MAX;

/// The end of the transfer that a port had last. All of it is one word, and 0 says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    server: ServerId,
    /// From where that server has sent.
    tids: [u16; 2],
    /// Whether it was past its beginning there.
    are_past: [bool; 2],
    /// Its last packet's moment, by the lowest bits.
    since: u16,
    /// Whether the last request was not answered.
    is_unanswered: bool,
}

/// What a server may still send to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    Nothing,
    /// Packets of these transfers alone.
    From(Earlier),
    /// What can't be told from a new transfer's first answer.
    Anything,
}

/// Bits of a tick that are kept: 13 minutes. Beyond these a rest can come back for its length, and harms nobody.
const SINCE: u16 = 0x1fff;
/// Bits beside it.
const PAST: [u16; 2] = [0x2000, 0x4000];
const UNANSWERED: u16 = 0x8000;

impl Rest {
    /// Nothing more comes: the server has heard that all arrived.
    pub const NONE: Rest =
        Rest { server: 0, tids: [0; 2], are_past: [false; 2], since: 0, is_unanswered: false };

    /// The server has answered, and what may still come is of these transfers.
    pub fn answered(server: ServerId, earlier: &Earlier, last_packet: Tick) -> Rest {
        let (tids, are_past) = earlier.still_running();
        Rest { server, tids, are_past, since: since(last_packet), is_unanswered: false }
    }

    /// The server has not answered yet; it has to the transfers before.
    pub fn unanswered(server: ServerId, earlier: &Earlier, last_packet: Tick) -> Rest {
        Rest { is_unanswered: true, ..Rest::answered(server, earlier, last_packet) }
    }

    /// Several servers had part in it.
    pub fn of_several(last_packet: Tick) -> Rest {
        Rest { server: ANY, since: since(last_packet), ..Rest::NONE }
    }

    /// What this server may still send.
    pub fn pending(self, server: ServerId, now: Tick) -> Pending {
        let age = self.age(now);
        match self.server {
            ANY if age < REPEATING => Pending::Anything,
            its if its != server => Pending::Nothing,
            _ if self.is_unanswered && age < LATE => Pending::Anything,
            _ if age < REPEATING && self.tids != [0; 2] => {
                Pending::From(Earlier::running(self.tids, self.are_past))
            }
            _ => Pending::Nothing,
        }
    }

    /// Ticks since its last packet.
    pub fn age(self, now: Tick) -> u32 {
        u32::from(since(now).wrapping_sub(self.since) & SINCE)
    }

    /// All of it.
    pub fn to_bits(self) -> u64 {
        let [first, second] = self.tids;
        let flags = [(self.are_past[0], PAST[0]), (self.are_past[1], PAST[1])];
        let flags = flags.into_iter().chain([(self.is_unanswered, UNANSWERED)]);
        let flags =
            flags.filter(|(is_set, _)| *is_set).fold(self.since, |all, (_, flag)| all | flag);
        [self.server, first, second, flags].iter().fold(0, |bits, &one| bits << 16 | u64::from(one))
    }

    /// That with these bits.
    pub fn from_bits(bits: u64) -> Rest {
        let [flags, second, first, server] = [0, 16, 32, 48].map(|place| (bits >> place) as u16);
        Rest {
            server,
            tids: [first, second],
            are_past: PAST.map(|flag| flags & flag != 0),
            since: flags & SINCE,
            is_unanswered: flags & UNANSWERED != 0,
        }
    }
}

fn since(moment: Tick) -> u16 {
    moment.0 as u16 & SINCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use Pending::{Anything, From, Nothing};

    const START: Tick = Tick(u32::MAX - 7);

    fn after(rest: Rest, server: ServerId, ticks: u32) -> Pending {
        Rest::from_bits(rest.to_bits()).pending(server, START.after(ticks))
    }

    #[test]
    fn a_rest_is_for_its_server_alone_and_ends() {
        let earlier = Earlier::running([40_000, 0], [true, false]);
        let rest = Rest::answered(7, &earlier, START);
        assert_eq!([7, 8].map(|server| after(rest, server, 0)), [From(earlier), Nothing]);
        assert_eq!(after(rest, 7, 639), From(earlier));
        assert_eq!(after(rest, 7, 640), Nothing);
        assert_eq!(after(Rest::NONE, 0, 0), Nothing);
    }

    #[test]
    fn a_late_first_answer_could_be_anything() {
        let rest = Rest::unanswered(7, &Earlier::NONE, START);
        assert_eq!([39, 40].map(|ticks| after(rest, 7, ticks)), [Anything, Nothing]);
        assert_eq!(after(rest, 8, 0), Nothing);
        let earlier = Earlier::running([1, 2], [false, true]);
        let rest = Rest::unanswered(7, &earlier, START);
        let later = [39, 40, 639, 640].map(|ticks| after(rest, 7, ticks));
        assert_eq!(later, [Anything, From(earlier), From(earlier), Nothing]);
    }

    #[test]
    fn where_several_servers_had_part_any_may_send() {
        let rest = Rest::of_several(START);
        assert_eq!([639, 640].map(|ticks| after(rest, 3, ticks)), [Anything, Nothing]);
    }
}
