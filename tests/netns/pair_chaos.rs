//! Faults of a pair of gates in the middle of all kinds of transfers, by the example in conf/keepalived: gates die, lose
//! their cables, are drained and upgraded, and do not hear of each other. `scripts/chaos --pair` runs it for longer.

use crate::daemon::Daemon;
use crate::ftp_servers::{Ftpd, Manner};
use crate::pair::{GATES, active, keepalived_with};
use crate::pair_load::{FILES, Load, calm, servers};
use crate::peers;
use crate::sync::{make_key, pair_of, paired, service};
use kit::lab::{Lab, Process, until};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The active gate gets SIGKILL, and is started again.
    Kill,
    /// The active gate's cable is pulled for a while.
    Cable,
    /// The active gate dies, and its link is gone with all that it had.
    Gone,
    /// The active gate is drained, and enabled.
    Drain,
    /// Each gate is drained if it is active, and restarted with another number of workers, the standby first.
    Upgrade,
    /// The gates do not hear of each other for a while: a firewall resets their connections.
    Cut,
    /// The gates hear of each other at 1 Mbit/s.
    Slow,
}

const FAULTS: [Fault; 7] = {
    use Fault::*;
    [Kill, Cable, Gone, Drain, Upgrade, Cut, Slow]
};

/// The faults named by `scripts/chaos`, or all.
fn faults() -> Vec<Fault> {
    let Ok(names) = std::env::var("TIDEGATE_CHAOS_FAULTS") else { return FAULTS.into() };
    let fault = |name: &str| {
        let found =
            FAULTS.into_iter().find(|fault| format!("{fault:?}").eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no fault {name}: {FAULTS:?}"))
    };
    names.split(',').map(fault).collect()
}

/// The number in this variable of the environment, which `scripts/chaos` sets.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// Time that all is well between two faults, and in which the FTP sessions announce nothing before one.
const PEACE: Duration = Duration::from_secs(3);

/// The configuration of a gate with one worker or two.
fn text(lab: &Lab, n: usize, workers: usize) -> String {
    let text = paired(lab, n, "pair.key") + &service("ssh", "tcp", 22);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if workers.min(cores) == 1 {
        return text;
    }
    let one = if text.contains("workers = [0]") { "workers = [0]" } else { "workers = [1]" };
    text.replace(one, "workers = [0, 1]").replace("iface=dev1", "iface=dev1,qpairs=2")
}

/// The example with another interval, as this machine may be slow: addresses that move while the gates do not hear of each
/// other are two faults at a time.
fn patient(text: &str) -> String {
    let interval = std::env::var("TIDEGATE_CHAOS_ADVERT").unwrap_or("1".to_owned());
    text.replace("advert_int 0.3", &format!("advert_int {interval}")).replace("fall 2", "fall 4")
}

struct Chaos<'a> {
    lab: &'a Lab,
    gates: [Option<Daemon<'a>>; 2],
    workers: [usize; 2],
    _keepalived: [Process; 2],
    load: Load<'a>,
}

impl<'a> Chaos<'a> {
    fn start(lab: &'a Lab) -> Chaos<'a> {
        let gates = [0, 1].map(|n| Some(launch(lab, n, 1)));
        // Of two that begin at once, both are active for a moment.
        let first = keepalived_with(lab, 0, patient);
        until("the first one is active", || active(lab) == Some(0));
        let _keepalived = [first, keepalived_with(lab, 1, patient)];
        let mut chaos = Chaos { lab, gates, workers: [1; 2], _keepalived, load: Load::start(lab) };
        chaos.settle();
        chaos
    }

    fn gate(&self, n: usize) -> &Daemon<'a> {
        self.gates[n].as_ref().expect("it runs")
    }

    /// Waits until one gate is active and both are in step, and lets some time pass.
    fn settle(&mut self) {
        let lab = self.lab;
        until("one gate is active, and both are in step", || {
            active(lab).is_some() && [0, 1].iter().all(|&n| is_in_step(self.gate(n)))
        });
        calm(lab, true);
        sleep(PEACE);
        calm(lab, false);
        sleep(PEACE);
        self.load.assert_running();
    }

    /// The gate that is active, in quiet times.
    fn active(&self) -> usize {
        until("one gate is active", || active(self.lab).is_some());
        active(self.lab).expect("one gate")
    }

    fn befall(&mut self, fault: Fault) {
        let n = self.active();
        match fault {
            Fault::Kill => {
                self.death();
                self.kill(n);
                self.moves_to(1 - n);
                sleep(PEACE);
                self.restart(n);
            }
            Fault::Cable => {
                self.death();
                self.lab.must("switch", &format!("ip link set p-{} down", GATES[n]));
                self.moves_to(1 - n);
                sleep(PEACE);
                self.lab.must("switch", &format!("ip link set p-{} up", GATES[n]));
            }
            Fault::Gone => {
                self.death();
                self.lab.must("switch", &format!("ip link del p-{}", GATES[n]));
                self.kill(n);
                self.moves_to(1 - n);
                self.lab.plug_in(GATES[n], "dev1");
                self.restart(n);
            }
            Fault::Drain => {
                self.drain(n);
                assert!(self.gate(n).tidegate("gate enable").status.success());
            }
            Fault::Upgrade => {
                for n in [1 - n, n] {
                    if active(self.lab) == Some(n) {
                        self.drain(n);
                    }
                    let mut gate = self.gates[n].take().expect("it runs");
                    gate.process.signal("USR2");
                    assert!(gate.process.0.wait().expect("it ends").success());
                    drop(gate);
                    self.restart(n);
                    until("it is in step again", || is_in_step(self.gate(n)));
                }
            }
            Fault::Cut => self.with_rules("reject with tcp reset", 6),
            Fault::Slow => self.with_rules("limit rate over 125 kbytes/second drop", 10),
        }
    }

    /// Notes that young flows may be lost from now on.
    fn death(&self) {
        self.load.shared.deaths.lock().expect("no client has failed").push(Instant::now());
    }

    fn kill(&mut self, n: usize) {
        let mut gate = self.gates[n].take().expect("it runs");
        gate.process.signal("KILL");
        gate.process.0.wait().expect("it was killed");
    }

    /// Waits until the other gate serves, and says how long that took.
    fn moves_to(&self, n: usize) {
        let (begun, before) = (Instant::now(), self.gate(n).total("pxe", "packets_out"));
        until("the other gate serves", || self.gate(n).total("pxe", "packets_out") > before);
        println!("{:7.3} s until the other gate serves", begun.elapsed().as_secs_f64());
    }

    fn restart(&mut self, n: usize) {
        self.workers[n] = 3 - self.workers[n];
        self.gates[n] = Some(launch(self.lab, n, self.workers[n]));
    }

    fn drain(&self, n: usize) {
        let drained = self.gate(n).tidegate("gate drain --wait 60s");
        let words = String::from_utf8_lossy(&drained.stdout).into_owned();
        assert!(drained.status.success(), "{words}");
        until("the other gate is active", || active(self.lab) == Some(1 - n));
    }

    /// Has a firewall of the first gate do this with the pair's packets, for so many seconds.
    fn with_rules(&self, what: &str, seconds: u64) {
        let seconds = number("TIDEGATE_CHAOS_LINK").unwrap_or(seconds);
        let rules = format!(
            "table inet pair {{ chain out {{ type filter hook output priority 0; \
             tcp dport 9470 {what}; tcp sport 9470 {what}\n }}\n }}\n"
        );
        std::fs::write(self.lab.path("pair.nft"), rules).expect("a file");
        self.lab.must(GATES[0], &format!("nft -f {}", self.lab.path("pair.nft").display()));
        sleep(Duration::from_secs(seconds));
        self.lab.must(GATES[0], "nft delete table inet pair");
    }

    fn finish(self) {
        calm(self.lab, true);
        for (kind, tally) in self.load.finish() {
            println!("{kind}: {} whole, {} begun again", tally.whole, tally.young);
        }
        drop(self._keepalived);
        self.gates.into_iter().flatten().for_each(Daemon::finish);
    }
}

fn launch<'a>(lab: &'a Lab, n: usize, workers: usize) -> Daemon<'a> {
    let gate = Daemon::launch_on(lab, GATES[n], &text(lab, n, workers), "").wait();
    until("it is ready", || gate.tidegate("ready pxe").status.success());
    gate
}

