//! tidegated on net_pcap, which replays frames for ever and drops sent ones, beside testpmd on the same device with the
//! same frames on the same core.

use crate::gate::Gate;
use crate::pcap;
use crate::results::{Reach, Results, median};
use kit::topology::{Via, mac, owner};
use kit::udp_load::{Flat, Frames, Random, Way, endpoint};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::ethernet::Mac;

/// Hardware addresses of net_pcap, in the order of the devices.
const MACS: [Mac; 2] = [Mac([2, 0x70, 0x63, 0x61, 0x70, 0]), Mac([2, 0x70, 0x63, 0x61, 0x70, 1])];
const FLOWS: u32 = 4096;
/// Duration of a measurement.
const TIME: Duration = Duration::from_secs(2);

/// The load of a measurement.
#[derive(Debug, Clone, Copy)]
struct Load {
    via: Via,
    /// Running transfers.
    flows: u32,
    /// Rows of each worker.
    max_flows: u32,
    workers: u16,
    /// Number of frames of each worker, which are replayed.
    frames: u32,
    /// Percentage of new requests.
    requests: u32,
}

const USUAL: Load = Load {
    via: Via::Nat,
    flows: FLOWS,
    max_flows: 65_536,
    workers: 1,
    frames: 16_384,
    requests: 0,
};

pub fn measure(results: &mut Results, turns: usize) {
    for (via, mode) in [(Via::Dsr, "macswap"), (Via::Nat, "5tswap"), (Via::Snat, "5tswap")] {
        let bench = Bench::new(Load { via, ..USUAL });
        let mut rates = (vec![], vec![]);
        for _ in 0..turns {
            rates.0.push(bench.testpmd(mode));
            rates.1.push(bench.tidegated().rate);
        }
        let (testpmd, tidegated) = (median(rates.0), median(rates.1));
        let what = format!("device, {via:?}, {FLOWS} flows").to_lowercase();
        let reach = (via != Via::Snat).then_some(Reach::AtLeast(0.5));
        let against = (format!("testpmd {mode}"), testpmd);
        results.compare(&what, tidegated, "Mpps", (&against.0, against.1), reach);
    }
    two_workers(results, turns);
    flood(results, turns);
    latency(results);
}

fn two_workers(results: &mut Results, turns: usize) {
    // Copying many frames exhausts the memory bandwidth that cores share: testpmd's two cores do no better.
    let of = |workers| Load { workers, frames: 1024, ..USUAL };
    let (one, two) = (Bench::new(of(1)), Bench::new(of(2)));
    let mut rates = (vec![], vec![]);
    for _ in 0..turns {
        rates.0.push(one.tidegated().rate);
        rates.1.push(two.tidegated().rate);
    }
    let (one, two) = (median(rates.0), median(rates.1));
    let reach = Some(Reach::AtLeast(1.9));
    results.compare("device, nat, 2 workers", two, "Mpps", ("1 worker", one), reach);
}

/// Every second frame is a new request, in a table that is always full.
fn flood(results: &mut Results, turns: usize) {
    let load = |requests| Load { flows: 10_000, max_flows: 12_288, requests, ..USUAL };
    let (quiet, flooded) = (Bench::new(load(0)), Bench::new(load(50)));
    let mut rates = (vec![], vec![]);
    let mut lost = 0.0f64;
    for _ in 0..turns {
        rates.0.push(quiet.tidegated().rate);
        let run = flooded.tidegated();
        lost = lost.max(run.lost);
        // Half of the frames belong to the transfers.
        rates.1.push(run.rate / 2.0);
    }
    let against = ("no flood", median(rates.0));
    let what = "device, packets of 10,000 transfers among as many new requests";
    results.compare(what, median(rates.1), "Mpps", against, None);
    results.add("transfers lost in that flood", lost, "of 10,000", Some(Reach::AtMost(0.0)));
}

/// Time that a single frame spends in the worker.
fn latency(results: &mut Results) {
    let mut bench = Bench::new(USUAL);
    bench.burst = 1;
    let micros = bench.tidegated().p99_9 / 1000.0;
    let reach = Some(Reach::AtMost(5.0));
    results.add("latency in the worker, bursts of one, p99.9", micros, "µs", reach);
}

