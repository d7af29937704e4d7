//! `tidegate trace`: the ways of a client's packets, a line a stage.

use super::capture::{flow, verdict};
use super::client::Failure;
use super::drops::time;
use super::frames::{FilterOptions, Frames, client};
use super::output::{check_reader, print, tell};
use super::summary::summary;
use crate::api::CapturedFrame;
use ipnet::IpNet;
use serde_json::json;
use std::path::Path;
use tokio::runtime;

/// Options of `tidegate trace`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The client's address, or a network.
    #[arg(value_name = "CLIENT", value_parser = client)]
    client: IpNet,
    #[command(flatten)]
    filter: FilterOptions,
    /// End after so many packets.
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
}

/// Runs the command until its end; with `json`, a line for each frame, as it came in and as it left.
pub fn run(socket: &Path, json: bool, options: &Options) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::Output)?.block_on(trace(socket, json, options))
}

async fn trace(socket: &Path, json: bool, options: &Options) -> Result<(), Failure> {
    let filter = options.filter.filter(Some(options.client), false);
    let (start, mut frames) = Frames::start(socket, filter).await?;
    tell("tracing; Ctrl-C ends it");
    let (mut count, mut packet) = (0, None);
    loop {
        let message = frames.next().await?;
        check_reader()?;
        for frame in message.frames {
            let is_next = packet.replace(frame.packet) != Some(frame.packet);
            count += usize::from(is_next);
            if count > options.count {
                return Ok(());
            }
            let interface = start.interfaces.get(frame.interface).map_or("?", String::as_str);
            match json {
                true => print(&json!(frame).to_string())?,
                false => print(&lines(&frame, interface, is_next))?,
            }
            // The last packet does not leave, or has left: nothing more is waited for.
            if count == options.count && (frame.sent || !leaves(&frame)) {
                return Ok(());
            }
        }
    }
}

/// Whether a frame that came in leaves, too.
fn leaves(frame: &CapturedFrame) -> bool {
    matches!(&*frame.verdict, "forwarded" | "answered")
}

fn lines(frame: &CapturedFrame, interface: &str, is_next: bool) -> String {
    let packet = summary(&frame.bytes.0);
    let left = format!("  left     {interface}: {packet}");
    if frame.sent && !is_next {
        return left;
    }
    let number = frame.packet & 0xffff_ffff_ffff;
    let mut text = vec![format!("{} worker {} packet {number}", time(frame.time), frame.worker)];
    if !frame.sent {
        text.push(format!("  came     {interface}: {packet}"));
    }
    if let Some(found) = &frame.flow {
        let side = if found.by_client { "client" } else { "server" };
        text.push(format!("  class    of the {side}, client {}", found.client));
        text.push(format!("  flow     {}", flow(found)));
    }
    text.push(format!("  verdict  {}", verdict(frame)));
    if frame.sent {
        text.push(left);
    }
    text.join("\n")
}
