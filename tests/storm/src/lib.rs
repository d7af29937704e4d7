//! TFTP clients by the thousand and servers that answer them, over ordinary sockets: what a farm
//! goes through after a power cut. A transfer is a task, not a thread or a process.
#![forbid(unsafe_code)]

pub mod client;
pub mod content;
pub mod link;
pub mod message;
pub mod report;
pub mod serve;
pub mod storm;
pub mod terms;
pub mod transfer;
