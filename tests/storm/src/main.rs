//! The program `tidegate-storm`.
#![forbid(unsafe_code)]

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use storm::client::Request;
use storm::options::{Clients, Command, Options, Servers};
use storm::report;
use storm::serve::{Habits, Server};
use storm::storm::{End, Storm};
use storm::terms::Terms;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

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
