//! Sets of counters: of a worker's packets, time and drops, of a backend's transfers, of a service's refusals.

use super::counter::Counter;
use crate::snapshot::access::Refusal;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

macro_rules! counters {
    ($(#[doc = $about:literal])+ $set:ident { $($(#[doc = $doc:literal])+ $field:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
        #[repr(C)]
        pub struct $set {
            $($(#[doc = $doc])+ pub $field: Counter,)+
        }

        impl $set {
            /// Names, in the order of [`Self::values`].
            pub const NAMES: &[&str] = &[$(stringify!($field),)+];

            /// Current values.
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$field.value(),)+]
            }

            /// The counters, in the order of [`Self::values`].
            pub fn counters(&self) -> impl Iterator<Item = &Counter> {
                [$(&self.$field,)+].into_iter()
            }

            /// The sum of the current values of several sets.
            pub fn sum<'a>(sets: impl IntoIterator<Item = &'a $set>) -> $set {
                let sum = $set::default();
                for set in sets {
                    $(sum.$field.add(set.$field.value());)+
                }
                sum
            }
        }
    };
}

counters! {
    /// Packets of one worker. The sum of received, taken over, from the kernel, released and made equals the sum of the
    /// verdicts: transmitted, answered, to the kernel, handed over, held, absorbed and all drops.
    Packets {
        /// Frames received from devices.
        received,
        /// Frames handed over by other workers.
        taken_over,
        /// Frames from the kernel.
        from_kernel,
        /// Frames forwarded.
        transmitted,
        /// Frames turned into an answer to their sender.
        answered,
        /// Frames given to the kernel.
        to_kernel,
        /// Frames handed over to the worker that owns them.
        handed_over,
        /// Fragments held until the first fragment of their datagram comes.
        held,
        /// Held fragments that went on.
        released,
        /// Frames absorbed during failover, when the gate acts as the peer.
        absorbed,
        /// Forwarded frames that went on to the pair's other gate.
        second_chances,
        /// Frames originated by the gate: to backends that take over transfers, and to clients whose transfers are
        /// lost.
        made,
        /// Frames that a capture lost because its ring was full; no verdict on them.
        capture_lost,
        /// Bytes received from devices.
        bytes_received,
        /// Bytes of forwarded frames and answers.
        bytes_transmitted,
    }
}

counters! {
    /// The time of one worker, in nanoseconds.
    Load {
        /// Time of turns that moved frames.
        busy,
        /// Time of turns that found none.
        idle,
    }
}

counters! {
    /// Transfers of one backend, and so of one service.
    Transfers {
        /// Transfers begun: a request chose the backend.
        started,
        /// Begun transfers that were restored from an earlier process.
        inherited,
        /// Transfers adopted: another gate saw them begin.
        adopted,
        /// Transfers that the peer gate has told of.
        synced,
        /// Transfers ended for any reason; started, adopted and synced minus ended is the current number.
        ended,
        /// Requests that the backend answered, in whatever way.
        responded,
        /// Requests repeated before they were answered.
        retransmitted,
        /// Repeated requests that the backend had time to answer, and did not.
        ignored,
        /// Transfers ended by the last block's ACK.
        completed,
        /// Transfers ended by the client's ERROR before any data: it asked only for the size.
        size_probes,
        /// Transfers ended by the server's ERROR 1: file not found.
        not_found,
        /// Transfers ended by any other ERROR.
        failed,
        /// Transfers stopped because the client was not heard after its request, while the backend repeated its answer.
        unheard,
        /// Transfers given up because the backend never answered.
        unanswered,
        /// Unanswered transfers whose request went to another backend.
        asked_elsewhere,
        /// Transfers that were answered, then silent for the idle timeout.
        timed_out,
        /// Transfers replaced by another request from the same endpoint.
        replaced,
        /// Unanswered transfers evicted by a newer request when the table was full.
        evicted,
        /// Downloads that failed over because their backend died; counted as `resumed` at the new one.
        failed_over,
        /// Downloads taken over from a backend that died.
        resumed,
        /// Transfers ended by the gate's ERROR, as the backend died and no other one could take over, or by a restart that they
        /// could not outlive.
        lost,
        /// UDP connections ended because the backend was drained or removed.
        drained,
        /// Transfers forgotten because another gate has their VIP, and sees their end.
        elsewhere,
        /// ICMP port-unreachable errors from the backend's host.
        unreachable,
        /// Clients that were heard and that the backend left without an answer; each counts once a minute.
        silences,
        /// Packets from clients to backends.
        packets_in,
        /// Bytes of packets from clients, by IP length.
        bytes_in,
        /// Packets from backends to clients.
        packets_out,
        /// Bytes of packets from backends, by IP length.
        bytes_out,
        /// Client packets sent to the service's port instead of the TID, and forwarded to the TID.
        to_service_port,
        /// Packets from a TID that is not the transfer's; none of them reached a client.
        strays,
    }
}

