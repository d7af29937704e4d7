//! Several gates behind a router with equal routes (ECMP): they know nothing of each other, and come and go.

use crate::client::{Habits, fetch_by_blocks};
use crate::daemon::{rows, tidegated};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, Process, until};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::JoinHandle;

pub const CLIENTS: u32 = 60;

/// Blocks at which all clients wait for each other.
const HALTS: [u16; 2] = [40, 80];

/// A gate of the fleet.
pub struct Gate<'a> {
    lab: &'a Lab,
    name: &'static str,
    pub process: Process,
}

impl<'a> Gate<'a> {
    /// Starts a gate at this address, and waits until its backends are up. Its backends are listed in this order.
    fn start(lab: &'a Lab, name: &'static str, address: &str, backends: [&str; 2]) -> Gate<'a> {
        Gate::start_with(lab, name, address, backends, "")
    }

    /// Starts a gate whose service has these settings.
    fn start_with(
        lab: &'a Lab,
        name: &'static str,
        address: &str,
        backends: [&str; 2],
        settings: &str,
    ) -> Gate<'a> {
        let mut text = head(lab, name, address)
            + &format!(
                "[[service]]\nname = \"boot\"\nprotocol = \"tftp\"\nvip = [\"{DSR_VIP}\"]\n\
                 mode = \"dsr\"\nscheduler = \"source-hash\"\n{settings}\n"
            );
        for name in backends {
            text += &backend(name);
        }
        Gate::configured(lab, name, &text)
    }

    /// Starts a gate with this configuration.
    pub fn configured(lab: &'a Lab, name: &'static str, text: &str) -> Gate<'a> {
        let file = lab.path(name).join("tidegate.toml");
        std::fs::write(&file, text).expect("the configuration is written");
        let process = lab.spawn(name, &format!("{} --config {}", tidegated(), file.display()));
        let gate = Gate { lab, name, process };
        until("all backends are up", || {
            let backends = gate.ask("backends");
            backends.is_some_and(|all| rows(&all).all(|backend| backend["state"] == "up"))
        });
        gate
    }

    pub fn tidegate(&self, command: &str) -> Output {
        let socket: PathBuf = self.lab.path(self.name).join("control.sock");
        let mut tidegate = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        tidegate.arg("--socket").arg(socket).args(command.split_whitespace());
        tidegate.output().expect("tidegate runs")
    }

    /// The exit code of a command, and its words.
    pub fn told(&self, command: &str) -> (Option<i32>, String) {
        let output = self.tidegate(command);
        let words = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.code(), words.trim_end().to_owned())
    }

    /// Whether the kernel holds the VIP.
    fn holds_vip(&self) -> bool {
        self.lab.must(self.name, "ip -o address show").contains(&format!(" {DSR_VIP}/"))
    }

    pub fn ask(&self, command: &str) -> Option<Value> {
        let output = self.tidegate(&format!("--json {command}"));
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    pub fn total(&self, counter: &str) -> u64 {
        let services = self.ask("services").expect("services");
        let service = rows(&services).next().expect("the service");
        service["totals"][counter].as_u64().expect("a counter")
    }
}

/// The beginning of a gate's configuration, which makes its folder.
pub fn head(lab: &Lab, name: &str, address: &str) -> String {
    let folder = lab.path(name);
    std::fs::create_dir(&folder).expect("a folder");
    let socket = folder.join("control.sock");
    format!(
        "[dataplane]\nworkers = [0]\nhugepages = false\nmax_flows = 4096\n\
         [[interface]]\nname = \"lan\"\ndevice = \"net_af_packet0,iface=eth0\"\n\
         address = [\"{address}/16\"]\ngateway = \"10.77.0.254\"\n\
         [control]\nsocket = {socket:?}\n"
    )
}

/// A backend of the service before it.
pub fn backend(name: &str) -> String {
    let address = peers::address(name);
    format!("[[service.backend]]\nname = \"{name}\"\naddress = \"{address}\"\n")
}

/// Downloads that wait for each other.
pub struct Downloads {
    vip: Ipv4Addr,
    /// Downloads that have reached each halt.
    reached: [AtomicU32; 2],
    /// Halts that are over.
    over: AtomicU32,
}

impl Downloads {
    /// Starts the downloads of all clients from this VIP; in the end it says how many have the whole file.
    pub fn start(lab: &Lab, vip: &str, file: Vec<u8>) -> (Arc<Downloads>, JoinHandle<u64>) {
        let vip = vip.parse().expect("an address");
        let all = Downloads { vip, reached: Default::default(), over: AtomicU32::new(0) };
        let all = Arc::new(all);
        let running = Arc::clone(&all);
        (all, lab.inside("crowd", move || running.run(&file)))
    }

    /// Fetches the file from each client's address, and compares it.
    fn run(self: Arc<Downloads>, file: &[u8]) -> u64 {
        std::thread::scope(|scope| {
            let fetch = |n: u32| {
                let downloads = &self;
                scope.spawn(move || downloads.fetch(n as u8, file))
            };
            let running: Vec<_> = (0..CLIENTS).map(fetch).collect();
            running.into_iter().map(|one| u64::from(one.join().expect("it ends"))).sum()
        })
    }

    fn fetch(&self, n: u8, file: &[u8]) -> bool {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 79, 4, 1 + n), 2070);
        let server = SocketAddrV4::new(self.vip, 69);
        let got = fetch_by_blocks(from, server, "boot.img", Habits::default(), |block| {
            if let Some(halt) = HALTS.iter().position(|&halt| halt == block) {
                self.reached[halt].fetch_add(1, SeqCst);
                until("the halt is over", || self.over.load(SeqCst) > halt as u32);
            }
        });
        let is_whole = got.as_deref() == Ok(file);
        if !is_whole {
            println!("{from}: {:?}", got.map(|got| got.len()));
        }
        is_whole
    }

    /// Waits until all are at the halt.
    pub fn all_at(&self, halt: usize) {
        until("all are there", || self.reached[halt].load(SeqCst) == CLIENTS);
    }

    pub fn go_on(&self) {
        self.over.fetch_add(1, SeqCst);
    }
}