fn is_in_step(gate: &Daemon) -> bool {
    pair_of(gate)["in_step"] == true
}

#[test]
#[ignore = "minutes of load on all cores: scripts/chaos --pair runs it"]
fn nothing_is_lost_that_was_told() {
    let lab = Lab::new().with_second_gate().with_many_clients();
    // A frame of the gate's stays in its ring until its receiver has read it, as veth hands it over: slow readers must not
    // keep all of the ring.
    lab.must("client", "sysctl -q -w net.ipv4.tcp_rmem=4096+8192+8192");
    peers::files(&lab, &FILES);
    make_key(&lab, "pair.key");
    let _tftp = servers(&lab);
    let _ftp = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let _ssh = ["s1", "s2"].map(|name| peers::sshd(&lab, name));
    let seed = number("TIDEGATE_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let end = Instant::now() + Duration::from_secs(number("TIDEGATE_CHAOS_SECONDS").unwrap_or(0));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut chaos = Chaos::start(&lab);
    // Each fault once at the least.
    loop {
        let mut faults = faults();
        random.shuffle(&mut faults);
        for fault in faults {
            println!("{fault:?}");
            chaos.befall(fault);
            chaos.settle();
        }
        if Instant::now() > end {
            break;
        }
    }
    chaos.finish();
}
