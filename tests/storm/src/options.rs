//! The options of `tidegate-storm`.

use crate::link::Manner;
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// A storm of TFTP clients, and servers for it.
///
/// Exit codes: 0 done, 1 a transfer failed, 2 wrong usage, 3 the environment does not permit the run.
#[derive(Debug, Parser)]
#[command(name = "tidegate-storm", version)]
pub struct Options {
    /// Print one JSON document at the end instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads to run on.
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `tidegate-storm`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays clients.
    Run(Clients),
    /// Plays servers, until SIGINT or SIGTERM. Prints "ready" when they listen.
    Serve(Servers),
}

/// Options of `tidegate-storm run`.
#[derive(Debug, Args)]
pub struct Clients {
    /// Endpoint for requests: an address, with a port unless it is 69.
    #[arg(long, value_name = "ADDRESS", value_parser = endpoint)]
    pub target: SocketAddr,
    /// Concurrent clients.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub clients: u64,
    /// Client addresses, used in turn: an address or a prefix, which this machine must have (a `local` route to a
    /// prefix on `lo` suffices). If left out, the system chooses.
    #[arg(long, value_name = "ADDRESS", value_parser = prefix)]
    pub source: Vec<Ipv4Net>,
    /// Transfers in all; one for each client if left out.
    #[arg(long, value_name = "N", conflicts_with = "length")]
    pub transfers: Option<u64>,
    /// Clients ask again and again for this long.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub length: Option<Duration>,
    /// A file of the servers. If left out, a synthetic one of `tidegate-storm serve`, whose every byte is checked.
    #[arg(long, value_name = "NAME")]
    pub file: Option<String>,
    /// Bytes of the synthetic file.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", conflicts_with = "file")]
    pub size: ByteSize,
    /// The block size to ask for.
    #[arg(long, value_name = "BYTES", default_value_t = 512, value_parser = clap::value_parser!(u16).range(8..=65_464))]
    pub blksize: u16,
    /// The window size to ask for.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub windowsize: u16,
    /// Send the file instead of fetching it.
    #[arg(long, conflicts_with = "file")]
    pub write: bool,
    /// Time over which the clients start.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub ramp: Duration,
    /// The manner of the packets.
    #[command(flatten)]
    pub manner: Patience,
}

/// Options of `tidegate-storm serve`.
#[derive(Debug, Args)]
pub struct Servers {
    /// Endpoint to listen on: an address, with a port unless it is 69. May be repeated.
    #[arg(long, value_name = "ADDRESS", required = true, value_parser = endpoint)]
    pub listen: Vec<SocketAddr>,
    /// Bytes of files whose name does not end in `-BYTES`.
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub size: ByteSize,
    /// The largest block size granted.
    #[arg(long, value_name = "BYTES", default_value_t = 65_464, value_parser = clap::value_parser!(u16).range(8..=65_464))]
    pub max_blksize: u16,
    /// The manner of the packets.
    #[command(flatten)]
    pub manner: Patience,
}

/// Loss and retransmissions.
#[derive(Debug, Args)]
pub struct Patience {
    /// Percentage of packets lost, each way.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub loss: f64,
    /// Silence before a retransmission.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub retransmit: Duration,
    /// Most retransmissions in a row.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
}

impl Patience {
    /// The manner of all that is played.
    pub fn manner(&self) -> Manner {
        Manner { retransmit: self.retransmit, retries: self.retries, loss: self.loss }
    }
}

/// An endpoint with port 69 by default.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text)
        .or_else(|_| IpAddr::from_str(text).map(|address| SocketAddr::new(address, 69)))
        .map_err(|_| "no address, written like 10.0.0.100 or 10.0.0.100:1069".to_owned())
}

fn prefix(text: &str) -> Result<Ipv4Net, String> {
    Ipv4Net::from_str(text)
        .or_else(|_| Ipv4Addr::from_str(text).map(Ipv4Net::from))
        .map_err(|_| "no address or prefix, written like 10.9.0.1 or 10.9.0.0/24".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().map_err(|_| "no number".to_owned())?;
    if (0.0..100.0).contains(&number) { Ok(number) } else { Err("0 up to 99".to_owned()) }
}
