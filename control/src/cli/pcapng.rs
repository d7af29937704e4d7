//! Frames as a pcapng file (draft-ietf-opsawg-pcapng), with what Tidegate knows about each.

use super::client::Failure;
use pcap_file::pcapng::blocks::ENHANCED_PACKET_BLOCK;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter, RawBlock};
use pcap_file::{DataLink, Endianness, PcapError};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Time stamps count nanoseconds.
const NANOSECONDS: u8 = 9;
/// The filter is text, not bytecode (§4.2, `if_filter`).
const FILTER_IS_TEXT: u8 = 0;

/// The file that `--write` names; `-`: the standard output. Frames hold clients' data: a new file is for its owner alone,
/// and an existing one is overwritten and keeps its mode.
///
/// # Errors
///
/// The file can't be created, or the output would go to a terminal.
pub fn open(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path != "-" {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        return file
            .map(|file| Box::new(BufWriter::new(file)) as Box<dyn Write>)
            .map_err(|error| Failure::File(PathBuf::from(path), error));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::Usage("--write - needs a program or a file behind it, no terminal"));
    }
    Ok(Box::new(BufWriter::new(io::stdout())))
}

/// A new file that only its owner can read. One that is there already stays as it is.
///
/// # Errors
///
/// The file is there already, or can't be created.
#[cfg(feature = "top")]
pub fn create(path: &Path) -> Result<Box<dyn Write>, Failure> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map(|file| Box::new(BufWriter::new(file)) as Box<dyn Write>)
        .map_err(|error| Failure::File(PathBuf::from(path), error))
}

/// A file that is being written.
pub struct PcapNg {
    writer: PcapNgWriter<Box<dyn Write>>,
}

/// A frame, and what is known about it.
pub struct Frame<'a> {
    /// The interface, as an index into those of the file.
    pub interface: usize,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Bytes of the whole frame.
    pub len: usize,
    /// The front of the frame.
    pub bytes: &'a [u8],
    /// Further facts about the frame.
    pub options: Vec<FrameOption>,
}

/// An option of a frame (§4.3).
pub enum FrameOption {
    /// A comment.
    Comment(String),
    /// The direction, and other flags.
    Flags(u32),
    /// Frames lost before this one.
    DropCount(u64),
    /// The number of the frame, the same wherever it is seen.
    PacketId(u64),
    /// The queue that the frame came by.
    Queue(u32),
}

impl FrameOption {
    /// The option's code and value.
    fn parts(&self) -> (u16, Vec<u8>) {
        match self {
            FrameOption::Comment(text) => (1, text.clone().into_bytes()),
            FrameOption::Flags(flags) => (2, flags.to_be_bytes().into()),
            FrameOption::DropCount(count) => (4, count.to_be_bytes().into()),
            FrameOption::PacketId(id) => (5, id.to_be_bytes().into()),
            FrameOption::Queue(queue) => (6, queue.to_be_bytes().into()),
        }
    }
}

impl Frame<'_> {
    /// The body of the frame's block. The library can't write numbers and queues.
    fn block(&self) -> Vec<u8> {
        let front = self.bytes.len() as u32;
        let words = [
            self.interface as u32,
            (self.time >> 32) as u32,
            self.time as u32,
            front,
            self.len as u32,
        ];
        let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        body.extend(self.bytes);
        pad(&mut body);
        for (code, value) in self.options.iter().map(FrameOption::parts) {
            body.extend([code, value.len() as u16].into_iter().flat_map(u16::to_be_bytes));
            body.extend(value);
            pad(&mut body);
        }
        // The end of the options.
        body.extend([0; 4]);
        body
    }
}

/// Blocks and options consist of whole words.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

impl PcapNg {
    /// Begins a file with these interfaces.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn begin(
        out: Box<dyn Write>,
        interfaces: &[&str],
        filter: &str,
        snaplen: u32,
    ) -> Result<PcapNg, Failure> {
        // Time stamps of statistics are right only in this order: the library writes them as one number, not as two.
        let writer = PcapNgWriter::with_endianness(out, Endianness::Big).map_err(failed)?;
        let mut file = PcapNg { writer };
        let filter = [&[FILTER_IS_TEXT], filter.as_bytes()].concat();
        for &name in interfaces {
            let mut block = InterfaceDescriptionBlock::new(DataLink::ETHERNET, snaplen);
            block.options = vec![
                InterfaceDescriptionOption::IfName(name.into()),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                InterfaceDescriptionOption::IfFilter(Cow::Borrowed(&filter)),
            ];
            file.block(block)?;
        }
        Ok(file)
    }

    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        let body = frame.block();
        let len = body.len() as u32 + 12;
        let block = RawBlock {
            type_: ENHANCED_PACKET_BLOCK,
            initial_len: len,
            body: body.into(),
            trailer_len: len,
        };
        self.writer.write_raw_block(&block).map(|_len| ()).map_err(failed)
    }

    /// Adds any block.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn block<'a>(&mut self, block: impl PcapNgBlock<'a>) -> Result<(), Failure> {
        self.writer.write_pcapng_block(block).map(|_len| ()).map_err(failed)
    }

    /// Has all that was added written.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.writer.get_mut().flush().map_err(Failure::Output)
    }
}

fn failed(error: PcapError) -> Failure {
    match error {
        PcapError::IoError(error) => Failure::Output(error),
        other => Failure::Strange(other.to_string()),
    }
}