/// The result of a run of tidegated.
struct Run {
    /// Frames sent, in millions per second.
    rate: f64,
    /// Running transfers lost during the run.
    lost: f64,
    /// 99.9th percentile of the time in the worker, in nanoseconds.
    p99_9: f64,
}

/// A load in capture files.
struct Bench {
    folder: TempDir,
    load: Load,
    burst: u16,
}

impl Bench {
    fn new(load: Load) -> Bench {
        let folder = TempDir::with_prefix("tidegate-bench.").expect("a folder");
        let bench = Bench { folder, load, burst: 32 };
        for worker in 0..load.workers {
            let file = File::create(bench.path(worker)).expect("a file");
            bench.write_load(worker, BufWriter::new(file)).expect("the disk has room");
        }
        bench
    }

    fn path(&self, worker: u16) -> String {
        self.folder.path().join(format!("load{worker}.pcap")).display().to_string()
    }

    /// Writes packets of this worker's running transfers, drawn at random, in both directions.
    fn write_load(&self, worker: u16, mut file: impl Write) -> std::io::Result<()> {
        let frames = self.frames().to(MACS[0]);
        let mut random = Random::default();
        let mut flat = Flat::EMPTY;
        pcap::header(&mut file)?;
        for number in 0..self.load.frames {
            if random.below(100) < self.load.requests {
                frames.request(self.load.flows + number, &mut flat);
            } else {
                let inward = self.load.via.is_dsr() || number % 2 == 0;
                let way = if inward { Way::In } else { Way::Out };
                let mut client = random.below(self.load.flows);
                while owner(endpoint(self.load.via, client).ip(), self.load.workers) != worker {
                    client = random.below(self.load.flows);
                }
                frames.fill(way, client, &mut flat);
            }
            pcap::frame(&mut file, &flat)?;
        }
        file.flush()
    }

    fn frames(&self) -> Frames {
        Frames::new(self.load.via, vec!["10.0.0.110".parse().expect("an address")], 1)
    }

    /// Writes the transfers' requests, first answers and ACKs.
    fn write_opening(&self, mut file: impl Write) -> std::io::Result<()> {
        let frames = self.frames().to(MACS[1]);
        let mut flat = Flat::EMPTY;
        for client in 0..self.load.flows {
            frames.request(client, &mut flat);
            pcap::frame(&mut file, &flat)?;
            frames.first_answer(client, &mut flat);
            pcap::frame(&mut file, &flat)?;
            // A client that is never heard is given up.
            frames.fill(Way::In, client, &mut flat);
            pcap::frame(&mut file, &flat)?;
        }
        file.flush()
    }

