//! The daemon under test: everything but the kernel and the dataplane.

use control::active_config::ActiveConfig;
use control::api::{Error, How, Link, Reload};
use control::backend_status::{BackendStatuses, CheckVerdict};
use control::carry_over::CarryOver;
use control::config::{HttpAccess, Listen};
use control::daemon::{Daemon, InterfaceFacts, ReloadRequest};
use control::flow_log::{FlowLogger, Names, Outputs};
use control::http::{Access, Endpoint, Listener, Server, Serves, serve_all};
use control::kernel::{Conflicts, KernelView, Route, Traffic};
use control::metrics::Facts;
use control::pair::state::PairState;
use control::registry::Registry;
use control::saved_state::{Compatibility, SavedState};
use control::server::Place;
use control::worker_channels::WorkerChannels;
use control::{config, snapshot};
use engine::snapshot::Snapshot;
use engine::state::references::References;
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use wire::ethernet::Mac;
use worker::command_channel::WorkerChannel;

/// The configuration of most tests.
pub const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/full.toml");

/// The token of the guarded address.
pub const TOKEN: &str = "a-token-that-nobody-guesses";
/// The clients of the guarded address: over IPv6, not over IPv4.
pub const ALLOWED: &str = "::1/128";

/// Opens an address.
pub fn listener(address: &str) -> Listener {
    let address = Listen::Tcp(address.parse().expect("an address"));
    Listener::open(&address).expect("a free port")
}

/// The endpoints of listeners; the second one is guarded.
fn endpoints([open, guarded]: [Listener; 2], token: PathBuf) -> [Endpoint; 2] {
    let serves = Serves { metrics: true, web: true };
    let allow = vec![ALLOWED.parse().expect("a network")];
    let access = Access::open(&HttpAccess { allow, token }).expect("a token");
    [(open, None), (guarded, Some(Rc::new(access)))].map(|(listener, access)| Endpoint {
        listener,
        serves,
        access,
    })
}

/// Reads a configuration.
pub fn read(file: &Path) -> ActiveConfig {
    let written = config::load(file).unwrap_or_else(|error| panic!("{error}"));
    ActiveConfig::first(written, &Registry::default()).expect("few enough")
}

/// Builds the first snapshot.
pub fn snapshot(active: &ActiveConfig, view: &KernelView) -> Snapshot {
    let macs = [2, 4, 6].map(|n| Mac([n; 6]));
    let carry_over = &mut CarryOver::default();
    snapshot::build(active, &macs, view, &BackendStatuses::default(), carry_over, Tick(0))
}

/// Statuses of backends whose health checks have passed, but for those of `images`, which have no verdict yet.
fn checked(active: &ActiveConfig) -> BackendStatuses {
    let mut statuses = BackendStatuses::default();
    for (_, service, backend) in
        active.backends().filter(|(_, service, _)| service.name != "images")
    {
        statuses.entry(&service.name, &backend.name).check.verdict = CheckVerdict::Passed;
    }
    statuses
}

/// Serves until it is told to stop.
pub fn serve(
    (place, listeners, token): (Place, [Listener; 2], PathBuf),
    channel: WorkerChannel,
    file: PathBuf,
    view: KernelView,
    stop: oneshot::Receiver<()>,
) {
    let facts = |mac| InterfaceFacts { driver: "made up".into(), mac, queues: 1, rss: "-" };
    let active = read(&file);
    let (reloads, mut asked) = mpsc::channel(1);
    // No worker uses the memory.
    let compatibility = Compatibility::new(active.config(), 0, "made up".into());
    let saved_state = SavedState::open(&file, compatibility, [0; 3]);
    let workers = [channel.clone()];
    let (names, outputs) = (Names::of(&active), Outputs::default());
    let flow_log = FlowLogger::start(&workers, Instant::now(), names, outputs).expect("a thread");
    let statuses = checked(&active);
    let daemon = Daemon {
        file,
        snapshot: watch::Sender::new(Arc::new(snapshot(&active, &view))),
        active: watch::Sender::new(Rc::new(active)),
        start: Instant::now(),
        interfaces: [2, 4, 6].map(|n| facts(Mac([n; 6]))).into(),
        lost: Box::new(|_| Default::default()),
        link: Box::new(|_| Link { is_up: true, speed: None }),
        traffic: (0..3).map(|_| Arc::new(Traffic::default())).collect(),
        flow_log,
        channels: WorkerChannels::new(vec![channel]),
        statuses: watch::Sender::new(statuses),
        view: watch::channel(view).1,
        conflicts: watch::channel(Conflicts::default()).1,
        pair: PairState::default(),
        drained: watch::Sender::default(),
        clock: Instant::now(),
        carry_over: RefCell::default(),
        saved_state: RefCell::new(saved_state),
        publishing: Mutex::default(),
        reloads,
        facts: RefCell::new(Facts::new("none".into())),
        last_reload: Cell::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), async {
        let server = place.listen().expect("the socket opens");
        let daemon = Rc::new(daemon);
        let endpoints = endpoints(listeners, token);
        let servers = endpoints.map(|one| Server::new(one).expect("a runtime"));
        tokio::select! {
            () = server.run(Rc::clone(&daemon)) => {}
            () = serve_all(servers.into(), Rc::clone(&daemon)) => {}
            () = async {
                while let Some(ReloadRequest { how, answer }) = asked.recv().await {
                    let outcome = reload(&daemon, how).await;
                    daemon.record_reload(how, outcome.is_ok());
                    let _ = answer.send(outcome);
                }
            } => {}
            _ = stop => {}
        }
    });
}

/// A reload without a kernel, which would hold the addresses. What it removes is gone at once.
async fn reload(daemon: &Daemon, how: How) -> Result<Reload, Error> {
    let plan = daemon.plan()?;
    let applied = plan.changes_anything() && !how.check;
    let report = plan.report(applied);
    if applied {
        daemon.activate(plan.next).await;
        let mut next = ActiveConfig::clone(&daemon.active());
        next.registry.release(&References::of(&daemon.snapshot.borrow()));
        daemon.activate(next).await;
    }
    Ok(report)
}

/// A kernel view with one route over another machine's interface, and an unresolved router.
pub fn view() -> KernelView {
    let route = |to: &str, gateway: Option<&str>, interface, mac| Route {
        to: to.parse().expect("a network"),
        gateway: gateway.map(|gateway| gateway.parse().expect("an address")),
        interface,
        mac,
    };
    let routes = [
        route("0.0.0.0/0", Some("10.0.0.1"), Some(InterfaceId(0)), None),
        route("10.0.0.0/24", None, Some(InterfaceId(0)), None),
        route("10.1.0.70/32", None, Some(InterfaceId(1)), Some(Mac([2; 6]))),
        route("192.168.0.0/16", Some("172.16.0.1"), None, None),
    ];
    KernelView { routes: routes.into(), ..KernelView::default() }
}
