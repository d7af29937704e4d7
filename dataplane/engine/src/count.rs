//! Counters. One worker writes, control only reads: an add is a plain load and store, and nothing
//! ever waits. A worker's counters share no cache line with another's.

use crate::alg::End;
use crate::flow::record::Flow;
use crate::policy::Refusal;
use crate::reason::Reason;
use crate::tables::{BackendId, Tables};
use crate::verdict::Verdict;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread increases and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call it.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($(#[doc = $about:literal])+ $set:ident { $($(#[doc = $doc:literal])+ $field:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Default)]
        pub struct $set {
            $($(#[doc = $doc])+ pub $field: Counter,)+
        }

        impl $set {
            /// The names, in the order of [`Self::values`].
            pub const NAMES: &[&str] = &[$(stringify!($field),)+];

            /// The numbers now.
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$field.value(),)+]
            }
        }
    };
}

counters! {
    /// What one worker did with packets. Received, taken over, from the kernel, released and made add up to
    /// the verdicts: transmitted, answered, to the kernel, handed over, held, absorbed and all drops.
    Packets {
        /// Frames from the devices.
        received,
        /// Frames that other workers handed over.
        taken_over,
        /// Frames that the kernel sent.
        from_kernel,
        /// Frames forwarded.
        transmitted,
        /// Frames turned into an answer to their sender.
        answered,
        /// Frames given to the kernel.
        to_kernel,
        /// Frames handed over to the worker that owns them.
        handed_over,
        /// Fragments put aside until the first one of their datagram comes.
        held,
        /// Of those, the ones that went on.
        released,
        /// Frames that were taken in: of transfers whose backend is being replaced.
        absorbed,
        /// Frames of our own making, to backends that go on with a dead one's transfers, and to clients that
        /// lose theirs.
        made,
        /// Bytes received from the devices.
        bytes_received,
        /// Bytes of forwarded frames and answers.
        bytes_transmitted,
    }
}

counters! {
    /// What became of transfers: kept for each backend, which is of one service.
    Transfers {
        /// Begun: a request chose a backend.
        started,
        /// Of these, the ones that an earlier process had begun.
        inherited,
        /// Ended, in whatever way; started less ended is the number of transfers now.
        ended,
        /// Requests that the backend has responded to, in whatever way.
        responded,
        /// Requests repeated before they were answered.
        retransmitted,
        /// Of these, the ones that the backend had had time to respond to, and had not.
        ignored,
        /// Ended by the last block's acknowledgement.
        completed,
        /// Ended by the client's ERROR before any data: it only asked for the size.
        size_probes,
        /// Ended by the server's ERROR 1: file not found.
        not_found,
        /// Ended by any other ERROR.
        failed,
        /// Cut: the client was never heard after its request, and the backend repeated itself.
        unheard,
        /// Given up: the backend never answered.
        unanswered,
        /// Of those, the ones that another backend was asked instead.
        asked_elsewhere,
        /// Given up: answered, then silent for the idle timeout.
        timed_out,
        /// Ended by another request from the same endpoint.
        replaced,
        /// Pushed out, unanswered, by a newer request when the table was full.
        evicted,
        /// Downloads whose backend died, and that another one goes on with: there they are `resumed`.
        failed_over,
        /// Begun at a backend that had died, and gone on with here.
        resumed,
        /// Ended by an ERROR of ours: the backend died, and no other one could go on.
        lost,
        /// Of datagrams: ended where they were, at a backend that was drained or removed.
        drained,
        /// Times that the backend's host said that nobody listens any longer.
        unreachable,
        /// Clients that were heard, and that the backend had left without an answer: each counts once a minute.
        silences,
        /// Packets from clients to backends.
        packets_in,
        /// Bytes of those, as IP counts them.
        bytes_in,
        /// Packets from backends to clients.
        packets_out,
        /// Bytes of those.
        bytes_out,
        /// Client packets sent to the service's port instead of the TID, and forwarded to the TID.
        to_service_port,
        /// Packets from a TID that is not the transfer's; none of them reached a client.
        strays,
    }
}

