//! Real transfers: `tidegate-storm` at both ends; between them a plain link, the kernel's TFTP NAT, or Tidegate in each
//! mode.

use crate::gate::{Gate, program};
use crate::results::{Reach, Results, median};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, Process, SNAT_VIP, until};
use serde_json::Value;

/// Clients of a storm, each with one transfer after another.
const CLIENTS: u32 = 2000;
const TRANSFERS: u32 = 4000;
/// Bytes of each file.
const SIZE: u32 = 65_536;

/// Cores of clients and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoints {
    /// The first core, like other machines: the second one is the gate's.
    OneCore,
    /// Any core, the gate's included.
    AnyCore,
}

impl Endpoints {
    fn prefix(self) -> &'static str {
        match self {
            Endpoints::OneCore => "taskset -c 0 ",
            Endpoints::AnyCore => "",
        }
    }
}

/// The device between clients and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// The kernel, with RPS or on the core that sent the packet.
    Kernel {
        rps: bool,
    },
    Tidegate {
        driver: &'static str,
        vip: &'static str,
        mode: &'static str,
    },
}

/// The setup that must be faster than the kernel.
const AIM: Between = Between::Tidegate { driver: "net_af_packet", vip: NAT_VIP, mode: "nat" };
/// A VIP whose server does not answer.
const DEAD_VIP: &str = "10.78.0.101";
/// An unused address.
const NOBODY: &str = "10.78.0.102";

const ALL: [Between; 9] = {
    use Between::Tidegate;
    [
        Between::Nothing,
        Between::Kernel { rps: false },
        Between::Kernel { rps: true },
        AIM,
        Tidegate { driver: "net_af_packet", vip: SNAT_VIP, mode: "snat" },
        Tidegate { driver: "net_af_packet", vip: DSR_VIP, mode: "dsr" },
        Tidegate { driver: "net_af_xdp", vip: NAT_VIP, mode: "nat" },
        Tidegate { driver: "net_af_xdp", vip: SNAT_VIP, mode: "snat" },
        Tidegate { driver: "net_af_xdp", vip: DSR_VIP, mode: "dsr" },
    ]
};

impl Between {
    fn name(self) -> String {
        match self {
            Between::Nothing => "the servers directly".to_owned(),
            Between::Kernel { rps: false } => "the kernel's NAT".to_owned(),
            Between::Kernel { rps: true } => "the kernel's NAT, RPS".to_owned(),
            Between::Tidegate { driver, mode, .. } => {
                format!("Tidegate, {mode}, {}", &driver["net_".len()..])
            }
        }
    }

    fn target(self) -> &'static str {
        match self {
            Between::Nothing => "10.77.0.30",
            Between::Kernel { .. } => NAT_VIP,
            Between::Tidegate { vip, .. } => vip,
        }
    }
}

pub fn measure(results: &mut Results, turns: usize) {
    compare(results, turns, Endpoints::OneCore, "endpoints apart");
    compare(results, turns, Endpoints::AnyCore, "endpoints anywhere");
    flood(results, turns);
}

fn compare(results: &mut Results, turns: usize, endpoints: Endpoints, how: &str) {
    let mut storms = [const { vec![] }; ALL.len()];
    let mut singles = [const { vec![] }; ALL.len()];
    for _ in 0..turns {
        for (number, between) in ALL.into_iter().enumerate() {
            let farm = Farm::new(between, endpoints);
            storms[number].push(farm.storm());
            singles[number].push(farm.single());
        }
    }
    let middle = |of: &[Value], path| median(of.iter().map(|one| number_at(one, path)).collect());
    for (number, between) in ALL.into_iter().enumerate() {
        let (name, aim) = (between.name(), between == AIM);
        let rate = |number: usize| middle(&storms[number], "/transfers_per_second");
        let what = format!("storm of {CLIENTS} clients, {how}, {name}");
        let reach = aim.then_some(Reach::AtLeast(1.0));
        let kernel = (ALL[1].name(), rate(1));
        results.compare(&what, rate(number), "transfers/s", (&kernel.0, kernel.1), reach);
        let failed: u64 = storms[number].iter().map(failures).sum();
        if failed > 0 || aim {
            let reach = Some(Reach::AtMost(0.0));
            results.add(&format!("{what}: failures"), failed as f64, "", reach);
        }
    }
    for (number, between) in ALL.into_iter().enumerate() {
        let (name, aim) = (between.name(), between == AIM);
        let time = |number: usize| middle(&singles[number], "/time_us/max") / 1000.0;
        let what = format!("one transfer of 4 MiB, {how}, {name}");
        let reach = aim.then_some(Reach::AtMost(0.9));
        let kernel = (ALL[1].name(), time(1));
        results.compare(&what, time(number), "ms", (&kernel.0, kernel.1), reach);
    }
}

