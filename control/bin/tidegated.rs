//! The appliance: configuration, DPDK, workers, and the control loop.
#![forbid(unsafe_code)]

mod dataplane;

use clap::Parser;
use control::appliance::Appliance;
use control::config::{self, Config};
use control::desks::Desks;
use control::kernel::{Kernel, Traffic, View};
use control::lasting::Lasting;
use control::server::Place;
use control::standing::Standings;
use control::{eal, events, preflight, tables};
use dataplane::{Devices, Workers};
use dpdk::{Eal, HugePages, Log};
use engine::tables::Tables;
use engine::tick::Tick;
use log::LevelFilter;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::interval;
use wire::ethernet::Mac;

#[global_allocator]
static MEMORY: HugePages = HugePages;

/// A load balancer for TFTP on DPDK.
#[derive(Debug, Parser)]
#[command(name = "tidegated", version)]
struct Options {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only read and check it.
    #[arg(long)]
    check: bool,
    /// What goes to the log: off, error, warn, info, debug or trace. From debug on, DPDK's own
    /// lines too.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
}

/// Exit codes: 0 done, 1 it can't run here, 2 wrong usage or configuration.
fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::new().filter_level(options.log_level).init();
    let config = match config::load(&options.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if options.check {
        println!("{}: no fault found", options.config.display());
        return ExitCode::SUCCESS;
    }
    match run(config, options.log_level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegated: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config, level: LevelFilter) -> Result<(), Box<dyn Error>> {
    let cores = preflight::check(&config)?;
    let place = Place::take(&config.control.socket)?;
    let log = if level >= LevelFilter::Debug { Log::Shown } else { Log::Quiet };
    let eal = Eal::init(&eal::arguments(&config, &cores), log)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(&eal, config, place))
}

/// From the devices to a clean stop. The kernel has our addresses before packets flow, and loses
/// them when no more do.
async fn serve(eal: &Eal, config: Config, place: Place) -> Result<(), Box<dyn Error>> {
    let devices = Devices::find(eal, &config)?;
    let macs = devices.macs(&config);
    let mut kernel = Kernel::start(&config, &macs).await?;
    let dataplane = devices.start(eal, &config)?;
    let facts = dataplane.facts.clone();
    let traffic: Vec<Arc<Traffic>> = (0..)
        .zip(&dataplane.rings)
        .map(|(id, rings)| kernel.carry(id, rings.clone(), Arc::clone(&dataplane.pool)))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let standings = watch::Sender::new(Standings::default());
    let mut lasting = Lasting::default();
    let first = tables::build(
        &config,
        &macs,
        &kernel.view().borrow(),
        &standings.borrow(),
        &mut lasting,
        Tick::default(),
    );
    let first = Arc::new(first);
    let start = Instant::now();
    let workers = dataplane.launch(eal, &config, &first, start, &stop)?;
    let (publish, tables) = watch::channel(first);
    let desks = Desks::new(workers.desks.clone());
    let lost = workers.losses();
    let appliance =
        Appliance { config, start, interfaces: facts, lost, traffic, desks, standings, tables };

    let outcome =
        control(Rc::new(appliance), place, kernel.view(), &macs, publish, &workers, lasting).await;
    stop.store(true, Relaxed);
    let joined = workers.join();
    kernel.stop().await?;
    joined?;
    outcome
}

/// Follows the kernel and answers the operator until a signal comes.
async fn control(
    appliance: Rc<Appliance>,
    place: Place,
    mut view: watch::Receiver<View>,
    macs: &[Mac],
    publish: watch::Sender<Arc<Tables>>,
    workers: &Workers,
    mut lasting: Lasting,
) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut check = interval(Duration::from_secs(1));
    let mut standings = appliance.standings.subscribe();
    let server = place.listen()?;
    let serving = server.run(Rc::clone(&appliance));
    tokio::pin!(serving);
    log::info!(
        "ready: {} workers, {} services",
        workers.desks.len(),
        appliance.config.services.len()
    );
    loop {
        let mut changed = false;
        tokio::select! {
            () = &mut serving => {}
            Ok(()) = view.changed() => changed = true,
            Ok(()) = standings.changed() => changed = true,
            _ = check.tick() => {
                if workers.any_ended() {
                    return Err("a worker has stopped by itself".into());
                }
            }
            _ = hangup.recv() => log::warn!("SIGHUP: reload is not supported in this version"),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        if changed {
            let (view, standings) =
                (view.borrow_and_update().clone(), standings.borrow_and_update().clone());
            let now = Tick::at(appliance.start.elapsed());
            let new = tables::build(&appliance.config, macs, &view, &standings, &mut lasting, now);
            for change in events::changes(&publish.borrow(), &new, &appliance.config) {
                log::info!("{change}");
            }
            let new = Arc::new(new);
            appliance.desks.publish(&new).await;
            publish.send_replace(new);
        }
    }
    log::info!("stopping");
    Ok(())
}