counters! {
    /// Requests that were refused: kept for each service.
    Refusals {
        /// Uploads to a service that takes none.
        read_only,
        /// For files that are not served.
        file,
        /// Of clients that it is not for.
        client,
        /// Of clients that ask too often.
        rate,
        /// FTP's, for data to go to somebody else than the client.
        data,
        /// Of clients that have as many connections as they may.
        connections,
    }
}

impl Refusals {
    /// The counter of those that are refused like this.
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
    /// Transfers now, for the worker that counts them.
    #[inline]
    pub fn now(&self) -> u64 {
        self.started.value() - self.ended.value()
    }

    /// The counter of transfers that end like this.
    pub fn of(&self, end: End) -> &Counter {
        match end {
            End::Completed => &self.completed,
            End::SizeProbe => &self.size_probes,
            End::NotFound => &self.not_found,
            End::Failed => &self.failed,
            End::Unheard => &self.unheard,
            End::Unanswered => &self.unanswered,
            End::TimedOut => &self.timed_out,
            End::Replaced => &self.replaced,
            End::Evicted => &self.evicted,
            End::FailedOver => &self.failed_over,
            End::Lost => &self.lost,
            End::Drained => &self.drained,
        }
    }
}

/// Drops by reason.
#[derive(Debug)]
pub struct Drops(Vec<Counter>);

impl Default for Drops {
    fn default() -> Drops {
        Drops(Reason::ALL.iter().map(|_| Counter::default()).collect())
    }
}

impl Drops {
    /// Packets dropped for this reason.
    pub fn of(&self, reason: Reason) -> &Counter {
        &self.0[reason as usize]
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Counter::value).sum()
    }
}

/// All that one worker counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets by verdict.
    pub packets: CachePadded<Packets>,
    /// Drops by reason.
    pub drops: CachePadded<Drops>,
    /// By [`crate::tables::BackendId`].
    pub backends: Vec<CachePadded<Transfers>>,
    /// By [`crate::tables::ServiceId`].
    pub refusals: Vec<CachePadded<Refusals>>,
}

impl Counters {
    /// Zeroes for the backends and services of a snapshot.
    pub fn new(tables: &Tables) -> Counters {
        Counters::with_room(tables, 0)
    }

    /// The same, and for so many more of each.
    pub fn with_room(tables: &Tables, more: usize) -> Counters {
        Counters {
            backends: zeroes(tables.backends.len() + more),
            refusals: zeroes(tables.services.len() + more),
            ..Counters::default()
        }
    }

    /// Those of the flow's backend.
    #[inline]
    pub fn of(&self, flow: &Flow) -> &Transfers {
        self.backend(flow.backend)
    }

    /// Those of this backend.
    #[inline]
    pub fn backend(&self, id: BackendId) -> &Transfers {
        &self.backends[usize::from(id)]
    }

    /// A packet of so many bytes, as IP counts them, has gone from a client to its backend, or back; a connection of a
    /// rule has none.
    #[inline(always)]
    pub fn pass(&self, backend: BackendId, by_client: bool, bytes: usize) {
        let Some(transfers) = self.backends.get(usize::from(backend)) else { return };
        let (packets, sum) = if by_client {
            (&transfers.packets_in, &transfers.bytes_in)
        } else {
            (&transfers.packets_out, &transfers.bytes_out)
        };
        packets.add(1);
        sum.add(bytes as u64);
    }

    /// Records what became of a packet of `bytes` bytes.
    #[inline]
    pub fn verdict(&self, verdict: Verdict, bytes: usize) {
        match verdict {
            Verdict::Transmit(_) => self.sent(&self.packets.transmitted, bytes),
            Verdict::Answer => self.sent(&self.packets.answered, bytes),
            Verdict::Kernel => self.packets.to_kernel.add(1),
            Verdict::HandOver(_) => self.packets.handed_over.add(1),
            Verdict::Hold(_) => self.packets.held.add(1),
            Verdict::Absorb => self.packets.absorbed.add(1),
            Verdict::Drop(reason) => self.drops.of(reason).add(1),
        }
    }

    fn sent(&self, counter: &Counter, bytes: usize) {
        counter.add(1);
        self.packets.bytes_transmitted.add(bytes as u64);
    }
}

fn zeroes<T: Default>(count: usize) -> Vec<CachePadded<T>> {
    (0..count).map(|_| CachePadded::default()).collect()
}
