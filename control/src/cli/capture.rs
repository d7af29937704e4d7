//! `tidegate capture`: frames as a pcapng file, each with what became of it.

use super::client::Failure;
use super::frames::{FilterOptions, Frames, client};
use super::output::{check_reader, tell};
use super::pcapng::{self, FrameOption, PcapNg};
use crate::api::{AddressNames, CaptureStart, Captured, CapturedFrame, FrameFlow};
use ipnet::IpNet;
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::name_resolution::{
    Ipv4Record, Ipv6Record, NameResolutionBlock, Record,
};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime;
use tokio::time::{Instant, sleep_until};

/// The two directions of `epb_flags` (§4.3.1).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// A time that does not come.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Options of `tidegate capture`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the pcapng file goes; `-`: to the standard output.
    #[arg(long, value_name = "FILE|-")]
    write: PathBuf,
    /// Only flows of this client or network, on both sides.
    #[arg(long, value_name = "PREFIX", value_parser = client)]
    client: Option<IpNet>,
    #[command(flatten)]
    filter: FilterOptions,
    /// End after so many frames.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Whole frames, with passwords of FTP; without it 256 bytes of each, and passwords masked.
    #[arg(long)]
    full: bool,
}

/// Runs the command until its end, or an interrupt.
pub fn run(socket: &Path, options: &Options) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::Output)?.block_on(capture(socket, options))
}

async fn capture(socket: &Path, options: &Options) -> Result<(), Failure> {
    let filter = options.filter.filter(options.client, options.full);
    let (start, mut frames) = Frames::start(socket, filter).await?;
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let out = pcapng::open(&options.write)?;
    let mut file = CaptureFile::begin(out, &format!("tidegate {command}"), &start)?;
    tell("capturing; Ctrl-C ends it");
    let end = sleep_until(Instant::now() + options.seconds.map_or(NEVER, Duration::from_secs));
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(end, interrupt);
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        let message = tokio::select! {
            () = &mut end => break,
            _ = &mut interrupt => break,
            message = frames.next() => message?,
        };
        if options.write.as_path() == "-" {
            check_reader()?;
        }
        left -= file.add(&message, left)?;
    }
    let Tally { frames, lost } = file.end()?;
    tell(&format!("{frames} frames captured, {lost} lost"));
    Ok(())
}

/// The frames of a capture so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that were lost.
    pub lost: u64,
}

/// A pcapng file that is being written.
pub struct CaptureFile {
    file: PcapNg,
    began: u64,
    /// Frames of each interface.
    written: Vec<u64>,
    lost: u64,
}

impl CaptureFile {
    /// Begins the file; `filter` says in it what is captured.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn begin(
        out: Box<dyn Write>,
        filter: &str,
        start: &CaptureStart,
    ) -> Result<CaptureFile, Failure> {
        let interfaces: Vec<&str> = start.interfaces.iter().map(String::as_str).collect();
        let file = PcapNg::begin(out, &interfaces, filter, start.snaplen as u32)?;
        let written = vec![0; interfaces.len()];
        let mut file = CaptureFile { file, began: now(), written, lost: 0 };
        file.file.block(names(&start.names))?;
        file.file.flush()?;
        Ok(file)
    }

    /// Adds the frames of a message, at most so many; returns how many.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn add(&mut self, message: &Captured, most: u64) -> Result<u64, Failure> {
        self.lost = message.lost;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let frames = &message.frames[..message.frames.len().min(most)];
        for frame in frames {
            self.file.frame(pcapng::Frame {
                interface: frame.interface,
                time: frame.time,
                len: frame.len,
                bytes: &frame.bytes.0,
                options: packet_options(frame),
            })?;
            if let Some(written) = self.written.get_mut(frame.interface) {
                *written += 1;
            }
        }
        self.file.flush()?;
        Ok(frames.len() as u64)
    }

    /// The frames so far.
    pub fn tally(&self) -> Tally {
        Tally { frames: self.written.iter().sum(), lost: self.lost }
    }

    /// Adds the interfaces' statistics; returns what was captured in all.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn end(mut self) -> Result<Tally, Failure> {
        let (began, ended) = (self.began, now());
        for (interface_id, &frames) in (0..).zip(&self.written) {
            // Which interface a lost frame was of is not known.
            let lost = if interface_id == 0 { self.lost } else { 0 };
            self.file.block(InterfaceStatisticsBlock {
                interface_id,
                timestamp: ended,
                options: vec![
                    InterfaceStatisticsOption::IsbStartTime(began),
                    InterfaceStatisticsOption::IsbEndTime(ended),
                    InterfaceStatisticsOption::IsbOsDrop(lost),
                    InterfaceStatisticsOption::IsbUsrDeliv(frames),
                ],
            })?;
        }
        self.file.flush()?;
        Ok(self.tally())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// The names of addresses, as Wireshark shows them in place of these.
fn names(all: &[AddressNames]) -> NameResolutionBlock<'_> {
    let record = |AddressNames { address, names }: &AddressNames| {
        let names = names.iter().map(|name| name.clone().into()).collect();
        match address {
            IpAddr::V4(ip) => {
                Record::Ipv4(Ipv4Record { ip_addr: ip.octets().to_vec().into(), names })
            }
            IpAddr::V6(ip) => {
                Record::Ipv6(Ipv6Record { ip_addr: ip.octets().to_vec().into(), names })
            }
        }
    };
    NameResolutionBlock { records: all.iter().map(record).collect(), options: vec![] }
}

fn packet_options(frame: &CapturedFrame) -> Vec<FrameOption> {
    let mut options = vec![
        FrameOption::Comment(comment(frame)),
        FrameOption::Flags(if frame.sent { OUTBOUND } else { INBOUND }),
        FrameOption::PacketId(frame.packet),
        FrameOption::Queue(frame.worker.into()),
    ];
    if frame.lost > 0 {
        options.push(FrameOption::DropCount(frame.lost));
    }
    options
}

/// The comment on a frame: `verdict: dropped, stray-tid; pxe/tftp2, established, TID 35448`.
fn comment(frame: &CapturedFrame) -> String {
    let verdict = verdict(frame);
    match &frame.flow {
        Some(flow) => format!("verdict: {verdict}; {}", self::flow(flow)),
        None => format!("verdict: {verdict}"),
    }
}

/// The verdict on a frame, with its reason.
pub fn verdict(CapturedFrame { verdict, reason, .. }: &CapturedFrame) -> String {
    reason.as_ref().map_or(verdict.clone(), |reason| format!("{verdict}, {reason}"))
}

/// A flow in words.
pub fn flow(flow: &FrameFlow) -> String {
    let service = flow.service.as_deref().unwrap_or("no service");
    let mut text = match &flow.backend {
        Some(backend) => format!("{service}/{backend}"),
        None => service.to_owned(),
    };
    if let Some(state) = &flow.state {
        text += &format!(", {state}");
    }
    if let Some(tid) = flow.tid {
        text += &format!(", TID {tid}");
    }
    text
}
