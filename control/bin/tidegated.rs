//! The daemon: configuration, DPDK, workers, and the control loop.
#![forbid(unsafe_code)]

mod dataplane;
mod memory;
mod restore;

use clap::Parser;
use control::active_config::ActiveConfig;
use control::api::How;
use control::carry_over::CarryOver;
use control::config::{self, Written};
use control::daemon::{Daemon, ReloadRequest};
use control::flow_log::{FlowLogger, Names, Outputs, Recent};
use control::health::{Checks, passive};
use control::http::{Endpoint, Server, serve_all};
use control::kernel::{Kernel, KernelError, Traffic};
use control::metrics::Facts;
use control::options::Options;
use control::pair;
use control::pair::key::Key;
use control::pair::state::PairState;
use control::saved_state::{self, SavedState};
use control::server::Place;
use control::supervisor::{self, Watchdog};
use control::worker_channels::WorkerChannels;
use control::{eal_args, preflight, privilege, snapshot};
use dataplane::{Devices, Workers};
use dpdk::{Eal, HugePages, Log, descriptors};
use engine::types::tick::Tick;
use log::LevelFilter;
use restore::restore;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::interval;
use wire::ethernet::Mac;

#[global_allocator]
static MEMORY: HugePages = HugePages;

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
    let opened = Opened {
        place: Place::take(&config.control.socket)?,
        endpoints: Endpoint::open_all(&config.control)?,
        key: config.pair.as_ref().map(|pair| Key::read(&pair.key)).transpose()?,
    };
    // Before DPDK makes threads, which get no more than this one has.
    privilege::keep_for_start(config)
        .map_err(|error| format!("cannot give up privileges: {error}"))?;
    let log = if level >= LevelFilter::Debug { Log::Shown } else { Log::Quiet };
    let eal = Eal::init(&eal_args::arguments(config, &cores), log)?;
    let mut runtime = runtime::Builder::new_current_thread();
    // Threads beside this one draw pages.
    runtime.enable_all().on_thread_start(privilege::give_up_at_start);
    let runtime = runtime.build()?;
    LocalSet::new().block_on(&runtime, serve(&eal, written, file, opened))
}

/// Places and files that take privileges to open.
struct Opened {
    place: Place,
    endpoints: Vec<Endpoint>,
    /// The key of the pair, if there is one.
    key: Option<Key>,
}

/// Runs from finding the devices to a clean end. The kernel holds our addresses before packets flow, and until they
/// no longer do.
async fn serve(
    eal: &Eal,
    written: Written,
    file: PathBuf,
    opened: Opened,
) -> Result<(), Box<dyn Error>> {
    // A signal during the start ends what was begun.
    let mut end = pin!(told_to_end()?);
    let devices = Devices::find(eal, &written.config)?;
    let macs = devices.macs(&written.config);
    let (saved_state, active) = restore(written, devices.workers)?;
    let carry_over = CarryOver::default();
    let unresolved = carry_over.unresolved.clone();
    let mut kernel =
        Kernel::start(active.config(), &macs, active.wanted_at_start(), unresolved).await?;
    for held in kernel.wanted().withdrawn {
        log::info!("VIP {} is withdrawn until a backend serves", held.address);
    }
    let outset = Outset { macs, saved_state, active, carry_over, file, opened };
    let outcome = turn(eal, &mut kernel, devices, outset, end.as_mut()).await;
    if matches!(outcome, Ok(End::Restart)) {
        kernel.leave().await;
        return Ok(());
    }
    // The reason for the end matters more than an error while stopping.
    let stopped = kernel.stop().await;
    outcome.and(stopped.map_err(Into::into))
}

/// The reason for a clean end.
enum End {
    /// Nothing of ours stays in the kernel.
    Stop,
    /// Tidegate's state in the kernel stays for the next process.
    Restart,
}

/// State that is known before packets flow.
struct Outset {
    macs: Vec<Mac>,
    saved_state: SavedState,
    active: ActiveConfig,
    carry_over: CarryOver,
    file: PathBuf,
    opened: Opened,
}

