//! DPDK behind a safe interface: the environment ([`Eal`]) and its cores, pools of packet buffers,
//! devices and their queues. The dataplane's only hand-written unsafe code is here; each piece
//! keeps alive what it stands on, so that nothing can outlive the memory it points to.

pub mod descriptors;
mod device;
mod eal;
mod error;
mod huge;
mod interrupt;
pub mod lasting;
mod lcore;
mod log;
mod mbuf;
mod mempool;
pub mod offload;
mod port;
mod queue;
mod rss;
mod setup;

pub use device::BUFFERS_PER_QUEUE;
pub use eal::{Eal, Log};
pub use error::{Errno, Error};
pub use huge::HugePages;
pub use lcore::Running;
pub use mbuf::Mbuf;
pub use mempool::{Mempool, data_room};
pub use port::{Info, Port, Stats};
pub use queue::Queue;
pub use rss::Rss;
pub use setup::Setup;
