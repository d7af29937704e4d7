//! Packets that may still come to a free SNAT port, from the server of its last transfer.

use crate::alg::tftp::earlier::Earlier;
use crate::types::id::ServerId;
use crate::types::tick::{PER_SECOND, Tick};

/// Ticks that a server repeats an unacknowledged packet: 63 seconds with tftp-hpa, the most patient common server.
const REPEATING: u32 = 64 * PER_SECOND;

/// Ticks that the first answer to a request may be late.
const LATE: u32 = 4 * PER_SECOND;

/// Stands for any server.
const ANY_SERVER: ServerId = ServerId::MAX;

/// The end of a port's last transfer, in one word; 0: nothing is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    server: ServerId,
    /// TIDs of the server.
    tids: [u16; 2],
    /// Whether the server was past its beginning, by TID.
    are_past: [bool; 2],
    /// Low bits of the last packet's tick.
    since: u16,
    /// Whether the last request was not answered.
    is_unanswered: bool,
}

/// Packets that a server may still send to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// No packets.
    Nothing,
    /// Packets of these transfers only.
    From(Earlier),
    /// Packets that cannot be told from the first answer of a new transfer.
    Anything,
}

/// Stored bits of a tick: 13 minutes. After these a rest may appear again for its length, which is harmless.
const SINCE: u16 = 0x1fff;
/// Flags beside the tick.
const PAST: [u16; 2] = [0x2000, 0x4000];
const UNANSWERED: u16 = 0x8000;

impl Rest {
    /// No packets are pending: the server knows that everything arrived.
    pub const NONE: Rest = Rest {
        server: ServerId(0),
        tids: [0; 2],
        are_past: [false; 2],
        since: 0,
        is_unanswered: false,
    };

    /// The server has answered; packets of these transfers may be pending.
    pub fn answered(server: ServerId, earlier: &Earlier, last_packet: Tick) -> Rest {
        let (tids, are_past) = earlier.still_running();
        Rest { server, tids, are_past, since: since(last_packet), is_unanswered: false }
    }

    /// The server has not answered this request; packets of the earlier transfers may be pending.
    pub fn unanswered(server: ServerId, earlier: &Earlier, last_packet: Tick) -> Rest {
        Rest { is_unanswered: true, ..Rest::answered(server, earlier, last_packet) }
    }

    /// Several servers may have packets pending.
    pub fn of_several(last_packet: Tick) -> Rest {
        Rest { server: ANY_SERVER, since: since(last_packet), ..Rest::NONE }
    }

    /// Packets that this server may still send.
    pub fn pending(self, server: ServerId, now: Tick) -> Pending {
        let age = self.age(now);
        match self.server {
            ANY_SERVER if age < REPEATING => Pending::Anything,
            its if its != server => Pending::Nothing,
            _ if self.is_unanswered && age < LATE => Pending::Anything,
            _ if age < REPEATING && self.tids != [0; 2] => {
                Pending::From(Earlier::running(self.tids, self.are_past))
            }
            _ => Pending::Nothing,
        }
    }

    /// Whether some server may still send packets.
    pub fn is_pending(self, now: Tick) -> bool {
        self.pending(self.server, now) != Pending::Nothing
    }

    /// Ticks since the last packet.
    pub fn age(self, now: Tick) -> u32 {
        u32::from(since(now).wrapping_sub(self.since) & SINCE)
    }

    /// The word.
    pub fn to_bits(self) -> u64 {
        let [first, second] = self.tids;
        let flags = [(self.are_past[0], PAST[0]), (self.are_past[1], PAST[1])];
        let flags = flags.into_iter().chain([(self.is_unanswered, UNANSWERED)]);
        let flags =
            flags.filter(|(is_set, _)| *is_set).fold(self.since, |all, (_, flag)| all | flag);
        [self.server.0, first, second, flags]
            .iter()
            .fold(0, |bits, &one| bits << 16 | u64::from(one))
    }

    /// The rest with these bits.
    pub fn from_bits(bits: u64) -> Rest {
        let [flags, second, first, server] = [0, 16, 32, 48].map(|place| (bits >> place) as u16);
        Rest {
            server: ServerId(server),
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

    fn after(rest: Rest, server: u16, ticks: u32) -> Pending {
        Rest::from_bits(rest.to_bits()).pending(ServerId(server), START.after(ticks))
    }

    #[test]
    fn a_rest_is_for_its_server_alone_and_ends() {
        let earlier = Earlier::running([40_000, 0], [true, false]);
        let rest = Rest::answered(ServerId(7), &earlier, START);
        assert_eq!([7, 8].map(|server| after(rest, server, 0)), [From(earlier), Nothing]);
        assert_eq!(after(rest, 7, 639), From(earlier));
        assert_eq!(after(rest, 7, 640), Nothing);
        assert_eq!(after(Rest::NONE, 0, 0), Nothing);
    }

    #[test]
    fn a_late_first_answer_could_be_anything() {
        let rest = Rest::unanswered(ServerId(7), &Earlier::NONE, START);
        assert_eq!([39, 40].map(|ticks| after(rest, 7, ticks)), [Anything, Nothing]);
        assert_eq!(after(rest, 8, 0), Nothing);
        let earlier = Earlier::running([1, 2], [false, true]);
        let rest = Rest::unanswered(ServerId(7), &earlier, START);
        let later = [39, 40, 639, 640].map(|ticks| after(rest, 7, ticks));
        assert_eq!(later, [Anything, From(earlier), From(earlier), Nothing]);
    }

    #[test]
    fn where_several_servers_had_part_any_may_send() {
        let rest = Rest::of_several(START);
        assert_eq!([639, 640].map(|ticks| after(rest, 3, ticks)), [Anything, Nothing]);
    }
}
