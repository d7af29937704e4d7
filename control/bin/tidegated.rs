//! The appliance: configuration, DPDK, workers, and the control loop.
#![forbid(unsafe_code)]

mod dataplane;

use clap::Parser;
use control::api::How;
use control::appliance::Appliance;
use control::config::{self, Written};
use control::desks::Desks;
use control::estate::{Estate, Terms};
use control::health::Checks;
use control::in_force::InForce;
use control::kernel::{Kernel, Traffic};
use control::lasting::Lasting;
use control::reload::Asked;
use control::server::Place;
use control::{conduct, eal, estate, preflight, privilege, tables};
use dataplane::{Devices, Workers};
use dpdk::{Eal, HugePages, Log, descriptors};
use engine::flow::store;
use engine::own::Own;
use engine::tick::Tick;
use log::LevelFilter;
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
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
    /// Least severity that is logged: off, error, warn, info, debug or trace. From debug on, DPDK's own
    /// lines too.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
}

/// Exit codes: 0 done, 1 it can't run here, or no longer, 2 wrong usage or configuration.
fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::new().filter_level(options.log_level).init();
    let written = match config::load(&options.config) {
        Ok(written) => written,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if options.check {
        println!("{}: no fault found", options.config.display());
        return ExitCode::SUCCESS;
    }
    match run(written, options.config, options.log_level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegated: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(written: Written, file: PathBuf, level: LevelFilter) -> Result<(), Box<dyn Error>> {
    let config = &written.config;
    let cores = preflight::check(config)?;
    let place = Place::take(&config.control.socket)?;
    // Before DPDK makes threads, which get no more than this one has.
    privilege::keep_for_start(config)
        .map_err(|error| format!("cannot give up privileges: {error}"))?;
    let log = if level >= LevelFilter::Debug { Log::Shown } else { Log::Quiet };
    let eal = Eal::init(&eal::arguments(config, &cores), log)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(&eal, written, file, place))
}

/// From the devices to a clean stop. The kernel has our addresses before packets flow, and loses
/// them when no more do.
async fn serve(
    eal: &Eal,
    written: Written,
    file: PathBuf,
    place: Place,
) -> Result<(), Box<dyn Error>> {
    let devices = Devices::find(eal, &written.config)?;
    let macs = devices.macs(&written.config);
    let (estate, in_force) = inherit(written, devices.workers)?;
    let lasting = Lasting::default();
    let sought = lasting.sought.clone();
    let mut kernel = Kernel::start(in_force.config(), &macs, in_force.wanted(), sought).await?;
    let outset = Outset { macs, estate, in_force, lasting, file, place };
    let outcome = turn(eal, &mut kernel, devices, outset).await;
    // Why it ends matters more than what is then left behind.
    let stopped = kernel.stop().await;
    outcome.and(stopped.map_err(Into::into))
}

/// State that is known before packets flow.
struct Outset {
    macs: Vec<Mac>,
    estate: Estate,
    in_force: InForce,
    lasting: Lasting,
    file: PathBuf,
    place: Place,
}

/// From the devices' start until their workers have ended.
async fn turn(
    eal: &Eal,
    kernel: &mut Kernel,
    devices: Devices,
    outset: Outset,
) -> Result<(), Box<dyn Error>> {
    let Outset { macs, mut estate, in_force, mut lasting, file, place } = outset;
    let config = in_force.config();
    let dataplane = devices.start(eal, config)?;
    give_up_the_rest(eal)?;
    let facts = dataplane.facts.clone();
    let traffic: Vec<Arc<Traffic>> = (0..)
        .zip(&dataplane.rings)
        .map(|(id, rings)| kernel.carry(id, rings.clone(), Arc::clone(&dataplane.pool)))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let standings = watch::Sender::new(estate.standings.clone());
    estate.save(&in_force.registry, &standings.borrow());
    let (view, clock) = (kernel.view(), estate::clock());
    let now = Tick::at(clock.elapsed());
    let first =
        tables::build(&in_force, &macs, &view.borrow(), &standings.borrow(), &mut lasting, now);
    let first = Arc::new(first);
    let workers = dataplane.launch(eal, config, &first, &mut estate, clock, &stop)?;
    let (reloads, asked) = mpsc::channel(1);
    let appliance = Appliance {
        file,
        in_force: watch::Sender::new(Rc::new(in_force)),
        start: Instant::now(),
        clock,
        interfaces: facts,
        lost: workers.losses(),
        traffic,
        desks: Desks::new(workers.desks.clone()),
        standings,
        view,
        lasting: RefCell::new(lasting),
        estate: RefCell::new(estate),
        tables: watch::Sender::new(first),
        telling: Mutex::default(),
        reloads,
    };

    let outcome = control(Rc::new(appliance), place, kernel, asked, &workers).await;
    stop.store(true, Relaxed);
    outcome.and(workers.join().map_err(Into::into))
}

/// Gives up what only the opening of devices needed: this thread keeps what it takes to run, EAL's keep nothing.
/// Workers give up theirs when they begin.
fn give_up_the_rest(eal: &Eal) -> Result<(), Box<dyn Error>> {
    privilege::keep_for_running()?;
    eal.on_interrupt_thread(privilege::give_up)??;
    if let Err(error) = descriptors::keep_from_children() {
        log::warn!(
            "programs of health checks get open files of ours, as this kernel is old: {error}"
        );
    }
    Ok(())
}

/// The process before's estate, and the configuration with the numbers in it.
fn inherit(written: Written, workers: u16) -> Result<(Estate, InForce), String> {
    let config = &written.config;
    let (socket, size) = (config.control.socket.clone(), Own::size(config.dataplane.max_flows));
    let terms = Terms::new(config, workers, size, store::layout());
    let estate = Estate::open(&socket, terms, random());
    match InForce::first(written.clone(), &estate.registry) {
        Ok(in_force) => Ok((estate, in_force)),
        Err(full) => {
            log::warn!("the transfers of before do not go on: {full}");
            let estate = estate.without_past(&socket, random());
            let first = InForce::first(written, &estate.registry);
            first.map(|in_force| (estate, in_force)).map_err(|full| full.to_string())
        }
    }
}

/// Nobody outside can foresee these.
fn random() -> [u64; 3] {
    let state = RandomState::new();
    [0, 1, 2].map(|n| state.hash_one(n))
}

/// Follows the kernel, the configuration's file and the operator until a signal comes. One thing at a time: a
/// reload is done before the next one, and before a stop.
async fn control(
    appliance: Rc<Appliance>,
    place: Place,
    kernel: &mut Kernel,
    mut asked: mpsc::Receiver<Asked>,
    workers: &Workers,
) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut check = interval(Duration::from_secs(1));
    let mut look = interval(conduct::PERIOD);
    let mut watches = HashMap::new();
    let mut merged_said = false;
    let mut standings = appliance.standings.subscribe();
    let mut view = kernel.view();
    let disturbed = kernel.disturbed();
    let mut in_force = appliance.in_force.subscribe();
    let first = appliance.in_force();
    let mut checks = Checks::start(first.config(), &appliance.standings, &view.borrow())?;
    let server = place.listen()?;
    let serving = server.run(Rc::clone(&appliance));
    tokio::pin!(serving);
    log::info!(
        "ready: {} workers, {} services",
        workers.desks.len(),
        appliance.in_force().config().services.len()
    );
    loop {
        tokio::select! {
            () = &mut serving => {}
            Ok(()) = view.changed() => {
                checks.follow(&view.borrow_and_update());
                appliance.refresh().await;
            }
            Ok(()) = standings.changed() => appliance.refresh().await,
            Ok(()) = in_force.changed() => {
                let new = appliance.in_force();
                if let Err(error) = checks.change(new.config(), &view.borrow()) {
                    log::error!("backends are not checked: {error}");
                }
            }
            () = disturbed.notified() => kernel.tend().await?,
            () = checks.disturbed() => checks.tend(),
            _ = look.tick() => appliance.look_at_conduct(&mut watches),
            _ = check.tick() => {
                if workers.any_ended() {
                    return Err("a worker has stopped by itself".into());
                }
                if kernel.is_waiting() {
                    kernel.tend().await?;
                }
                checks.tend();
                appliance.look_for_merged(&mut merged_said);
                appliance.let_go(kernel).await;
            }
            Some(Asked { how, answer }) = asked.recv() => {
                // Whoever asked may have gone; it is done all the same.
                let _ = answer.send(appliance.reload(kernel, how).await);
            }
            _ = hangup.recv() => reload(&appliance, kernel).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    log::info!("stopping");
    Ok(())
}

/// A reload whose outcome nobody but the log hears of.
async fn reload(appliance: &Appliance, kernel: &mut Kernel) {
    match appliance.reload(kernel, How { check: false }).await {
        Ok(report) if report.applied => log::info!("reloaded"),
        Ok(_) => log::info!("reload: the file says nothing new"),
        Err(error) => log::error!("reload refused: {error}"),
    }
}
