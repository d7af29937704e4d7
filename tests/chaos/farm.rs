//! Three servers and the gate, and the faults that befall them.

use crate::daemon::{Daemon, Setup, rows, tidegated};
use crate::timeline::{Fault, Injection, Targets};
use kit::lab::{Lab, NAT_VIP, Process, SNAT_VIP, until};
use std::path::{Path, PathBuf};

const SERVERS: [(&str, &str); 3] =
    [("s1", "10.77.0.30"), ("s2", "10.77.0.31"), ("s3", "10.77.0.32")];
const SERVICES: [(&str, &str, &str); 2] =
    [("nat", NAT_VIP, ""), ("snat", SNAT_VIP, "snat = [\"10.77.0.101\"]")];
/// Settings of every service. Clients send at least once a second.
const SERVICE: &str = "idle_timeout = \"5s\"\n\
    [service.health]\ncheck = \"tftp\"\nfile = \"health-100\"\nsize = 100\n\
    interval = \"500ms\"\ntimeout = \"500ms\"\n";

/// Possible targets of faults.
pub const TARGETS: Targets = Targets { servers: SERVERS.len(), services: SERVICES.len() };

/// The servers and the gate.
pub struct Farm<'a> {
    lab: &'a Lab,
    /// The configuration before its services.
    head: String,
    servers: Vec<Option<Process>>,
    gate: Daemon<'a>,
    /// Faults that are in the configuration now.
    written: Vec<Injection>,
}

/// The network.
pub fn lab() -> Lab {
    let (name, address) = SERVERS[2];
    Lab::new().with_many_clients().with_server(name, address)
}

impl<'a> Farm<'a> {
    /// Starts servers and gate with so many workers, and waits until they work.
    pub fn start(lab: &'a Lab, workers: usize) -> Farm<'a> {
        let (workers_on, device_arguments) =
            if workers == 1 { ("1", "") } else { ("0, 1", ",qpairs=2") };
        let setup = Setup { workers: workers_on, device_arguments, ..Setup::default() };
        let all = setup.text(lab);
        let (head, _) = all.split_once("[[service]]").expect("services");
        let servers = (0..SERVERS.len()).map(|server| Some(serve(lab, server))).collect();
        let gate = Daemon::with(lab, &text(head, &[]));
        gate.has_workers(workers);
        Farm { lab, head: head.to_owned(), servers, gate, written: vec![] }
    }

    pub fn inject(&mut self, injection: Injection) {
        let (server, _) = SERVERS[injection.server];
        match injection.fault {
            Fault::Kill => self.servers[injection.server] = None,
            Fault::Pause => self.signal(injection.server, "STOP"),
            Fault::Unplug => drop(self.lab.must(server, "ip link set eth0 down")),
            Fault::Drain => self.order("drain", injection, ""),
            Fault::Disable => self.order("disable", injection, ""),
            Fault::Weigh => self.order("weight", injection, "0"),
            Fault::Reweigh | Fault::Remove => {
                self.written.push(injection);
                self.reload();
            }
            Fault::Restart => {
                let status = self.gate.process.terminate();
                assert!(status.success(), "SIGTERM: {status}");
                self.start_again();
            }
            Fault::Crash => {
                self.gate.process.signal("KILL");
                let _ = self.gate.process.0.wait();
                self.start_again();
            }
        }
    }

    pub fn repair(&mut self, injection: Injection) {
        let (server, _) = SERVERS[injection.server];
        match injection.fault {
            Fault::Kill => self.servers[injection.server] = Some(serve(self.lab, injection.server)),
            Fault::Pause => self.signal(injection.server, "CONT"),
            Fault::Unplug => {
                self.lab.must(server, "ip link set eth0 up");
                // The route went down with the link.
                self.lab.must(server, "ip route replace default via 10.77.0.1");
            }
            Fault::Drain | Fault::Disable => self.order("enable", injection, ""),
            Fault::Weigh => self.order("weight", injection, "1"),
            Fault::Reweigh | Fault::Remove => {
                self.written.retain(|one| *one != injection);
                self.reload();
            }
            Fault::Restart | Fault::Crash => {}
        }
    }

    /// Asserts that no transfer is left, none was lost, and every counter adds up.
    pub fn finish(self) {
        until("no transfer is left", || {
            self.gate.ask("flows").is_some_and(|flows| flows["matching"] == 0)
        });
        let backends = self.gate.ask("backends").expect("backends");
        for row in rows(&backends) {
            let totals = &row["totals"];
            assert_eq!(totals["started"], totals["ended"], "{row}");
            assert_eq!(totals["lost"], 0, "{row}");
        }
        for command in ["backends", "stats"] {
            println!("{}", String::from_utf8_lossy(&self.gate.tidegate(command).stdout));
        }
        self.gate.finish();
    }

    fn signal(&self, server: usize, signal: &str) {
        self.servers[server].as_ref().expect("it runs").signal(signal);
    }

    fn order(&self, order: &str, injection: Injection, value: &str) {
        let (service, backend) = (SERVICES[injection.service].0, SERVERS[injection.server].0);
        self.must(&format!("backend {order} {service} {backend} {value}"));
    }

    fn reload(&self) {
        let file = self.lab.path("tidegate.toml");
        std::fs::write(file, text(&self.head, &self.written)).expect("the file is written");
        self.must("reload");
    }

    fn must(&self, command: &str) {
        let output = self.gate.tidegate(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tidegate {command}: {said}");
    }

    fn start_again(&mut self) {
        self.gate = Daemon::launch(self.lab, &text(&self.head, &self.written));
        until("the gate is back", || self.gate.ask("status").is_some());
    }
}

/// The configuration with these faults.
fn text(head: &str, written: &[Injection]) -> String {
    let mut text = head.to_owned();
    for (service, (name, vip, mode)) in SERVICES.into_iter().enumerate() {
        text += &format!(
            "[[service]]\nname = \"{name}\"\nprotocol = \"tftp\"\nvip = \"{vip}\"\n{mode}\n{SERVICE}"
        );
        for (server, (name, address)) in SERVERS.into_iter().enumerate() {
            let is = |fault| written.contains(&Injection { fault, server, service });
            if !is(Fault::Remove) {
                let weight = if is(Fault::Reweigh) { 5 } else { 1 };
                text += &format!(
                    "[[service.backend]]\nname = \"{name}\"\naddress = \"{address}\"\nweight = {weight}\n"
                );
            }
        }
    }
    text
}

fn serve(lab: &Lab, server: usize) -> Process {
    let (name, address) = SERVERS[server];
    let program = storm_program();
    let process = lab.spawn(name, &format!("{} serve --listen {address}", program.display()));
    until("the server listens", || lab.must(name, "ss -Hlun").contains(&format!("{address}:69 ")));
    process
}

fn storm_program() -> PathBuf {
    let program = Path::new(tidegated()).with_file_name("tidegate-storm");
    assert!(program.exists(), "{} is missing: scripts/chaos builds it", program.display());
    program
}
