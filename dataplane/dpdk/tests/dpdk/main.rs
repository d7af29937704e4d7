//! DPDK itself, without hugepages and without root: devices made of files and of memory. DPDK
//! starts once in a process, so each test runs in one of its own.

mod alone;
mod lcores;
mod pcap;
mod ports;
mod rss;
mod silence;
mod support;
