//! Real transfers: `tidegate-storm` at both ends, and between them nothing, the kernel's own TFTP
//! NAT, or Tidegate in each mode.

use crate::gate::{Gate, program};
use crate::results::{Reach, Results, median};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, Process, SNAT_VIP, until};
use serde_json::Value;

/// Clients of a storm, a transfer each and then again.
const CLIENTS: u32 = 2000;
const TRANSFERS: u32 = 6000;
/// Bytes that each of them fetches.
const SIZE: u32 = 65_536;

/// Clients and servers are on one core in every case, as if on other machines: the other one is
/// that of Tidegate's worker, and the kernel's NAT gets it by RPS.
const ENDPOINTS: &str = "taskset -c 0";

/// What stands between clients and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// With RPS, or each packet on the core that sent it.
    Kernel {
        rps: bool,
    },
    Tidegate {
        driver: &'static str,
        vip: &'static str,
        mode: &'static str,
    },
}

const ALL: [Between; 9] = {
    use Between::Tidegate;
    [
        Between::Nothing,
        Between::Kernel { rps: false },
        Between::Kernel { rps: true },
        Tidegate { driver: "net_af_packet", vip: NAT_VIP, mode: "nat" },
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
    let mut storms = [const { vec![] }; ALL.len()];
    let mut singles = [const { vec![] }; ALL.len()];
    for _ in 0..turns {
        for (number, between) in ALL.into_iter().enumerate() {
            let farm = Farm::new(between);
            storms[number].push(farm.storm());
            singles[number].push(farm.single());
        }
    }
    for (number, between) in ALL.into_iter().enumerate() {
        let name = between.name();
        let rate = |of: &[Value]| {
            median(of.iter().map(|one| number_at(one, "/transfers_per_second")).collect())
        };
        let kernel = ("the kernel's NAT", rate(&storms[1]));
        let reach =
            matches!(between, Between::Tidegate { mode: "nat", driver: "net_af_packet", .. });
        let at_least = reach.then_some(Reach::AtLeast(1.0));
        let what = format!("storm of {CLIENTS} clients, {name}");
        results.compare(&what, rate(&storms[number]), "transfers/s", kernel, at_least);
        let failed: f64 = storms[number].iter().map(failures).sum();
        results.add(&format!("{what}, failures"), failed, "", Some(Reach::AtMost(0.0)));
        let time = |of: &[Value]| {
            median(of.iter().map(|one| number_at(one, "/time_us/max") / 1000.0).collect())
        };
        let kernel = ("the kernel's NAT", time(&singles[1]));
        let at_most = reach.then_some(Reach::AtMost(0.9));
        let what = format!("one transfer of 4 MiB, {name}");
        results.compare(&what, time(&singles[number]), "ms", kernel, at_most);
    }
}

fn number_at(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).expect("a number")
}

fn failures(report: &Value) -> f64 {
    let failed = report["failed"].as_object().expect("kinds of failure");
    failed.values().filter_map(Value::as_f64).sum()
}

/// Clients, servers and what stands between.
struct Farm {
    between: Between,
    _servers: Process,
    _gate: Option<Gate>,
    // Last: it ends what still runs in it.
    lab: Lab,
}

impl Farm {
    fn new(between: Between) -> Farm {
        let lab = Lab::new();
        lab.must("s1", "ip address add 10.77.0.31/16 dev eth0");
        lab.must("s2", "ip address flush dev eth0");
        // Many clients on addresses of their own.
        for (device, net) in [("c0", "10.78"), ("c1", "10.77")] {
            lab.must("client", &format!("ip route add local {net}.4.0/24 dev lo"));
            lab.must("client", "sysctl -q -w net.ipv4.ip_nonlocal_bind=1");
            lab.must("client", &format!("sysctl -q -w net.ipv4.conf.{device}.arp_announce=0"));
        }
        let serve = "serve --listen 10.77.0.30 --listen 10.77.0.31 --listen 10.77.0.200";
        let storm = program("tidegate-storm");
        let servers = lab.spawn("s1", &format!("{ENDPOINTS} {} {serve}", storm.display()));
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
        Farm { between, _servers: servers, _gate: gate, lab }
    }

    fn storm(&self) -> Value {
        let length = format!("--clients {CLIENTS} --transfers {TRANSFERS} --size {SIZE}");
        self.run(&format!("{length} --ramp 500ms --retries 10"))
    }

    fn single(&self) -> Value {
        self.run("--clients 1 --transfers 1 --size 4MiB --ramp 0s")
    }

    fn run(&self, arguments: &str) -> Value {
        let net = if self.between.target().starts_with("10.78") { 78 } else { 77 };
        let target = self.between.target();
        let command = format!(
            "{ENDPOINTS} {} run --json --target {target} --source 10.{net}.4.0/24 {arguments}",
            program("tidegate-storm").display()
        );
        let output = self.lab.run("client", &command);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{command}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The kernel as TFTP's NAT: connection tracking with its helper, and requests dealt out in turn.
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
         {}{}[[service]]\nname = \"pxe\"\nprotocol = \"tftp\"\nvip = \"{vip}\"\n{mode}\n{}{}",
        interface(0, "clients", "10.78.0.1/16"),
        interface(1, "servers", "10.77.0.1/16"),
        backend(30),
        backend(31),
    )
}
