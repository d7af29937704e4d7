//! TFTP clients by the thousand, and servers for them, over ordinary sockets: the load of a farm after a power cut.
//! Each transfer is a task.
#![forbid(unsafe_code)]

pub mod client;
pub mod content;
pub mod link;
pub mod message;
pub mod options;
pub mod report;
pub mod serve;
pub mod storm;
pub mod terms;
pub mod transfer;
