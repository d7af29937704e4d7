//! Capture files for net_pcap.

use engine::types::frame::Frame;
use std::io::{self, Write};

/// Writes a file's header.
pub fn header(file: &mut impl Write) -> io::Result<()> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const ETHERNET: u32 = 1;
    for word in [MAGIC, 2 | 4 << 16, 0, 0, 65_535, ETHERNET] {
        file.write_all(&word.to_ne_bytes())?;
    }
    file.flush()
}

/// Writes one frame.
pub fn frame(file: &mut impl Write, frame: &impl Frame) -> io::Result<()> {
    let len = frame.bytes().len() as u32;
    for word in [0, 0, len, len] {
        file.write_all(&word.to_ne_bytes())?;
    }
    file.write_all(frame.bytes())
}