/// Runs from the devices' start until their workers have ended.
async fn turn(
    eal: &Eal,
    kernel: &mut Kernel,
    devices: Devices,
    outset: Outset,
    end: Pin<&mut impl Future<Output = End>>,
) -> Result<End, Box<dyn Error>> {
    let Outset { macs, mut saved_state, active, mut carry_over, file, opened } = outset;
    let config = active.config();
    let outputs = Outputs::open(&config.logs, &Recent::default())?;
    let dataplane = devices.start(eal, config)?;
    give_up_the_rest(eal)?;
    let facts = dataplane.facts.clone();
    let traffic: Vec<Arc<Traffic>> = (0..)
        .zip(&dataplane.rings)
        .map(|(id, rings)| kernel.carry(id, rings.clone(), Arc::clone(&dataplane.pool)))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let statuses = watch::Sender::new(saved_state.statuses.clone());
    saved_state.save(&active.registry, &statuses.borrow());
    let (view, clock) = (kernel.view(), saved_state::clock());
    let now = Tick::at(clock.elapsed());
    let first =
        snapshot::build(&active, &macs, &view.borrow(), &statuses.borrow(), &mut carry_over, now);
    let first = Arc::new(first);
    let workers = dataplane.launch(eal, config, &first, &mut saved_state, clock, &stop)?;
    let flow_log = FlowLogger::start(&workers.channels, clock, Names::of(&active), outputs)?;
    let (reloads, asked) = mpsc::channel(1);
    let daemon = Daemon {
        file,
        active: watch::Sender::new(Rc::new(active)),
        start: Instant::now(),
        clock,
        interfaces: facts,
        lost: workers.losses(),
        link: workers.links(),
        traffic,
        flow_log,
        channels: WorkerChannels::new(workers.channels.clone()),
        statuses,
        view,
        conflicts: kernel.conflicts(),
        pair: PairState::default(),
        drained: watch::Sender::default(),
        carry_over: RefCell::new(carry_over),
        saved_state: RefCell::new(saved_state),
        snapshot: watch::Sender::new(first),
        publishing: Mutex::default(),
        reloads,
        facts: RefCell::new(Facts::new(dpdk::version())),
        last_reload: Cell::default(),
    };

    let daemon = Rc::new(daemon);
    let outcome = control(&daemon, opened, kernel, (asked, end), &workers).await;
    stop.store(true, Relaxed);
    let joined = workers.join();
    daemon.flow_log.stop();
    outcome.and_then(|end| joined.map(|()| end).map_err(Into::into))
}

/// Gives up privileges that only the opening of devices needed: this thread keeps those to run, EAL's threads keep
/// none. Workers give up theirs when they begin.
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

