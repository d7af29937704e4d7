//! Arguments, buffers and frames for the tests.

use dpdk::{Eal, Log, Mempool, data_room};
use std::sync::Arc;

/// Buffers of [`pool`].
pub const BUFFERS: u32 = 4095;

/// DPDK without hugepages, with these arguments more.
pub fn eal(more: &[String]) -> Eal {
    Eal::init(&arguments(more), Log::Quiet).unwrap()
}

/// EAL's arguments for [`eal`].
pub fn arguments(more: &[String]) -> Vec<String> {
    let all = ["--no-huge", "-m", "64", "--no-shconf", "--no-pci", "--no-telemetry"];
    all.iter().map(|argument| argument.to_string()).chain(more.iter().cloned()).collect()
}

/// Buffers for an MTU of 1500.
pub fn pool(eal: &Eal) -> Arc<Mempool> {
    Arc::new(Mempool::new(eal, "frames", BUFFERS, 128, data_room(1500), None).unwrap())
}

/// A frame of `len` bytes that differs from others in its bytes.
pub fn frame(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|place| (number * 31 + place * 7) as u8).collect()
}
