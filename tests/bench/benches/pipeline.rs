//! Nanoseconds a packet of a full burst, from classify to transmit; new transfers; expiry.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dpdk::HugePages;
use engine::engine::Engine;
use engine::state::sync::REFRESH;
use engine::state::sync::export::SyncExport;
use engine::types::frame::{BURST, Burst};
use engine::types::verdict::Verdict;
use kit::tcp_load::TcpLoad;
use kit::topology::Via;
use kit::udp_load::{Flat, UdpLoad, Way};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Tables are in huge pages, as in tidegated.
#[global_allocator]
static MEMORY: HugePages = HugePages;

/// Live transfers that packets are drawn from at random.
const FLOWS: [u32; 5] = [4 << 10, 64 << 10, 1 << 20, 4 << 20, 16_500_000];

/// Open TCP connections, likewise.
const CONNECTIONS: [u32; 2] = [4 << 10, 64 << 10];

/// Bursts timed in one go: few enough that their frames stay in the first cache, as a NIC's do.
const BURSTS: usize = 2;

fn established(c: &mut Criterion) {
    for flows in FLOWS {
        for via in Via::V4 {
            running(c, via, flows);
        }
    }
    for via in [Via::Dsr6, Via::Nat6, Via::Snat6] {
        running(c, via, 1 << 20);
    }
}

fn tcp(c: &mut Criterion) {
    for count in CONNECTIONS {
        for via in Via::V4 {
            bursts(c, ("tcp ", via, count), || TcpLoad::new(via, count));
        }
    }
}

fn running(c: &mut Criterion, via: Via, flows: u32) {
    bursts(c, ("", via, flows), || UdpLoad::new(via, flows));
}

/// Bursts of packets of existing flows, per direction.
fn bursts<S: Source>(
    c: &mut Criterion,
    (what, via, count): (&str, Via, u32),
    make: impl Fn() -> S,
) {
    let mut source = None;
    let ways: &[Way] = if via.is_dsr() { &[Way::In] } else { &[Way::In, Way::Out] };
    for &way in ways {
        let mut group = c.benchmark_group(format!("{what}{via:?} {way:?}").to_lowercase());
        group.throughput(Throughput::Elements(BURST as u64));
        group.bench_function(count.to_string(), |bencher| {
            let source = source.get_or_insert_with(&make);
            bencher.iter_custom(|iterations| walks(source, way, iterations));
        });
    }
}

/// A source of packets.
trait Source {
    fn draw(&mut self, way: Way, frames: &mut [Flat]);
    fn process(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict>;
}

impl Source for UdpLoad {
    fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        UdpLoad::draw(self, way, frames);
    }

    fn process(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        UdpLoad::process(self, way, burst)
    }
}

impl Source for TcpLoad {
    fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        TcpLoad::draw(self, way, frames);
    }

    fn process(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        TcpLoad::process(self, way, burst)
    }
}

/// Processes `iterations` bursts of random packets; only the engine's part is timed.
fn walks(source: &mut impl Source, way: Way, iterations: u64) -> Duration {
    let mut frames = vec![Flat::EMPTY; BURST * BURSTS];
    let mut total = Duration::ZERO;
    for left in (0..iterations).rev().step_by(BURSTS) {
        let frames = &mut frames[..BURST * BURSTS.min(left as usize + 1)];
        source.draw(way, frames);
        let start = Instant::now();
        for burst in frames.chunks_mut(BURST) {
            black_box(source.process(way, burst));
        }
        total += start.elapsed();
    }
    total
}

/// A new transfer: request in, row created, request out.
fn new_transfers(c: &mut Criterion) {
    const ROOM: u32 = 1 << 20;
    for via in Via::V4 {
        let mut group = c.benchmark_group(format!("new {via:?}").to_lowercase());
        group.throughput(Throughput::Elements(BURST as u64));
        group.bench_function("requests", |bencher| {
            let mut load = UdpLoad::empty(via, ROOM);
            let mut frames = vec![Flat::EMPTY; BURST];
            let mut client = 0;
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    if client + BURST as u32 > ROOM {
                        load = UdpLoad::empty(via, ROOM);
                        client = 0;
                    }
                    load.ask(client, &mut frames);
                    client += BURST as u32;
                    let start = Instant::now();
                    let verdicts = black_box(load.process(Way::In, &mut frames));
                    total += start.elapsed();
                    assert!(matches!(verdicts[0], Verdict::Transmit(_)), "{:?}", verdicts[0]);
                }
                total
            });
        });
    }
}

fn ended(engine: &Engine) -> u64 {
    engine.state.counters.backends.iter().map(|backend| backend.ended.value()).sum()
}

/// A million silent transfers expire.
fn expiry(c: &mut Criterion) {
    const FLOWS: u32 = 1_000_000;
    let mut group = c.benchmark_group("expiry");
    group.sample_size(10).throughput(Throughput::Elements(FLOWS.into()));
    group.bench_function("of a million", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations)
                .map(|_| {
                    let UdpLoad { mut engine, now, .. } = UdpLoad::new(Via::Nat, FLOWS);
                    let late = now.after(10_000);
                    let start = Instant::now();
                    while ended(&engine) < FLOWS.into() {
                        engine.expire(late);
                    }
                    start.elapsed()
                })
                .sum()
        });
    });
}

/// A round of a pair: rows that the other gate is told, and a round over rows that it knows, in which nothing has happened.
fn pair(c: &mut Criterion) {
    const FLOWS: u32 = 200_000;
    let load = UdpLoad::new(Via::Nat, FLOWS);
    let mut now = load.now.after(20);
    let mut round = SyncExport::new(FLOWS as usize, FLOWS as usize + 64);
    let mut told = |is_new: bool, turns: u32| {
        if is_new {
            round.forget();
        }
        let mut count = 0;
        let start = Instant::now();
        for _ in 0..turns {
            now = now.after(5);
            round.begin(0, now);
            while !round.is_whole() {
                load.engine.export(&mut round, now);
            }
            count += round.transfers.len();
            round.transfers.clear();
        }
        (start.elapsed(), count as u32)
    };
    let mut group = c.benchmark_group("pair");
    group.sample_size(10).throughput(Throughput::Elements(FLOWS.into()));
    group.bench_function("told", |bencher| {
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| told(true, 1));
            rounds.inspect(|(_, count)| assert_eq!(*count, FLOWS)).map(|(time, _)| time).sum()
        });
    });
    // What has come a long way since the flows began is told for some rounds more.
    told(false, 4 * REFRESH);
    group.bench_function("known", |bencher| {
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| told(false, 1));
            rounds.inspect(|(_, count)| assert_eq!(*count, 0)).map(|(time, _)| time).sum()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = established, tcp, new_transfers, expiry, pair
}
criterion_main!(benches);
