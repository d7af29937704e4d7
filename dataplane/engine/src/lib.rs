//! The packet path of one worker: bytes in, verdict and bytes out. Nothing here knows a NIC, a clock or a file; time comes
//! in as an argument, frames come in as buffers, and what control knows comes in as a [`snapshot`].
//!
//! # A burst's way
//!
//! A worker polls its devices and hands each burst of up to 32 frames to [`engine::Engine::process`]:
//!
//! ```text
//!             frames of a burst
//!                    │
//!        parse       │ headers sound? for our MAC?          stage/parse
//!        classify    │ to a VIP, to a SNAT address,         stage/classify, stage/sort
//!                    │ from a server, or foreign?
//!         ┌──────────┼─────────────┬──────────────────┐
//!        UDP        TCP         fragments          all else
//!         │          │          ICMP errors           │
//!         │          │          other IP              │
//!      prefetch   prefetch         │               kernel,
//!         │          │             │               answer, drop
//!     fast path   fast path        │               stage/tftp, stage/connection
//!         │ else     │ else        │
//!       lookup       │             │               stage/tftp/lookup
//!         ├─ no TFTP ┴─────────────┤ dispatch      stage/dispatch
//!         │                        │
//!     slow path                    │               stage/tftp/slow_path
//!         │          slow path, first and later      stage/connection, stage/ftp,
//!         │          fragments, ICMP errors          stage/fragment, stage/icmp_error
//!         └──────────┬─────────────┘
//!        deferred    │ ERROR to strays, ICMP notices, refusals,   stage/reply
//!                    │ option limits, IPv4/IPv6 translation       stage/tftp/options, stage/xlat
//!                    ▼
//!             one verdict a frame: transmit, answer, kernel, hand over, hold, absorb, drop
//! ```
//!
//! All packets of a burst are parsed and classified first, which prefetches the buckets of their keys. Then they are
//! decided group by group: UDP over IPv4, as nearly all packets are such, TCP over IPv4, TCP over IPv6, UDP over IPv6. For
//! each group the rows of all its packets are prefetched, then each packet is decided. The slow path of connections comes
//! after all groups, in the order of arrival, so that later fragments follow their first one. Datagrams of UDP services take
//! it, too: only TCP has a fast path in `stage/connection`. What changes a frame's length comes last, since packets are
//! borrowed from their frames until then.
//!
//! The **fast path** is for packets that change no state: DATA and ACK of an established transfer, data and acknowledgements
//! of an open connection. It is what the slow path comes to for such a packet, with nothing looked at twice. The **slow
//! path** is the whole sequence: lookup, schedule (a backend is chosen), track (the packet teaches a TID, a state, an end),
//! translate, transmit.
//!
//! Each stage returns a [`types::verdict::Step`]: `Ok` where the packet goes on to the next stage, `Err` with the verdict
//! that ends its way.
//!
//! # Layers
//!
//! Each floor may use those below it and its own; a test (`tests/layers`) reads the imports.
//!
//! ```text
//! 10 engine                                   a burst, timers, queries, snapshots
//!  9 stage                                    what happens to a packet
//!  8 state                                    what one worker owns; life and death of transfers and connections
//!  7 choose                                   one backend for one request, now
//!  6 context  ip_family  counters  mode       the moment, the address family, what is counted, dsr and nat and snat
//!  5 snapshot                                 services, backends, VIPs, access: control writes, workers read
//!  4 scheduler                                maglev, round robin, persistence, limits
//!  3 flow                                     rows, keys, tables, ports, fragments
//!  2 alg  net                                 protocols as pure functions; addresses, routes, RSS
//!  1 types                                    ids, directions, verdicts, ticks, frames
//! ```
//!
//! # An engine by itself
//!
//! A worker's engine needs no NIC: a frame is any buffer, and the snapshot here has no service, so that all is the kernel's.
//!
//! ```
//! use engine::context::Ingress;
//! use engine::counters::{Counters, Room};
//! use engine::engine::Engine;
//! use engine::flow::hash::Seed;
//! use engine::snapshot::Snapshot;
//! use engine::snapshot::interface::Interface;
//! use engine::state::WorkerState;
//! use engine::types::frame::Frame;
//! use engine::types::tick::Tick;
//! use engine::types::verdict::Verdict;
//! use std::sync::Arc;
//!
//! struct Buffer(Vec<u8>);
//!
//! impl Frame for Buffer {
//!     fn bytes(&self) -> &[u8] {
//!         &self.0
//!     }
//!     fn bytes_mut(&mut self) -> &mut [u8] {
//!         &mut self.0
//!     }
//!     fn set_len(&mut self, len: usize) -> bool {
//!         self.0.resize(len, 0);
//!         true
//!     }
//! }
//!
//! let mut snapshot = Snapshot::default();
//! snapshot.interfaces.push(Interface { mtu: 1500, ..Interface::default() });
//! let counters = Arc::new(Counters::new(Room::of(&snapshot, 0)));
//! let store = WorkerState::store(64);
//! let (state, _) = WorkerState::new((0, 1), store, &snapshot, Seed([1, 2]), counters, Tick(0));
//! let mut engine = Engine { snapshot: Arc::new(snapshot), state };
//!
//! let broadcast = Buffer([&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x88, 0xcc], &[0; 46]].concat());
//! let interface = Default::default();
//! let verdicts = engine.process(Tick(0), interface, Ingress::Device, &mut [broadcast]);
//! assert_eq!(verdicts[..], [Verdict::Kernel], "LLDP is the kernel's");
//! ```
//!
//! # Rules
//!
//! No allocation, lock, system call, log line or panic on a packet's way. All memory of a worker is taken when it is made, or
//! made by control ([`state::resize`]). Rows that outlive the process ([`flow::store`]) are plain data: fields may be renamed,
//! not moved.
#![forbid(unsafe_code)]

#[macro_use]
pub mod types;

pub mod alg;
pub mod choose;
pub mod context;
pub mod counters;
pub mod engine;
pub mod flow;
pub mod ip_family;
pub mod mode;
pub mod net;
pub mod scheduler;
pub mod snapshot;
pub mod stage;
pub mod state;