/// A lab with these gates behind a router, and the file that all fetch.
pub fn fleet(gates: &[&'static str]) -> (Lab, Vec<u8>) {
    let lab = Lab::new().with_fleet(gates);
    peers::files(&lab, &[("boot.img", 120 * 512 + 7)]);
    let file = std::fs::read(lab.path("files/boot.img")).expect("the file");
    (lab, file)
}

fn servers(lab: &Lab) -> [Process; 2] {
    ["s1", "s2"].map(|name| peers::tftpd_hpa_at(lab, name, DSR_VIP))
}

#[test]
fn gates_come_and_go_during_downloads_and_no_file_is_lost() {
    let (lab, file) = fleet(&["g1", "g2", "g3", "g4"]);
    let _servers = servers(&lab);
    let g1 = Gate::start(&lab, "g1", "10.77.0.2", ["s1", "s2"]);
    let g2 = Gate::start(&lab, "g2", "10.77.0.3", ["s2", "s1"]);
    let g3 = Gate::start(&lab, "g3", "10.77.0.4", ["s1", "s2"]);
    lab.spread_over(DSR_VIP, &["10.77.0.2", "10.77.0.3", "10.77.0.4"]);

    let (downloads, running) = Downloads::start(&lab, DSR_VIP, file);
    downloads.all_at(0);
    let started = [&g1, &g2, &g3].map(|gate| gate.total("started"));
    assert_eq!(started.iter().sum::<u64>(), u64::from(CLIENTS));
    assert!(started.iter().all(|&count| count > 0), "{started:?}");
    assert!([&g1, &g2, &g3].iter().all(|gate| gate.total("adopted") == 0));

    // One dies.
    g1.process.signal("KILL");
    lab.spread_over(DSR_VIP, &["10.77.0.3", "10.77.0.4"]);
    downloads.go_on();
    downloads.all_at(1);
    let adopted = [&g2, &g3].map(|gate| gate.total("adopted"));
    assert!(adopted.iter().sum::<u64>() >= started[0], "{adopted:?} of {started:?}");

    // One comes.
    let g4 = Gate::start(&lab, "g4", "10.77.0.5", ["s2", "s1"]);
    lab.spread_over(DSR_VIP, &["10.77.0.3", "10.77.0.4", "10.77.0.5"]);
    downloads.go_on();
    assert_eq!(running.join().expect("they end"), u64::from(CLIENTS), "every file is whole");
    assert!(g4.total("adopted") > 0);
    assert_eq!(g4.total("started"), 0, "a download was begun anew");
    let again = [&g2, &g3].map(|gate| gate.total("started"));
    assert_eq!(again, started[1..], "a download was begun anew");
}

#[test]
fn a_gate_is_drained_during_downloads_and_comes_back() {
    let (lab, file) = fleet(&["g1", "g2", "g3"]);
    let _servers = servers(&lab);
    // What others go on with is forgotten after this time.
    let settings = "idle_timeout = \"5s\"";
    let g1 = Gate::start_with(&lab, "g1", "10.77.0.2", ["s1", "s2"], settings);
    let g2 = Gate::start(&lab, "g2", "10.77.0.3", ["s2", "s1"]);
    let g3 = Gate::start(&lab, "g3", "10.77.0.4", ["s1", "s2"]);
    lab.spread_over(DSR_VIP, &["10.77.0.2", "10.77.0.3", "10.77.0.4"]);

    let (downloads, running) = Downloads::start(&lab, DSR_VIP, file);
    downloads.all_at(0);
    let started = [&g1, &g2, &g3].map(|gate| gate.total("started"));
    assert!(started.iter().all(|&count| count > 0), "{started:?}");

    let (code, words) = g1.told("gate drain");
    let expected = format!(
        "drained, do not stop tidegated yet: it has {} transfers that may still need it",
        started[0]
    );
    assert_eq!((code, words), (Some(0), expected));
    assert!(!g1.holds_vip(), "a routing daemon would announce it");
    assert_eq!(g1.told("ready boot"), (Some(1), "not ready: the gate is drained".into()));
    let services = g1.ask("services").expect("services");
    assert!(rows(&services).all(|service| service["state"] == "withdrawn"), "{services}");
    lab.spread_over(DSR_VIP, &["10.77.0.3", "10.77.0.4"]);
    downloads.go_on();
    downloads.all_at(1);
    let adopted = [&g2, &g3].map(|gate| gate.total("adopted"));
    assert!(adopted.iter().sum::<u64>() >= started[0], "{adopted:?} of {started:?}");
    let waited = g1.told("gate drain --wait 60s");
    assert_eq!(waited, (Some(0), "drained: tidegated can be stopped".into()));

    assert_eq!(g1.told("gate enable"), (Some(0), "enabled".into()));
    until("it has the VIP again", || g1.holds_vip());
    until("it is ready", || g1.told("ready boot").0 == Some(0));
    lab.spread_over(DSR_VIP, &["10.77.0.2", "10.77.0.3", "10.77.0.4"]);
    downloads.go_on();
    assert_eq!(running.join().expect("they end"), u64::from(CLIENTS), "every file is whole");
    assert!(g1.total("adopted") > 0);
    let again = [&g1, &g2, &g3].map(|gate| gate.total("started"));
    assert_eq!(again, started, "a download was begun anew");
}