/// The control loop: follows the kernel, the operator and the backends' health until a signal arrives. A reload is
/// finished before the next one, and before a stop.
async fn control(
    daemon: &Rc<Daemon>,
    opened: Opened,
    kernel: &mut Kernel,
    (mut asked, mut end): (mpsc::Receiver<ReloadRequest>, Pin<&mut impl Future<Output = End>>),
    workers: &Workers,
) -> Result<End, Box<dyn Error>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut check = interval(Duration::from_secs(1));
    let mut look = interval(passive::PERIOD);
    let (mut watches, mut watchdog) = (HashMap::new(), Watchdog::default());
    let mut merged_said = false;
    let mut statuses = daemon.statuses.subscribe();
    let mut view = kernel.view();
    let mut drained = daemon.drained.subscribe();
    let disturbed = kernel.disturbed();
    let mut active = daemon.active.subscribe();
    let first = daemon.active();
    follow_links(daemon, kernel).await?;
    let mut checks = Checks::start(first.config(), &daemon.statuses, &view.borrow())?;
    // Answers wait for nothing that is done below.
    let mut serving = start_serving(daemon, opened)?;
    log::info!("ready: {}", daemon.summary());
    supervisor::ready(&daemon.summary());
    let end = loop {
        tokio::select! {
            Ok(()) = view.changed() => {
                checks.follow(&view.borrow_and_update());
                daemon.publish().await;
                daemon.announce(kernel).await;
            }
            Ok(()) = statuses.changed() => {
                daemon.publish().await;
                daemon.announce(kernel).await;
            }
            Ok(()) = drained.changed() => {
                daemon.announce(kernel).await;
                supervisor::ready(&daemon.summary());
            }
            Ok(()) = active.changed() => {
                let new = daemon.active();
                if let Err(error) = checks.change(new.config(), &view.borrow()) {
                    log::error!("backends are not checked: {error}");
                }
            }
            () = disturbed.notified() => {
                follow_links(daemon, kernel).await?;
                kernel.tend().await?;
            }
            () = checks.disturbed() => checks.tend(),
            _ = look.tick() => daemon.check_passive_health(&mut watches),
            _ = check.tick() => {
                tend(daemon, kernel, workers).await?;
                watchdog.look(daemon.turns());
                checks.tend();
                daemon.look_for_merged(&mut merged_said);
            }
            Some(ReloadRequest { how, answer }) = asked.recv() => {
                // The client may have gone; the reload is done all the same.
                let _ = answer.send(daemon.reload(kernel, how).await);
            }
            _ = hangup.recv() => {
                daemon.flow_log.reopen();
                reload(daemon, kernel).await;
            }
            end = &mut end => break end,
        }
    };
    log::info!("stopping");
    supervisor::stopping();
    serving.shutdown().await;
    Ok(end)
}

/// Starts to answer on the socket and over HTTP, and to keep the flows of a pair in step.
fn start_serving(daemon: &Rc<Daemon>, opened: Opened) -> Result<JoinSet<()>, Box<dyn Error>> {
    let Opened { place, endpoints, key } = opened;
    let mut serving = JoinSet::new();
    serving.spawn_local(place.listen()?.run(Rc::clone(daemon)));
    let servers = endpoints.into_iter().map(Server::new).collect::<Result<_, _>>()?;
    serving.spawn_local(serve_all(servers, Rc::clone(daemon)));
    if let Some((gates, key)) = daemon.active().config().pair.clone().zip(key) {
        serving.spawn_local(pair::run(Rc::clone(daemon), gates, key));
    }
    Ok(serving)
}

/// Waits for a signal to end: SIGTERM or SIGINT to stop, SIGUSR2 to make room for the next process.
fn told_to_end() -> io::Result<impl Future<Output = End>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined2())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => End::Stop,
            _ = interrupt.recv() => End::Stop,
            _ = restart.recv() => End::Restart,
        }
    })
}

/// Does what comes with time: looks at the workers, restores what waits for that, releases what was removed.
async fn tend(
    daemon: &Daemon,
    kernel: &mut Kernel,
    workers: &Workers,
) -> Result<(), Box<dyn Error>> {
    if workers.any_ended() {
        return Err("a worker has stopped by itself".into());
    }
    follow_links(daemon, kernel).await?;
    if kernel.is_waiting() {
        kernel.tend().await?;
    }
    daemon.release_removed(kernel).await;
    daemon.announce(kernel).await;
    Ok(())
}

/// Gives the TAPs the carriers of their devices' links.
async fn follow_links(daemon: &Daemon, kernel: &mut Kernel) -> Result<(), KernelError> {
    kernel.follow_links(|interface| (daemon.link)(interface).is_up).await
}

/// A reload by SIGHUP, whose outcome is only logged.
async fn reload(daemon: &Daemon, kernel: &mut Kernel) {
    match daemon.reload(kernel, How { check: false }).await {
        Ok(report) if report.applied => log::info!("reloaded"),
        Ok(_) => log::info!("reload: the file says nothing new"),
        Err(error) => log::error!("reload refused: {error}"),
    }
}
