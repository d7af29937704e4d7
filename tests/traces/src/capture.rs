//! Captures at the gate: pcapng with the gate's interfaces; every frame has a direction and a comment.

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::{DataLink, PcapError};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;

/// The interfaces by their number.
const NAMES: [&str; 2] = ["outside", "inside"];
/// The two directions of the flags word (draft-ietf-opsawg-pcapng §4.3.1).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// Time stamps count nanoseconds.
const NANOSECONDS: u8 = 9;

/// A frame at the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Time since the start of the capture.
    pub at: Duration,
    /// Interface: 0 is outside.
    pub interface: u8,
    /// Whether the frame arrives.
    pub inbound: bool,
    /// The frame.
    pub frame: Vec<u8>,
    /// Comment.
    pub says: String,
}

/// Writes a capture.
///
/// # Errors
///
/// The file cannot be written.
pub fn write(path: &Path, moments: &[Moment]) -> Result<(), PcapError> {
    let mut writer =
        PcapNgWriter::new(BufWriter::new(File::create(path).map_err(PcapError::IoError)?))?;
    for name in NAMES {
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        interface.options = vec![
            InterfaceDescriptionOption::IfName(name.into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        writer.write_pcapng_block(interface)?;
    }
    for moment in moments {
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: moment.interface.into(),
            timestamp: moment.at,
            original_len: moment.frame.len() as u32,
            data: Cow::Borrowed(&moment.frame),
            options: vec![
                EnhancedPacketOption::Comment(Cow::Borrowed(&moment.says)),
                EnhancedPacketOption::Flags(if moment.inbound { INBOUND } else { OUTBOUND }),
            ],
        })?;
    }
    Ok(())
}

/// Reads a capture.
///
/// # Errors
///
/// The file is no such capture.
pub fn read(path: &Path) -> Result<Vec<Moment>, PcapError> {
    let mut reader =
        PcapNgReader::new(BufReader::new(File::open(path).map_err(PcapError::IoError)?))?;
    let mut moments = vec![];
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block? {
            moments.push(moment(&packet));
        }
    }
    Ok(moments)
}

fn moment(packet: &EnhancedPacketBlock) -> Moment {
    let mut moment = Moment {
        at: packet.timestamp,
        interface: packet.interface_id as u8,
        inbound: false,
        frame: packet.data.to_vec(),
        says: String::new(),
    };
    for option in &packet.options {
        match option {
            EnhancedPacketOption::Comment(says) => moment.says = says.to_string(),
            EnhancedPacketOption::Flags(flags) => moment.inbound = flags & 3 == INBOUND,
            _ => {}
        }
    }
    moment
}
