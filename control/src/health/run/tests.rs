use super::*;
use crate::config::sample::{SOUND, parsed};
use crate::config::{Canary, Probe, Program, User};
use engine::snapshot::BackendState;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{sleep, timeout};
use wire::ethernet::Mac;

/// A service whose backends are at these addresses, checked every two seconds.
fn config(probe: Probe, port: u16, addresses: &[IpAddr]) -> Config {
    let mut config = parsed(&format!("{SOUND}\n[service.health]\ncheck = \"icmp\"\n"));
    let service = &mut config.services[0];
    let Some(health) = &mut service.health else { panic!("it is checked") };
    (health.probe, health.port) = (probe, port);
    let one = service.backends[0].clone();
    let at = |&address: &IpAddr| Backend { name: address.to_string(), address, ..one.clone() };
    service.backends = addresses.iter().map(at).collect();
    config
}

fn reached(config: &Config) -> KernelView {
    let backends = config.services.iter().flat_map(|service| &service.backends);
    let hop = NextHop { interface: InterfaceId(0), mac: Mac([2; 6]) };
    KernelView {
        hops: backends.map(|backend| (backend.address, hop)).collect(),
        ..KernelView::default()
    }
}

fn start(config: &Config, statuses: &watch::Sender<BackendStatuses>) -> Checks {
    Checks::start(config, statuses, &reached(config)).unwrap()
}

fn of(
    config: &Config,
    statuses: &watch::Sender<BackendStatuses>,
) -> crate::backend_status::BackendStatus {
    let service = &config.services[0];
    statuses.borrow().of(service, &service.backends[0])
}

fn canary() -> Probe {
    Probe::Tftp(Canary { file: "f".into(), size: None, sha256: None })
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A TFTP server of one block, which runs until it is dropped.
fn serve(socket: UdpSocket) -> JoinSet<()> {
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut packet = [0; 600];
        while let Ok((_, client)) = socket.recv_from(&mut packet).await {
            if packet[1] == 1 {
                socket.send_to(b"\0\x03\0\x01well", client).await.unwrap();
            }
        }
    });
    server
}

#[tokio::test(start_paused = true)]
async fn three_failures_are_a_death_and_two_successes_a_life() {
    let silent = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = config(canary(), port, &[LOOPBACK]);
    let statuses = watch::Sender::new(BackendStatuses::default());
    let mut changes = statuses.subscribe();
    let begin = Instant::now();
    let mut checks = start(&config, &statuses);
    assert_eq!(of(&config, &statuses).state(), BackendState::Active, "a restart stops nobody");
    changes.changed().await.unwrap();
    let dead = of(&config, &statuses);
    assert_eq!((dead.check.verdict, dead.state()), (CheckVerdict::Failed, BackendState::Down));
    assert_eq!(dead.check.last, "no answer within 1s");
    // At the third check, and when that has waited for its second.
    let seconds = begin.elapsed().as_secs_f64();
    assert!((7.0..7.5).contains(&seconds), "{seconds}");
    // A reload in between changes nothing.
    checks.change(&config, &reached(&config)).unwrap();
    let _server = serve(silent);
    let begin = Instant::now();
    changes.changed().await.unwrap();
    let alive = of(&config, &statuses);
    assert_eq!((alive.check.verdict, alive.check.last), (CheckVerdict::Passed, String::new()));
    let seconds = begin.elapsed().as_secs_f64();
    assert!((4.0..4.5).contains(&seconds), "{seconds}");
    // All checks are counted, over the reload.
    let counts = of(&config, &statuses).check.counts;
    assert_eq!((counts.passed, counts.failed, counts.none), (2, 3, 0));
    assert!(counts.time.count() == 5 && counts.time.sum() >= 3.0, "{:?}", counts.time);
}

#[tokio::test(start_paused = true)]
async fn without_checks_nobody_stays_dead() {
    let silent = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let mut config = config(canary(), silent.local_addr().unwrap().port(), &[LOOPBACK]);
    let statuses = watch::Sender::new(BackendStatuses::default());
    let mut changes = statuses.subscribe();
    let mut checks = start(&config, &statuses);
    changes.changed().await.unwrap();
    assert_eq!(of(&config, &statuses).state(), BackendState::Down);
    config.services[0].health = None;
    checks.change(&config, &reached(&config)).unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(of(&config, &statuses), Default::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_is_not_checked() {
    let config = config(canary(), 9, &[LOOPBACK]);
    let statuses = watch::Sender::new(BackendStatuses::default());
    let mut checks = Checks::start(&config, &statuses, &KernelView::default()).unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(of(&config, &statuses), Default::default());
    checks.follow(&reached(&config));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(of(&config, &statuses).check.verdict, CheckVerdict::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_gate_is_no_backend_s() {
    let user = User { uid: 65534, gid: 65534 };
    let command = Probe::Command(Program { words: vec!["/nowhere/check".into()], user });
    let config = config(command, 9, &[LOOPBACK]);
    let statuses = watch::Sender::new(BackendStatuses::default());
    let _checks = start(&config, &statuses);
    sleep(Duration::from_secs(60)).await;
    let check = of(&config, &statuses).check;
    assert_eq!((check.verdict, check.since), (CheckVerdict::Pending, None));
    assert!(check.last.contains("cannot run `/nowhere/check`"), "{}", check.last);
    assert!(check.counts.none > 20 && check.counts.failed == 0, "{:?}", check.counts);
}

/// Checks of many backends are spread evenly over the interval, also when all backends are reached again at once.
#[tokio::test(start_paused = true)]
async fn three_hundred_backends_make_no_burst() {
    const BACKENDS: usize = 300;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let hosts = (0..BACKENDS).map(|n| IpAddr::from([127, 1, (n / 250) as u8, (n % 250) as u8 + 1]));
    let hosts: Vec<_> = hosts.collect();
    let config = config(Probe::Tcp, listener.local_addr().unwrap().port(), &hosts);
    let statuses = watch::Sender::new(BackendStatuses::default());
    let mut checks = start(&config, &statuses);
    let tenths = connections(&listener).await;
    let each = BACKENDS / 20;
    assert!(tenths.iter().all(|&found| found <= 3 * each), "{tenths:?}");
    // The first ones are late by their jitter.
    let steady = &tenths[4..];
    assert!(steady.iter().all(|&found| found > 0), "{tenths:?}");
    let sum: usize = steady.iter().sum();
    assert!(sum.abs_diff(each * steady.len()) < 2 * each, "{sum}");
    let passed = config.services[0].backends.iter().filter(|backend| {
        statuses.borrow().of(&config.services[0], backend).check.verdict == CheckVerdict::Passed
    });
    assert_eq!(passed.count(), BACKENDS);
    checks.follow(&KernelView::default());
    sleep(Duration::from_secs(10)).await;
    checks.follow(&reached(&config));
    let tenths = connections(&listener).await;
    assert!(tenths.iter().all(|&found| found <= 3 * each), "{tenths:?}");
    assert!(tenths[25..].iter().sum::<usize>() > 16 * BACKENDS / 2, "{tenths:?}");
}

/// The number of connections in each tenth of a second, over twenty seconds.
async fn connections(listener: &TcpListener) -> [usize; 200] {
    let begin = Instant::now();
    let mut tenths = [0; 200];
    let count = async {
        while let Ok((_stream, _)) = listener.accept().await {
            tenths[(begin.elapsed().as_millis() / 100) as usize] += 1;
        }
    };
    let _ = timeout(Duration::from_millis(19_999), count).await;
    tenths
}
