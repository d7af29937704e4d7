//! The program `tidegate-storm`.
#![forbid(unsafe_code)]

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use storm::client::Request;
use storm::link::Manner;
use storm::report;
use storm::serve::{Habits, Server};
use storm::storm::{End, Storm};
use storm::terms::Terms;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// A storm of TFTP clients, and servers for it. Exit codes: 0 done, 1 a transfer failed, 2 wrong usage, 3 the
/// environment does not permit the run.
#[derive(Debug, Parser)]
#[command(name = "tidegate-storm", version)]
struct Options {
    /// Print one JSON document at the end instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// Threads to run on.
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    threads: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays clients.
    Run(Clients),
    /// Plays servers, until SIGINT or SIGTERM. Prints "ready" when they listen.
    Serve(Servers),
}

#[derive(Debug, Args)]
struct Clients {
    /// Endpoint for requests: an address, with a port unless it is 69.
    #[arg(long, value_name = "ADDRESS", value_parser = endpoint)]
    target: SocketAddr,
    /// Concurrent clients.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Client addresses, used in turn: an address or a prefix, which this machine must have (a `local` route to a
    /// prefix on `lo` suffices). If left out, the system chooses.
    #[arg(long, value_name = "ADDRESS", value_parser = prefix)]
    source: Vec<Ipv4Net>,
    /// Transfers in all; one for each client if left out.
    #[arg(long, value_name = "N", conflicts_with = "length")]
    transfers: Option<u64>,
    /// Clients ask again and again for this long.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    length: Option<Duration>,
    /// A file of the servers. If left out, a synthetic one of `tidegate-storm serve`, whose every byte is checked.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// Bytes of the synthetic file.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", conflicts_with = "file")]
    size: ByteSize,
    /// The block size to ask for.
    #[arg(long, value_name = "BYTES", default_value_t = 512, value_parser = clap::value_parser!(u16).range(8..=65_464))]
    blksize: u16,
    /// The window size to ask for.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    windowsize: u16,
    /// Send the file instead of fetching it.
    #[arg(long, conflicts_with = "file")]
    write: bool,
    /// Time over which the clients start.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    ramp: Duration,
    #[command(flatten)]
    manner: Patience,
}

#[derive(Debug, Args)]
struct Servers {
    /// Endpoint to listen on: an address, with a port unless it is 69. May be repeated.
    #[arg(long, value_name = "ADDRESS", required = true, value_parser = endpoint)]
    listen: Vec<SocketAddr>,
    /// Bytes of files whose name does not end in `-BYTES`.
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    size: ByteSize,
    /// The largest block size granted.
    #[arg(long, value_name = "BYTES", default_value_t = 65_464, value_parser = clap::value_parser!(u16).range(8..=65_464))]
    max_blksize: u16,
    #[command(flatten)]
    manner: Patience,
}

#[derive(Debug, Args)]
struct Patience {
    /// Percentage of packets lost, each way.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Silence before a retransmission.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    retransmit: Duration,
    /// Most retransmissions in a row.
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,
}

impl Patience {
    fn manner(&self) -> Manner {
        Manner { retransmit: self.retransmit, retries: self.retries, loss: self.loss }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Every client and every transfer of a server has a socket.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let outcome = start(options.threads).and_then(|runtime| match options.command {
        Command::Run(clients) => runtime.block_on(run(clients, options.json)),
        Command::Serve(servers) => runtime.block_on(serve(servers, options.json)),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("tidegate-storm: {error}");
        ExitCode::from(3)
    })
}

fn start(threads: usize) -> io::Result<Runtime> {
    match threads {
        0 | 1 => runtime::Builder::new_current_thread().enable_all().build(),
        threads => {
            runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
        }
    }
}

async fn run(clients: Clients, json: bool) -> io::Result<ExitCode> {
    let terms = Terms { blksize: clients.blksize, windowsize: clients.windowsize };
    let request =
        Request::of_size(clients.target, clients.size.as_u64(), terms, clients.manner.manner());
    let request = Request { is_write: clients.write, ..request };
    let request = match clients.file {
        Some(file) => Request { file, size: None, ..request },
        None => request,
    };
    let sources: Vec<IpAddr> =
        clients.source.iter().flat_map(Ipv4Net::hosts).map(IpAddr::V4).collect();
    let sources = if sources.is_empty() { vec![Ipv4Addr::UNSPECIFIED.into()] } else { sources };
    tokio::net::UdpSocket::bind(SocketAddr::new(sources[0], 0)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("this machine has no address {}: {error}", sources[0]))
    })?;
    let end = match clients.length {
        Some(length) => End::After(length),
        None => End::Transfers(clients.transfers.unwrap_or(clients.clients)),
    };
    let bar = bar(end);
    let storm = Storm { request, clients: clients.clients, sources, ramp: clients.ramp, end };
    let report = storm
        .run(|completed, failed| {
            bar.set_position(completed + failed);
            bar.set_message(if failed > 0 { format!("{failed} failed") } else { String::new() });
        })
        .await;
    bar.finish_and_clear();
    let text = if json { serde_json::to_string_pretty(&report)? } else { report.table() };
    println!("{text}");
    Ok(ExitCode::from(u8::from(report.failed() > 0)))
}

/// Shown on a terminal only.
fn bar(end: End) -> ProgressBar {
    let (bar, template) = match end {
        End::Transfers(all) => {
            (ProgressBar::new(all), "{wide_bar} {pos}/{len}, {per_sec}, {elapsed} {msg}")
        }
        End::After(_) => {
            (ProgressBar::new_spinner(), "{spinner} {pos} transfers, {per_sec}, {elapsed} {msg}")
        }
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a sound template"));
    bar
}

async fn serve(options: Servers, json: bool) -> io::Result<ExitCode> {
    let habits = Habits {
        size: options.size.as_u64(),
        max_blksize: options.max_blksize,
        manner: options.manner.manner(),
    };
    let mut servers = vec![];
    for address in options.listen {
        let server = Server::bind(address, habits).await;
        let server = server
            .map_err(|error| io::Error::new(error.kind(), format!("listen {address}: {error}")))?;
        let served = server.served();
        servers.push((address.to_string(), served, tokio::spawn(server.run())));
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("ready");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let served: BTreeMap<String, _> = servers
        .into_iter()
        .map(|(address, served, _)| {
            let served = served.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            (address, served)
        })
        .collect();
    let text = if json { serde_json::to_string_pretty(&served)? } else { report::served(&served) };
    println!("{text}");
    Ok(ExitCode::SUCCESS)
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
