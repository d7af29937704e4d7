//! The gate under test: the real tidegated, controlled by the real tidegate.

use kit::lab::{Lab, Process, VIPS, VIPS_V6, until};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Settings that a test varies.
pub struct Setup {
    /// Protocol of every service.
    pub protocol: &'static str,
    /// CPU cores.
    pub workers: &'static str,
    /// Device arguments, appended to names and interfaces.
    pub device_arguments: &'static str,
    /// Settings of every service.
    pub service: &'static str,
    /// Settings of every first backend.
    pub first_backend: &'static str,
    /// Settings of every interface.
    pub interface: &'static str,
    /// DPDK's driver.
    pub driver: &'static str,
    /// Whether everything has IPv6, too.
    pub ipv6: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            protocol: "tftp",
            workers: "1",
            device_arguments: "",
            service: "",
            first_backend: "",
            interface: "",
            driver: "net_af_packet",
            ipv6: false,
        }
    }
}

impl Setup {
    /// A configuration with a service in each mode, `nat`, `snat` and `dsr`.
    pub fn text(&self, lab: &Lab) -> String {
        let Setup { workers, device_arguments, interface, driver, .. } = self;
        // A machine with a single core has no other one.
        let one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        let workers = if one_core { "0" } else { workers };
        let socket = lab.path("control.sock");
        let mut text = format!(
            "[dataplane]\nworkers = [{workers}]\nhugepages = false\nmax_flows = 4096\n\
             [control]\nsocket = {socket:?}\n"
        );
        for (n, (name, net)) in [("clients", 78), ("servers", 77)].into_iter().enumerate() {
            let addresses = self.both(&format!("10.{net}.0.1/16"), &format!("fd00:{net}::1/64"));
            text += &format!(
                "[[interface]]\nname = \"{name}\"\n\
                 device = \"{driver}{n},iface=dev{n}{device_arguments}\"\n\
                 address = {addresses}\n{interface}\n"
            );
        }
        let pool = format!("snat = {}", self.both("10.77.0.101", "fd00:77::101"));
        let modes = [("nat", ""), ("snat", &pool), ("dsr", "mode = \"dsr\"")];
        for (n, (name, mode)) in modes.into_iter().enumerate() {
            text += &self.one(name, &self.both(VIPS[n], VIPS_V6[n]), mode);
        }
        text
    }

    /// A list of the IPv4 address, or of both addresses.
    fn both(&self, v4: &str, v6: &str) -> String {
        if self.ipv6 { format!("[\"{v4}\", \"{v6}\"]") } else { format!("[\"{v4}\"]") }
    }

    fn one(&self, name: &str, vips: &str, mode: &str) -> String {
        let Setup { protocol, service, first_backend, ipv6, .. } = self;
        let mut text = format!(
            "[[service]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nvip = {vips}\n{mode}\n\
             {service}\n\
             [[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n{first_backend}\n\
             [[service.backend]]\nname = \"s2\"\naddress = \"10.77.0.31\"\n"
        );
        if *ipv6 {
            for n in [1, 2] {
                let address = format!("fd00:77::3{}", n - 1);
                text +=
                    &format!("[[service.backend]]\nname = \"s{n}-v6\"\naddress = \"{address}\"\n");
            }
        }
        text
    }
}

/// A running tidegated.
pub struct Daemon<'a> {
    lab: &'a Lab,
    /// The gate's namespace.
    space: &'static str,
    pub process: Process,
}

