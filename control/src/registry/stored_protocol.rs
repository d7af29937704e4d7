//! Protocols as saved state spells them, whatever the engine calls them.

use engine::snapshot::{Ftp, Protocol};
use serde::{Deserialize, Serialize};

/// The form of a [`Protocol`] in saved state.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Protocol", rename_all = "lowercase")]
pub enum StoredProtocol {
    Tftp,
    Ftp(#[serde(with = "StoredFtp")] Ftp),
    Tcp,
    Udp,
    Any,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ftp")]
pub struct StoredFtp {
    data_port: Option<u16>,
    foreign_data: bool,
}