/// Ten thousand transfers, while one core sends requests at full speed to another service with a dead server; compared
/// with the same flood to another host.
fn flood(results: &mut Results, turns: usize) {
    let mut times = (vec![], vec![]);
    let (mut failed, mut flooded) = (0, 0.0f64);
    for _ in 0..turns {
        let farm = Farm::new(AIM, Endpoints::OneCore);
        farm.lab
            .must("client", &format!("ip neighbour add {NOBODY} lladdr 02:00:00:00:00:66 dev c0"));
        let quiet = farm.storm_beside(NOBODY);
        let loud = farm.storm_beside(DEAD_VIP);
        failed += failures(&quiet) + failures(&loud);
        times.0.push(number_at(&quiet, "/time_us/p50") / 1e6);
        times.1.push(number_at(&loud, "/time_us/p50") / 1e6);
        let started = farm.gate.as_ref().map(|gate| gate.ask("stats"));
        flooded = started.as_ref().map_or(0.0, |stats| number_at(stats, "/transfers/started"));
    }
    let against = ("flood elsewhere", median(times.0));
    let what = "10,000 transfers beside a flood of requests, half take";
    results.compare(what, median(times.1), "s", against, Some(Reach::AtMost(2.0)));
    results.add("of those, failed", failed as f64, "", Some(Reach::AtMost(0.0)));
    results.add("requests in that flood", flooded - 20_000.0, "", None);
}

fn number_at(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).expect("a number")
}

fn failures(report: &Value) -> u64 {
    let failed = report["failed"].as_object().expect("kinds of failure");
    failed.values().filter_map(Value::as_u64).sum()
}

/// Clients, servers and the gate between them.
struct Farm {
    between: Between,
    endpoints: Endpoints,
    _servers: Process,
    gate: Option<Gate>,
    // The last field: dropping it ends all remaining processes.
    lab: Lab,
}

impl Farm {
    fn new(between: Between, endpoints: Endpoints) -> Farm {
        let lab = Lab::new().with_many_clients();
        lab.must("s1", "ip address add 10.77.0.31/16 dev eth0");
        lab.must("s2", "ip address flush dev eth0");
        let serve = "serve --listen 10.77.0.30 --listen 10.77.0.31 --listen 10.77.0.200";
        let storm = program("tidegate-storm");
        let servers =
            lab.spawn("s1", &format!("{}{} {serve}", endpoints.prefix(), storm.display()));
        let log = lab.path("s1.log");
        until("the servers listen", || {
            std::fs::read_to_string(&log).is_ok_and(|said| said.contains("ready"))
        });
        let gate = match between {
            Between::Nothing => None,
            Between::Kernel { rps } => {
                kernel_nat(&lab);
                if rps {
                    for device in ["dev0", "dev1"] {
                        let cores = format!("/sys/class/net/{device}/queues/rx-0/rps_cpus");
                        lab.must("gate", &format!("sh -c echo+2+>{cores}"));
                    }
                }
                None
            }
            Between::Tidegate { driver, vip, mode } => {
                let text = configuration(&lab, driver, vip, mode);
                let gate = Gate::start(&lab.space("gate"), lab.dir.path(), &text);
                gate.ready();
                Some(gate)
            }
        };
        Farm { between, endpoints, _servers: servers, gate, lab }
    }

