//! Nanoseconds a packet of a full burst, from classify to transmit; new transfers; expiry.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dpdk::HugePages;
use engine::core::Core;
use engine::frame::{BURST, Burst};
use engine::verdict::Verdict;
use kit::field::{Field, Flat, Way};
use kit::lines::Lines;
use kit::world::Via;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The tables lie in huge pages, as tidegated's do.
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
            bursts(c, ("tcp ", via, count), || Lines::new(via, count));
        }
    }
}

fn running(c: &mut Criterion, via: Via, flows: u32) {
    bursts(c, ("", via, flows), || Field::new(via, flows));
}

/// Bursts of packets that go on with what there is, each way.
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

/// What packets are drawn from.
trait Source {
    fn draw(&mut self, way: Way, frames: &mut [Flat]);
    fn walk(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict>;
}

impl Source for Field {
    fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        Field::draw(self, way, frames);
    }

    fn walk(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        Field::walk(self, way, burst)
    }
}

impl Source for Lines {
    fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        Lines::draw(self, way, frames);
    }

    fn walk(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        Lines::walk(self, way, burst)
    }
}

/// So many bursts of random packets; only the engine's part is timed.
fn walks(source: &mut impl Source, way: Way, iterations: u64) -> Duration {
    let mut frames = vec![Flat::EMPTY; BURST * BURSTS];
    let mut total = Duration::ZERO;
    for left in (0..iterations).rev().step_by(BURSTS) {
        let frames = &mut frames[..BURST * BURSTS.min(left as usize + 1)];
        source.draw(way, frames);
        let start = Instant::now();
        for burst in frames.chunks_mut(BURST) {
            black_box(source.walk(way, burst));
        }
        total += start.elapsed();
    }
    total
}

/// A request in, its transfer made, the request out.
fn new_transfers(c: &mut Criterion) {
    const ROOM: u32 = 1 << 20;
    for via in Via::V4 {
        let mut group = c.benchmark_group(format!("new {via:?}").to_lowercase());
        group.throughput(Throughput::Elements(BURST as u64));
        group.bench_function("requests", |bencher| {
            let mut field = Field::empty(via, ROOM);
            let mut frames = vec![Flat::EMPTY; BURST];
            let mut client = 0;
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    if client + BURST as u32 > ROOM {
                        field = Field::empty(via, ROOM);
                        client = 0;
                    }
                    field.ask(client, &mut frames);
                    client += BURST as u32;
                    let start = Instant::now();
                    let verdicts = black_box(field.walk(Way::In, &mut frames));
                    total += start.elapsed();
                    assert!(matches!(verdicts[0], Verdict::Transmit(_)), "{:?}", verdicts[0]);
                }
                total
            });
        });
    }
}

fn ended(core: &Core) -> u64 {
    core.own.counters.backends.iter().map(|backend| backend.ended.value()).sum()
}

/// A million transfers fall silent and are forgotten.
fn expiry(c: &mut Criterion) {
    const FLOWS: u32 = 1_000_000;
    let mut group = c.benchmark_group("expiry");
    group.sample_size(10).throughput(Throughput::Elements(FLOWS.into()));
    group.bench_function("of a million", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations)
                .map(|_| {
                    let Field { mut core, now, .. } = Field::new(Via::Nat, FLOWS);
                    let late = now.after(10_000);
                    let start = Instant::now();
                    while ended(&core) < FLOWS.into() {
                        core.expire(late);
                    }
                    start.elapsed()
                })
                .sum()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = established, tcp, new_transfers, expiry
}
criterion_main!(benches);
