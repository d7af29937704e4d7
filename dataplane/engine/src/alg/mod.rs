//! Application layer gateways, one file per protocol: pure functions from the known state, the direction and the
//! payload to a lesson about ports and ends. The stages apply the lesson.

pub mod ftp;
pub mod tftp;