counters! {
    /// Refused requests of one service.
    Refusals {
        /// Uploads to a read-only service.
        read_only,
        /// Requests for files that the service does not allow.
        file,
        /// Requests of clients that the service does not allow.
        client,
        /// Requests above the client's rate limit.
        rate,
        /// FTP commands that could open a connection to a third host or a low port, hide an endpoint from the gate, or be
        /// echoed as a reply.
        data,
        /// Connections above the client's limit.
        connections,
    }
}

impl Packets {
    /// Frames that came, from wherever.
    pub fn came(&self) -> u64 {
        let all = [&self.received, &self.taken_over, &self.from_kernel, &self.released, &self.made];
        all.map(Counter::value).iter().sum()
    }

    /// Frames with another verdict than to be dropped.
    pub fn went(&self) -> u64 {
        let Packets { transmitted, answered, to_kernel, handed_over, held, absorbed, .. } = self;
        let all = [transmitted, answered, to_kernel, handed_over, held, absorbed];
        all.map(Counter::value).iter().sum()
    }
}

impl Refusals {
    /// The counter of this refusal.
    pub fn of(&self, refusal: Refusal) -> &Counter {
        match refusal {
            Refusal::ReadOnly => &self.read_only,
            Refusal::File => &self.file,
            Refusal::Client => &self.client,
            Refusal::Rate => &self.rate,
        }
    }
}

impl Transfers {
    /// Transfers that have begun here, were adopted, or came from the peer gate.
    #[inline]
    pub fn entered(&self) -> u64 {
        self.started.value() + self.adopted.value() + self.synced.value()
    }

    /// Current number of transfers. To any but the worker that counts them an end may be visible before its beginning.
    #[inline]
    pub fn now(&self) -> u64 {
        self.entered().saturating_sub(self.ended.value())
    }

    /// Fits the counts of an earlier process to the flows of it that go on, so that [`Transfers::now`] is their number. All
    /// others are lost, or, so many, another gate's. A flow whose start was not counted, as the process was killed, counts as started.
    pub fn restore(&self, flows: u64, elsewhere: u64) {
        let counted = self.now();
        let lost = counted.saturating_sub(flows);
        self.started.add(flows.saturating_sub(counted));
        self.ended.add(lost);
        let elsewhere = elsewhere.min(lost);
        self.elsewhere.add(elsewhere);
        self.lost.add(lost - elsewhere);
    }

    /// The counter of this end.
    pub fn of(&self, end: EndReason) -> &Counter {
        match end {
            EndReason::Completed => &self.completed,
            EndReason::SizeProbe => &self.size_probes,
            EndReason::NotFound => &self.not_found,
            EndReason::Failed => &self.failed,
            EndReason::Unheard => &self.unheard,
            EndReason::Unanswered => &self.unanswered,
            EndReason::TimedOut => &self.timed_out,
            EndReason::Replaced => &self.replaced,
            EndReason::Evicted => &self.evicted,
            EndReason::FailedOver => &self.failed_over,
            EndReason::Lost => &self.lost,
            EndReason::Drained => &self.drained,
            EndReason::Elsewhere => &self.elsewhere,
        }
    }
}

/// Drops by reason.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub struct Drops([Counter; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Drops {
        Drops(std::array::from_fn(|_| Counter::default()))
    }
}

impl Drops {
    /// The counter of this reason.
    pub fn of(&self, reason: DropReason) -> &Counter {
        &self.0[reason as usize]
    }

    /// The counters, in the order of the reasons.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter()
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Counter::value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_an_earlier_process_fit_the_flows_that_go_on() {
        for (flows, others, expected) in [
            (6, 0, [7, 4, 0, 0]),
            (4, 0, [7, 6, 2, 0]),
            (4, 1, [7, 6, 1, 1]),
            (4, 9, [7, 6, 0, 2]),
            (7, 0, [8, 4, 0, 0]),
        ] {
            let counts = Transfers::default();
            counts.started.add(7);
            counts.adopted.add(3);
            counts.ended.add(4);
            counts.completed.add(4);
            counts.restore(flows, others);
            assert_eq!(counts.now(), flows);
            let Transfers { started, ended, lost, elsewhere, .. } = &counts;
            assert_eq!([started, ended, lost, elsewhere].map(Counter::value), expected);
        }
    }
}