    /// The rate of testpmd in millions of frames per second.
    fn testpmd(&self, mode: &str) -> f64 {
        let device = format!("--vdev=net_pcap0,rx_pcap={},infinite_rx=1", self.path(0));
        let child = Command::new("dpdk-testpmd")
            .args(["-l", "0,1", "--in-memory", "-m", "1024", "--no-pci", "--no-telemetry", &device])
            .args(["--", "--nb-cores=1", "--auto-start", "--total-num-mbufs=65535"])
            .args(["--no-flush-rx", "--stats-period=1", &format!("--forward-mode={mode}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("dpdk-testpmd is installed");
        // testpmd shows its rate once a second; the first one is meaningless.
        std::thread::sleep(Duration::from_secs(7));
        drop(child.stdin.take());
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let rates = text.lines().filter_map(|line| {
            line.trim().strip_prefix("Rx-pps:")?.split_whitespace().next()?.parse::<f64>().ok()
        });
        let rates: Vec<f64> = rates.filter(|&rate| rate > 0.0).collect();
        assert!(!rates.is_empty(), "testpmd shows no rate:\n{text}");
        median(rates) / 1e6
    }

    fn tidegated(&self) -> Run {
        let space = format!("tgb{}", std::process::id());
        let _space = Space::new(&space);
        // A restart would restore the earlier run's transfers.
        for left in ["control.sock.flows", "control.sock.state"] {
            let _ = std::fs::remove_file(self.folder.path().join(left));
        }
        let opening = self.folder.path().join("opening.fifo");
        let _ = std::fs::remove_file(&opening);
        let made = Command::new("mkfifo").arg(&opening).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo failed");
        let gate = Gate::start(&space, self.folder.path(), &self.configuration(&opening));
        // The worker waits until the VIPs are live before the file goes on.
        let mut file = BufWriter::new(File::options().write(true).open(&opening).expect("a pipe"));
        pcap::header(&mut file).expect("tidegated reads");
        gate.ready();
        self.write_opening(file).expect("tidegated reads");
        std::thread::sleep(Duration::from_millis(500));
        let run = self.watch(&gate);
        gate.stop();
        run
    }

    fn watch(&self, gate: &Gate) -> Run {
        let (start, before) = (Instant::now(), gate.ask("stats"));
        std::thread::sleep(TIME);
        let (time, after) = (start.elapsed(), gate.ask("stats"));
        let number = |of: &serde_json::Value, path: &str| {
            of.pointer(path).and_then(serde_json::Value::as_f64).expect("a number")
        };
        let moved = |path| number(&after, path) - number(&before, path);
        // Every transfer stays, except those that the flood creates and evicts.
        let gone = ["completed", "failed", "unheard", "timed_out", "replaced"];
        let gone: f64 = gone.iter().map(|end| number(&after, &format!("/transfers/{end}"))).sum();
        Run {
            rate: moved("/packets/transmitted") / time.as_secs_f64() / 1e6,
            lost: gone + moved("/drops/no-transfer"),
            p99_9: number(&after, "/latency/p99_9"),
        }
    }

    fn configuration(&self, opening: &Path) -> String {
        let Load { via, max_flows, workers, .. } = self.load;
        let cores = if workers == 2 { "0, 1" } else { "1" };
        let queues: Vec<_> =
            (0..workers).map(|worker| format!("rx_pcap={}", self.path(worker))).collect();
        let (queues, opening) = (queues.join(","), opening.display());
        let more = if workers == 2 { format!(",rx_pcap={opening}2") } else { String::new() };
        let mode = match via {
            via if via.is_dsr() => "mode = \"dsr\"".to_owned(),
            via if via.is_snat() => format!("snat = [\"{}\"]", via.snat()),
            _ => String::new(),
        };
        let (vip, burst) = (via.vip().ip().to_string(), self.burst);
        let socket = self.folder.path().join("control.sock");
        let server = via.server(0);
        // The first answers arrive at the other interface.
        let alias = if via.is_dsr() { "" } else { "aliases = [\"192.0.2.30\"]\n" };
        if workers == 2 {
            let empty = File::create(format!("{opening}2")).expect("a file");
            pcap::header(&mut BufWriter::new(empty)).expect("the disk has room");
        }
        format!(
            "[dataplane]\nworkers = [{cores}]\nmemory = \"1 GiB\"\nmax_flows = {max_flows}\n\
             [control]\nsocket = {socket:?}\n\
             [[interface]]\nname = \"load\"\ndevice = \"net_pcap0,{queues},infinite_rx=1\"\n\
             address = [\"10.255.0.1/8\"]\nrx_ring = 32768\nburst = {burst}\n\
             [[interface]]\nname = \"opening\"\ndevice = \"net_pcap1,rx_pcap={opening}{more}\"\n\
             address = [\"192.0.2.1/24\"]\n\
             [[service]]\nname = \"pxe\"\nprotocol = \"tftp\"\nvip = \"{vip}\"\n{mode}\n\
             [[service.backend]]\nname = \"s\"\naddress = \"{server}\"\nmac = \"{}\"\n\
             {alias}",
            mac(server),
        )
    }
}

/// A network namespace.
struct Space(String);

impl Space {
    fn new(name: &str) -> Space {
        let made = Command::new("ip").args(["netns", "add", name]).status();
        assert!(made.is_ok_and(|status| status.success()), "ip netns add {name}: as root?");
        let _ = Command::new("ip").args(["-n", name, "link", "set", "lo", "up"]).status();
        Space(name.to_owned())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}