impl<'a> Daemon<'a> {
    /// Starts tidegated, and waits until all backends are up.
    pub fn start(lab: &'a Lab, setup: Setup) -> Daemon<'a> {
        Daemon::with(lab, &setup.text(lab))
    }

    /// Starts tidegated with this configuration, and waits until all backends are up.
    pub fn with(lab: &'a Lab, text: &str) -> Daemon<'a> {
        Daemon::launch(lab, text).wait()
    }

    /// Waits until all backends are up.
    pub fn wait(self) -> Daemon<'a> {
        let daemon = self;
        until("all backends are up", || {
            let backends = daemon.ask("backends");
            backends.is_some_and(|all| rows(&all).all(|backend| backend["state"] == "up"))
        });
        daemon
    }

    /// Starts tidegated with this configuration without waiting.
    pub fn launch(lab: &'a Lab, text: &str) -> Daemon<'a> {
        Daemon::launch_by(lab, text, "")
    }

    /// Starts tidegated through another program, which becomes it.
    pub fn launch_by(lab: &'a Lab, text: &str, program: &str) -> Daemon<'a> {
        Daemon::launch_on(lab, "gate", text, program)
    }

    /// Starts tidegated in this namespace, through another program, which becomes it.
    pub fn launch_on(lab: &'a Lab, space: &'static str, text: &str, program: &str) -> Daemon<'a> {
        let file = lab.path(if space == "gate" { "tidegate.toml" } else { "second.toml" });
        std::fs::write(&file, text).expect("the configuration is written");
        let command = format!("{program} {} --config {}", tidegated(), file.display());
        Daemon { lab, space, process: lab.spawn(space, &command) }
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.lab, self.space)
    }

    /// The JSON answer of a command; `None` if it fails.
    pub fn ask(&self, command: &str) -> Option<Value> {
        let output = self.tidegate(&format!("--json {command}"));
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    pub fn tidegate(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("--socket")
            .arg(self.socket())
            .args(command.split_whitespace())
            .output()
            .expect("tidegate runs")
    }

    /// A total of a service, such as `completed`.
    pub fn total(&self, service: &str, counter: &str) -> u64 {
        let services = self.ask("services").expect("services");
        let service = rows(&services).find(|row| row["name"] == service).expect("the service");
        service["totals"][counter].as_u64().unwrap_or_else(|| panic!("no counter `{counter}`"))
    }

    /// Waits until this many transfers of a service are completed: a client's last ACK may still be under way.
    pub fn completes(&self, service: &str, count: u64) {
        let what = format!("{count} transfers of {service} are completed");
        until(&what, || self.total(service, "completed") >= count);
        assert_eq!(self.total(service, "completed"), count, "{service}");
    }

    /// The total of a counter for each backend of a service.
    pub fn by_backend(&self, service: &str, counter: &str) -> Vec<u64> {
        let backends = self.ask("backends").expect("backends");
        let of = rows(&backends).filter(|row| row["service"] == service);
        of.map(|row| row["totals"][counter].as_u64().expect("a counter")).collect()
    }

    /// A counter of `stats`: `packets` or `drops`.
    pub fn stat(&self, section: &str, counter: &str) -> u64 {
        let stats = self.ask("stats").expect("stats");
        stats[section][counter].as_u64().unwrap_or_else(|| panic!("no counter `{counter}`"))
    }

    /// Number of open files of the process, and its memory in KiB.
    pub fn holds(&self) -> (usize, u64) {
        let of = |what: &str| format!("/proc/{}/{what}", self.pid());
        let files = std::fs::read_dir(of("fd")).expect("its files").count();
        let status = std::fs::read_to_string(of("status")).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
        let memory = line.split_whitespace().nth(1).expect("a number");
        (files, memory.parse().expect("a number"))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Asserts the number of workers.
    pub fn has_workers(&self, count: usize) {
        let status = self.ask("status").expect("status");
        assert_eq!(status["workers"].as_array().map(Vec::len), Some(count));
    }

    /// Asserts that every packet had one verdict and none was lost between workers; then SIGTERM must end the process
    /// cleanly.
    pub fn finish(self) {
        until("every packet has had its verdict", || {
            let stats = self.ask("stats").expect("stats");
            let sum = |names: &[&str]| -> u64 {
                names.iter().map(|&name| stats["packets"][name].as_u64().expect(name)).sum()
            };
            let drops: u64 =
                stats["drops"].as_object().expect("drops").values().filter_map(Value::as_u64).sum();
            sum(&["handed_over"]) == sum(&["taken_over"])
                && sum(&["received", "from_kernel", "released", "made"])
                    == sum(&["transmitted", "answered", "to_kernel", "held", "absorbed"]) + drops
        });
        self.stop();
    }

    /// Stops it by SIGTERM, and asserts that nothing of it stays.
    pub fn stop(mut self) {
        let status = self.process.terminate();
        assert!(status.success(), "SIGTERM: {status}");
        assert!(!self.socket().exists(), "the socket is still there");
        let links = self.lab.must(self.space, "ip -o link");
        let ours = ["clients", "servers", "tidegate"];
        assert!(!ours.iter().any(|name| links.contains(name)), "TAPs stay: {links}");
        let tables = self.lab.must(self.space, "nft list tables");
        assert!(!tables.contains("tidegate"), "a table stays: {tables}");
        let queues = self.lab.must(self.space, "tc qdisc show");
        assert!(!queues.contains("ingress"), "the cut stays: {queues}");
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for command in ["stats", "flows", "pair"] {
                eprintln!("{}", String::from_utf8_lossy(&self.tidegate(command).stdout));
            }
        }
    }
}

/// The control socket of a gate in the lab's folder, or in its `run` folder.
pub fn socket(lab: &Lab, space: &str) -> PathBuf {
    let run = lab.path("run/control.sock");
    match space {
        "gate" if run.exists() => run,
        "gate" => lab.path("control.sock"),
        _ => lab.path("second.sock"),
    }
}

pub fn tidegated() -> &'static str {
    env!("CARGO_BIN_EXE_tidegated")
}

/// The rows of a list.
pub fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