    fn storm(&self) -> Value {
        let length = format!("--clients {CLIENTS} --transfers {TRANSFERS} --size {SIZE}");
        self.run(&format!("{length} --ramp 500ms --retries 10"))
    }

    fn single(&self) -> Value {
        self.run("--clients 1 --transfers 1 --size 4MiB --ramp 0s")
    }

    fn storm_beside(&self, flooded: &str) -> Value {
        let flood = format!(
            "{}{} run --target {flooded} --source 10.78.5.0/24 --clients 1000 --length 5m \
             --retries 0 --retransmit 5ms --ramp 0s",
            self.endpoints.prefix(),
            program("tidegate-storm").display()
        );
        let mut flood = self.lab.spawn("client", &flood);
        let report =
            self.run("--clients 10000 --transfers 10000 --size 16384 --retries 20 --ramp 2s");
        flood.terminate();
        report
    }

    fn run(&self, arguments: &str) -> Value {
        let net = if self.between.target().starts_with("10.78") { 78 } else { 77 };
        let target = self.between.target();
        let command = format!(
            "{}{} run --json --target {target} --source 10.{net}.4.0/24 {arguments}",
            self.endpoints.prefix(),
            program("tidegate-storm").display()
        );
        let output = self.lab.run("client", &command);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{command}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The kernel as TFTP NAT: connection tracking with its helper, and round robin.
fn kernel_nat(lab: &Lab) {
    const RULES: &str = "table ip storm {
    ct helper tftp {
        type \"tftp\" protocol udp
    }
    chain helper {
        type filter hook prerouting priority -150
        udp dport 69 ct helper set \"tftp\"
    }
    chain nat {
        type nat hook prerouting priority dstnat
        ip daddr 10.78.0.100 udp dport 69 dnat to numgen inc mod 2 map { 0 : 10.77.0.30, 1 : 10.77.0.31 }
    }
}
";
    lab.must("gate", "ip address add 10.78.0.1/16 dev dev0");
    lab.must("gate", "ip address add 10.78.0.100/32 dev dev0");
    lab.must("gate", "ip address add 10.77.0.1/16 dev dev1");
    let rules = lab.path("nat.nft");
    std::fs::write(&rules, RULES).expect("the folder can be written");
    lab.must("gate", &format!("nft -f {}", rules.display()));
}

fn configuration(lab: &Lab, driver: &str, vip: &str, mode: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = usize::from(cores > 1);
    let mode = match mode {
        "snat" => "snat = [\"10.77.0.101\"]",
        "dsr" => "mode = \"dsr\"",
        _ => "",
    };
    let socket = lab.path("control.sock");
    let interface = |n: u8, name: &str, address: &str| {
        format!(
            "[[interface]]\nname = \"{name}\"\ndevice = \"{driver}{n},iface=dev{n}\"\naddress = [\"{address}\"]\n"
        )
    };
    let backend =
        |n: u8| format!("[[service.backend]]\nname = \"s{n}\"\naddress = \"10.77.0.{n}\"\n");
    format!(
        "[dataplane]\nworkers = [{worker}]\nhugepages = false\n[control]\nsocket = {socket:?}\n\
         {}{}[[service]]\nname = \"pxe\"\nprotocol = \"tftp\"\nvip = \"{vip}\"\n{mode}\n{}{}\
         [[service]]\nname = \"dead\"\nprotocol = \"tftp\"\nvip = \"{DEAD_VIP}\"\n\
         [[service.backend]]\nname = \"dead\"\naddress = \"10.77.0.66\"\nmac = \"02:00:00:00:00:66\"\n",
        interface(0, "clients", "10.78.0.1/16"),
        interface(1, "servers", "10.77.0.1/16"),
        backend(30),
        backend(31),
    )
}
