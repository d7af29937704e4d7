//! Two gates of which keepalived makes one active, by the example in conf/keepalived.

use crate::daemon::{Daemon, socket};
use crate::peers::{self, Client, peer};
use kit::lab::{Lab, Process, SNAT_VIP, until};

pub const GATES: [&str; 2] = ["gate", "gate2"];

/// A file of the example, with the lab's addresses and paths.
fn example(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/keepalived/");
    let text = std::fs::read_to_string(path.to_owned() + name).expect("an example");
    text.replace("10.0.0.", "10.77.0.")
}

/// The configuration of a gate, which has an address and a core of its own.
pub fn configuration(lab: &Lab, n: usize) -> String {
    let address = format!("10.77.0.{}/16", 2 + n);
    let text = example("tidegate.toml").replace("10.77.0.2/24", &address);
    let text = text.replace("0000:03:00.0", "net_af_packet1,iface=dev1");
    let text =
        text.replace("[control]\n", &format!("[control]\nsocket = {:?}\n", socket(lab, GATES[n])));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let core = 1.min(cores - 1) - n.min(cores - 1);
    format!("[dataplane]\nworkers = [{core}]\nhugepages = false\nmax_flows = 4096\n{text}")
}

/// keepalived on a gate. This machine may be slow, and addresses stay where they have gone.
fn keepalived(lab: &Lab, n: usize) -> Process {
    keepalived_with(lab, n, |text| {
        text.replace("advert_int 0.3", "advert_int 1").replace("fall 2", "fall 4")
    })
}

/// keepalived on a gate, by the example with these changes.
pub fn keepalived_with(lab: &Lab, n: usize, change: impl Fn(&str) -> String) -> Process {
    let ask =
        format!("{} --socket {}", env!("CARGO_BIN_EXE_tidegate"), socket(lab, GATES[n]).display());
    let text = example("keepalived.conf").replace("/usr/bin/tidegate", &ask);
    // Whoever has made the build may change the program.
    let text = text.replace("    enable_script_security\n", "");
    let text = change(&text);
    let [file, main, vrrp] =
        ["conf", "pid", "vrrp"].map(|kind| lab.path(&format!("keepalived{n}.{kind}")));
    std::fs::write(&file, text).expect("the configuration is written");
    let program = peer("keepalived/usr/sbin/keepalived");
    let [file, main, vrrp] = [file, main, vrrp].map(|path| path.display().to_string());
    let options = format!("-n -l -D -P -f {file} -p {main} -r {vrrp}");
    lab.spawn(GATES[n], &format!("{program} {options}"))
}

/// The gate that alone holds the VIP and the address of the pool.
pub fn active(lab: &Lab) -> Option<usize> {
    let holds = [0, 1].map(|n| {
        let all = lab.must(GATES[n], "ip -o address show dev lan");
        ["10.77.0.100/32", "10.77.0.101/32"].map(|address| all.contains(address))
    });
    match holds {
        [[true, true], [false, false]] => Some(0),
        [[false, false], [true, true]] => Some(1),
        _ => None,
    }
}

struct Pair<'a> {
    lab: &'a Lab,
    gates: [Option<Daemon<'a>>; 2],
    _keepalived: [Process; 2],
    _servers: [peers::Server; 2],
}

impl<'a> Pair<'a> {
    fn start(lab: &'a Lab) -> Pair<'a> {
        peers::files(lab, &[("image", 1 << 20)]);
        let _servers = [peers::tftpd_hpa(lab, "s1"), peers::tftpd_hpa(lab, "s2")];
        let gates = [0, 1].map(|n| {
            let text = configuration(lab, n);
            Some(Daemon::launch_on(lab, GATES[n], &text, "").wait())
        });
        for gate in gates.iter().flatten() {
            until("it is ready", || gate.tidegate("ready pxe").status.success());
        }
        // One after the other: of two that begin at once, the higher address wins in the end.
        let first = keepalived(lab, 0);
        until("the first one is active", || active(lab) == Some(0));
        let _keepalived = [first, keepalived(lab, 1)];
        Pair { lab, gates, _keepalived, _servers }
    }

    /// Waits until this gate is active, and downloads through it.
    fn serves(&self, n: usize) {
        until("it is active", || active(self.lab) == Some(n));
        let gate = self.gates[n].as_ref().expect("it runs");
        let before = gate.total("pxe", "completed");
        Client::Tftp.get(self.lab, SNAT_VIP, "image", None);
        until("it has served it", || gate.total("pxe", "completed") == before + 1);
    }

    fn finish(self) {
        drop(self._keepalived);
        self.gates.into_iter().flatten().for_each(Daemon::finish);
    }
}

#[test]
fn the_other_gate_serves_when_the_active_one_is_killed() {
    let lab = Lab::new().with_second_gate();
    let mut pair = Pair::start(&lab);
    let (first, other) = (0, 1);
    pair.serves(first);
    let mut killed = pair.gates[first].take().expect("it runs");
    killed.process.signal("KILL");
    killed.process.0.wait().expect("it was killed");
    drop(killed);
    pair.serves(other);
    // It is back as the standby, with the TAP that keepalived knows.
    let text = configuration(&lab, first);
    let back = Daemon::launch_on(&lab, GATES[first], &text, "").wait();
    until("it is ready", || back.tidegate("ready pxe").status.success());
    pair.gates[first] = Some(back);
    pair.serves(other);
    let mut stopped = pair.gates[other].take().expect("it runs");
    assert!(stopped.process.terminate().success());
    drop(stopped);
    until("it is active again", || {
        let all = lab.must(GATES[first], "ip -o address show dev lan");
        all.contains("10.77.0.100/32") && all.contains("10.77.0.101/32")
    });
    Client::Tftp.get(&lab, SNAT_VIP, "image", None);
    pair.finish();
}

#[test]
fn the_other_gate_serves_when_the_cable_of_the_active_one_is_pulled() {
    let lab = Lab::new().with_second_gate();
    let pair = Pair::start(&lab);
    let (first, other) = (0, 1);
    pair.serves(first);
    let cable = |state| lab.must("switch", &format!("ip link set p-{} {state}", GATES[first]));
    cable("down");
    pair.serves(other);
    let gate = pair.gates[first].as_ref().expect("it runs");
    let words = gate.tidegate("ready").stdout;
    assert_eq!(
        String::from_utf8_lossy(&words).trim(),
        "not ready: the link of interface lan is down"
    );
    cable("up");
    until("it is ready", || gate.tidegate("ready pxe").status.success());
    pair.serves(other);
    // And back again.
    lab.must("switch", &format!("ip link set p-{} down", GATES[other]));
    pair.serves(first);
    pair.finish();
}

#[test]
fn the_other_gate_serves_when_the_active_one_is_drained() {
    let lab = Lab::new().with_second_gate();
    let pair = Pair::start(&lab);
    let (first, other) = (0, 1);
    pair.serves(first);
    let gate = pair.gates[first].as_ref().expect("it runs");
    let drained = gate.tidegate("gate drain --wait 60s");
    let words = String::from_utf8_lossy(&drained.stdout).into_owned();
    assert!(drained.status.success(), "{words}");
    assert_eq!(words.trim(), "drained: tidegated can be stopped");
    pair.serves(other);
    assert!(gate.tidegate("gate enable").status.success());
    until("it is ready", || gate.tidegate("ready pxe").status.success());
    pair.serves(other);
    pair.finish();
}
