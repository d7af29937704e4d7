//! `tidegate drops`: how many packets were dropped for each reason, and the last ones.

use super::client;
use super::names;
use super::output::print;
use super::pcapng::{self, FrameOption, PcapNg};
use super::summary::summary;
use super::table::table;
use crate::api::{DropCount, DroppedFrame, DroppedFrames, Reason, Request};
use clap_complete::engine::ArgValueCandidates;
use client::{Failure, parse};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use worker::drop_history::SNAPLEN;

/// Options of `tidegate drops`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The last frames that were dropped for this reason; without it, all reasons with their packets.
    #[arg(add = ArgValueCandidates::new(names::reasons))]
    reason: Option<String>,
    /// Write the frames as pcapng to a file, or to the standard output (`-`).
    #[arg(long, value_name = "FILE|-", requires = "reason")]
    write: Option<PathBuf>,
}

/// Runs the command.
pub fn run(socket: &Path, json: bool, options: &Options) -> Result<(), Failure> {
    let Some(reason) = &options.reason else {
        let answer = client::ask(socket, &Request::Drops {})?;
        let text = if json { format!("{answer:#}") } else { reasons(&parse::<Vec<_>>(answer)?) };
        return print(&text);
    };
    let answer = client::ask(socket, &Request::Dropped(Reason { reason: reason.clone() }))?;
    match &options.write {
        Some(path) => write(&parse(answer)?, path),
        None if json => print(&format!("{answer:#}")),
        None => print(&frames(&parse(answer)?)),
    }
}

fn reasons(counts: &[DropCount]) -> String {
    let mut table = table(&["REASON", "PACKETS", "MEANING"], 3);
    for DropCount { reason, packets, meaning } in counts {
        table.add_row([reason.clone(), packets.to_string(), meaning.clone()]);
    }
    table.to_string()
}

fn frames(DroppedFrames { reason, frames }: &DroppedFrames) -> String {
    if frames.is_empty() {
        return format!("nothing was dropped as {reason} since the start");
    }
    let mut table = table(&["TIME", "WORKER", "INTERFACE", "BYTES", "PACKET"], 5);
    for frame in frames {
        table.add_row([
            time(frame.time),
            frame.worker.to_string(),
            frame.interface.clone().unwrap_or_else(|| "-".to_owned()),
            frame.len.to_string(),
            summary(&frame.bytes.0),
        ]);
    }
    table.to_string()
}

/// A time in nanoseconds since 1970, in UTC.
pub fn time(nanoseconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    humantime::format_rfc3339_micros(time).to_string()
}

fn write(DroppedFrames { reason, frames }: &DroppedFrames, path: &Path) -> Result<(), Failure> {
    let mut names: Vec<&str> = frames.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    let comment = format!("verdict: dropped, {reason}");
    let mut file = PcapNg::begin(
        pcapng::open(path)?,
        &names,
        &format!("tidegate drops {reason}"),
        SNAPLEN as u32,
    )?;
    for frame in frames {
        file.frame(pcapng::Frame {
            interface: names.binary_search(&name(frame)).unwrap_or_default(),
            time: frame.time,
            len: frame.len,
            bytes: &frame.bytes.0,
            options: vec![FrameOption::Comment(comment.clone())],
        })?;
    }
    file.flush()
}

fn name(frame: &DroppedFrame) -> &str {
    frame.interface.as_deref().unwrap_or("unknown")
}
