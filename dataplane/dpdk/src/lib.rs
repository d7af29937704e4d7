//! DPDK behind a safe interface: the environment ([`Eal`]) and its lcores, pools of packet buffers, devices and their
//! queues. It holds the dataplane's only hand-written unsafe code. Each value keeps alive what it depends on, so that
//! nothing outlives the memory that it points to.

pub mod descriptors;
mod device;
mod eal;
mod error;
mod hugepage_allocator;
mod interrupt;
mod lcore;
mod log_capture;
pub mod mapped_file;
mod mbuf;
mod mempool;
pub mod offload;
mod port;
mod port_config;
mod queue;
mod rss;

pub use device::BUFFERS_PER_QUEUE;
pub use eal::{Eal, Log, version};
pub use error::{Errno, Error};
pub use hugepage_allocator::HugePages;
pub use lcore::Running;
pub use mbuf::Mbuf;
pub use mempool::{Mempool, data_room};
pub use port::{Info, Link, Port, Stats};
pub use port_config::PortConfig;
pub use queue::Queue;
pub use rss::Rss;
