//! Two gates that tell each other their flows. The test moves the addresses, as keepalived would.

use crate::daemon::{Daemon, rows};
use crate::ftp_clients::ftplib;
use crate::ftp_servers::{Ftpd, Manner};
use crate::pair::{GATES, configuration};
use crate::patient_clients::{CLIENTS, Clients, with_image};
use crate::peers;
use kit::lab::{Lab, Process, SNAT_VIP, uninterrupted, until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

const ADDRESSES: [&str; 2] = ["10.77.0.100/32", "10.77.0.101/32"];
const ALL: u64 = CLIENTS as u64;

/// A service beside that of TFTP, at the same servers.
pub fn service(name: &str, protocol: &str, port: u16) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nport = {port}\n\
         vip = \"10.77.0.100\"\nsnat = [\"10.77.0.101\"]\n\
         [[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n\
         [[service.backend]]\nname = \"s2\"\naddress = \"10.77.0.31\"\n"
    )
}

/// The configuration of a gate, with this key.
pub fn paired(lab: &Lab, n: usize, key: &str) -> String {
    let [listen, peer] = if n == 0 { [2, 3] } else { [3, 2] };
    let key = lab.path(key);
    format!(
        "{}\n{}{}[pair]\nlisten = \"10.77.0.{listen}:9470\"\npeer = \"10.77.0.{peer}:9470\"\n\
         key = {key:?}\n",
        configuration(lab, n),
        service("ftp", "ftp", 21),
        service("echo", "tcp", 7)
    )
}

/// A lab with a key of the pair.
fn lab() -> Lab {
    let lab = with_image(Lab::new().with_second_gate());
    make_key(&lab, "pair.key");
    lab
}

pub fn make_key(lab: &Lab, name: &str) {
    let command =
        format!("{} pair key {}", env!("CARGO_BIN_EXE_tidegate"), lab.path(name).display());
    let said = lab.must("gate", &command);
    assert!(said.contains("Copy this file to the other gate"), "{said}");
}

/// Gives all addresses to one gate.
fn give(lab: &Lab, n: usize) {
    for address in ADDRESSES {
        // The other gate may be dead, or not have it.
        let _ = lab.run(GATES[1 - n], &format!("ip address del {address} dev lan"));
        lab.must(GATES[n], &format!("ip address add {address} dev lan"));
    }
}

fn start<'a>(lab: &'a Lab, n: usize, key: &str) -> Daemon<'a> {
    Daemon::launch_on(lab, GATES[n], &paired(lab, n, key), "").wait()
}

/// The log of a gate.
fn log(lab: &Lab, n: usize) -> String {
    std::fs::read_to_string(lab.path(&format!("{}.log", GATES[n]))).expect("its log")
}

pub fn pair_of(gate: &Daemon) -> Value {
    gate.ask("pair").expect("the pair")
}

fn in_step(gates: &[&Daemon]) {
    until("the gates are in step", || gates.iter().all(|gate| pair_of(gate)["in_step"] == true));
}

/// Both gates; the first one has the addresses.
fn both<'a>(lab: &'a Lab) -> [Daemon<'a>; 2] {
    let gates = [0, 1].map(|n| start(lab, n, "pair.key"));
    give(lab, 0);
    in_step(&[&gates[0], &gates[1]]);
    gates
}

/// Servers that answer each byte by the same one, and say who they are.
fn echo(lab: &Lab) -> [JoinHandle<()>; 2] {
    ["s1", "s2"].map(|name| {
        lab.inside(name, move || {
            let listener = TcpListener::bind((peers::address(name), 7)).expect("a port");
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut byte = [0];
            while uninterrupted(|| stream.read(&mut byte)).expect("a byte") > 0 {
                stream.write_all(&byte).expect("it goes");
            }
        })
    })
}

/// A connection of the client's.
fn connect(lab: &Lab) -> TcpStream {
    let stream = lab.inside("client", || TcpStream::connect((SNAT_VIP, 7)).expect("a connection"));
    let stream = stream.join().expect("it is there");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

#[track_caller]
fn echoes(stream: &mut TcpStream, byte: u8) {
    stream.write_all(&[byte]).expect("it goes");
    let mut got = [0];
    uninterrupted(|| stream.read_exact(&mut got)).expect("it comes back");
    assert_eq!(got, [byte]);
}

/// Downloads, connections and FTP sessions in the middle of what they do.
struct Flows<'a> {
    lab: &'a Lab,
    downloads: Clients,
    lines: [TcpStream; 2],
    session: Process,
}

impl<'a> Flows<'a> {
    fn start(lab: &'a Lab, name: &str) -> Flows<'a> {
        let downloads = Clients::start(lab, SNAT_VIP, 77);
        let mut lines = [connect(lab), connect(lab)];
        lines.iter_mut().for_each(|line| echoes(line, b'1'));
        let runs = format!("runs-{name}");
        let stay = format!("stay {SNAT_VIP} passive {runs} go-{name}");
        let session = lab.spawn("client", &ftplib(&stay));
        until("the session waits", || lab.path(&runs).exists());
        Flows { lab, downloads, lines, session }
    }

    /// Asserts that all come to their end.
    fn finish(mut self, name: &str) {
        self.lines.iter_mut().for_each(|line| echoes(line, b'2'));
        self.downloads.finish(self.lab, name);
        std::fs::write(self.lab.path(&format!("go-{name}")), "").expect("a file");
        let status = self.session.0.wait().expect("it ends");
        assert!(status.success(), "{name}: {}", self.lab.log());
    }
}

/// Waits until the other gate knows so many flows of a service.
fn knows(gate: &Daemon, service: &str, count: u64) {
    until("they are told", || gate.total(service, "synced") >= count);
}

/// Waits until all that has happened so far was told to this gate: by rounds that have begun since. A session that has just
/// spoken may be lost with its gate.
fn hears_all(gate: &Daemon) {
    let since_last = || pair_of(gate)["hearing"]["lag"].as_f64().expect("a round");
    // The first one to end may have begun before.
    for _ in 0..3 {
        let mut before = since_last();
        until("a round ends", || {
            let now = since_last();
            std::mem::replace(&mut before, now) > now
        });
    }
}

#[test]
fn all_go_on_when_the_active_gate_is_killed_and_when_it_comes_back() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _ftp = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let echoes = echo(&lab);
    let [mut first, second] = both(&lab);
    let flows = Flows::start(&lab, "kill");
    for (service, count) in [("pxe", ALL), ("echo", 2), ("ftp", 1)] {
        knows(&second, service, count);
    }
    hears_all(&second);
    first.process.signal("KILL");
    first.process.0.wait().expect("it was killed");
    drop(first);
    give(&lab, 1);
    flows.finish("kill");
    until("the other gate has seen their ends", || second.total("pxe", "completed") == ALL);
    echoes.into_iter().for_each(|server| server.join().expect("it ends"));

    // It is back with another number of workers, and hears of what runs; then the addresses come back to it.
    let echoes = echo(&lab);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = paired(&lab, 0, "pair.key");
    let text = match cores {
        1 => text,
        _ => text
            .replace("workers = [1]", "workers = [0, 1]")
            .replace("iface=dev1", "iface=dev1,qpairs=2"),
    };
    let first = Daemon::launch_on(&lab, GATES[0], &text, "").wait();
    first.has_workers(cores.min(2));
    in_step(&[&first, &second]);
    until("it is ready", || first.tidegate("ready pxe").status.success());
    let flows = Flows::start(&lab, "move");
    for (service, count) in [("pxe", ALL), ("echo", 2), ("ftp", 1)] {
        knows(&first, service, count);
    }
    hears_all(&first);
    give(&lab, 0);
    flows.finish("move");
    until("it has seen their ends", || first.total("pxe", "completed") == ALL);
    echoes.into_iter().for_each(|server| server.join().expect("it ends"));
    assert_eq!(second.total("pxe", "failed") + second.total("pxe", "timed_out"), 0);
    let roles = lab.log();
    for line in ["pair: this gate is active: it holds 10.77.0.100", "pair: this gate is standby"] {
        assert!(roles.contains(line), "{roles}");
    }
    [first, second].into_iter().for_each(Daemon::finish);
}

/// The link is reset, and is back after a while.
#[test]
fn rows_are_there_again_after_the_link_was_cut() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _echo = echo(&lab);
    let [first, second] = both(&lab);
    let mut line = connect(&lab);
    echoes(&mut line, b'1');
    knows(&second, "echo", 1);
    let rule = "table inet cut { chain out { type filter hook output priority 0; \
                tcp dport 9470 reject with tcp reset; tcp sport 9470 reject with tcp reset\n }\n }\n";
    std::fs::write(lab.path("cut.nft"), rule).expect("a file");
    lab.must(GATES[0], &format!("nft -f {}", lab.path("cut.nft").display()));
    until("both know", || [&first, &second].iter().all(|gate| pair_of(gate)["in_step"] == false));
    drop(line);
    until("it has ended", || first.total("echo", "completed") == 1);
    let downloads = Clients::start(&lab, SNAT_VIP, 77);
    until("all run", || first.total("pxe", "responded") == ALL);
    assert!(first.tidegate("ready pxe").status.success(), "a lost peer is no reason to fall");
    assert_eq!(second.total("pxe", "synced"), 0);
    lab.must(GATES[0], "nft delete table inet cut");
    in_step(&[&first, &second]);
    knows(&second, "pxe", ALL);
    until("what has ended meanwhile is over", || second.total("echo", "elsewhere") == 1);
    assert_eq!(second.total("pxe", "elsewhere"), 0);
    give(&lab, 1);
    downloads.finish(&lab, "cut");
    [first, second].into_iter().for_each(Daemon::finish);
}

/// A standby that is restarted forgets what was read of an FTP session, which is the active gate's all the same.
#[test]
fn a_restart_of_the_standby_loses_no_session() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _ftp = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let [first, mut second] = both(&lab);
    let stay = ftplib(&format!("stay {SNAT_VIP} passive runs go"));
    let mut session = lab.spawn("client", &stay);
    until("the session waits", || lab.path("runs").exists());
    knows(&second, "ftp", 1);
    second.process.signal("USR2");
    second.process.0.wait().expect("it ends");
    drop(second);
    let second = start(&lab, 1, "pair.key");
    let ends = ["lost", "elsewhere"].map(|end| second.total("ftp", end));
    assert!(ends[0] == 0 && ends[1] >= 1, "{ends:?}");
    in_step(&[&first, &second]);
    knows(&second, "ftp", 2);
    give(&lab, 1);
    std::fs::write(lab.path("go"), "").expect("a file");
    assert!(session.0.wait().expect("it ends").success(), "{}", lab.log());
    [first, second].into_iter().for_each(Daemon::finish);
}

/// A drained gate tells all it has before keepalived moves the addresses, and says when the other gate has it.
#[test]
fn a_drained_gate_tells_what_is_young() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let gates = [0, 1].map(|n| {
        let text = paired(&lab, n, "pair.key") + "sync_after = \"1h\"\n";
        Daemon::launch_on(&lab, GATES[n], &text, "").wait()
    });
    let [first, second] = gates;
    give(&lab, 0);
    in_step(&[&first, &second]);
    let downloads = Clients::start(&lab, SNAT_VIP, 77);
    until("all run", || first.total("pxe", "responded") == ALL);
    assert_eq!(second.total("pxe", "synced"), 0);
    assert!(!first.tidegate("gate drain --wait 1s").status.success(), "it holds the addresses");
    knows(&second, "pxe", ALL);
    give(&lab, 1);
    let drained = first.tidegate("gate drain --wait 20s");
    let words = String::from_utf8_lossy(&drained.stdout).into_owned();
    assert!(drained.status.success() && words.contains("can be stopped"), "{words}");
    downloads.finish(&lab, "drained");
    until("the other gate has seen their ends", || second.total("pxe", "completed") == ALL);
    [first, second].into_iter().for_each(Daemon::finish);
}

/// The gates differ in the name of an interface: all rows are refused, and nobody says that they are in step.
#[test]
fn gates_with_other_names_are_not_in_step() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let first = start(&lab, 0, "pair.key");
    let text = paired(&lab, 1, "pair.key").replace("\"lan\"", "\"wan\"");
    let second = Daemon::launch_on(&lab, GATES[1], &text, "").wait();
    for address in ADDRESSES {
        lab.must(GATES[0], &format!("ip address add {address} dev lan"));
    }
    let downloads = Clients::start(&lab, SNAT_VIP, 77);
    until("the active gate knows", || pair_of(&first)["refused_by_peer"] == true);
    assert_eq!(pair_of(&first)["in_step"], false);
    assert!(log(&lab, 0).contains("pair: 10.77.0.3:9470 refuses "), "{}", log(&lab, 0));
    let words = "pair: 1 names of the peer are unknown here: interface lan";
    assert!(log(&lab, 1).contains(words), "{}", log(&lab, 1));
    assert_eq!(pair_of(&second)["refused"]["malformed"], 0);
    downloads.finish(&lab, "other names");
    first.finish();
    second.finish();
}

/// Nothing decides for the gates that both have the addresses: each serves by its own rows.
#[test]
fn both_gates_say_so_when_both_have_the_addresses() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let [first, second] = both(&lab);
    let downloads = Clients::start(&lab, SNAT_VIP, 77);
    until("all run", || first.total("pxe", "responded") == ALL);
    knows(&second, "pxe", ALL);
    for address in ADDRESSES {
        lab.must(GATES[1], &format!("ip address add {address} dev lan"));
    }
    // Both may hold the VIP: the pool tells whose a flow is.
    let words = "pair: both gates hold 10.77.0.101";
    until("they say so", || [0, 1].iter().all(|&n| log(&lab, n).contains(words)));
    for gate in [&first, &second] {
        let pair = pair_of(gate);
        let held = |row: &Value| row["held"] == true && row["held_by_peer"] == true;
        assert!(rows(&pair["addresses"]).all(held), "{pair}");
    }
    assert_eq!(first.total("pxe", "synced"), 0, "neither believes the other one");
    assert_eq!(second.total("pxe", "synced"), ALL, "neither believes the other one");
    // It announces them again.
    for address in ADDRESSES {
        lab.must(GATES[0], &format!("ip address del {address} dev lan"));
    }
    give(&lab, 0);
    until("it is over", || lab.log().contains("no address is held by both gates any more"));
    downloads.finish(&lab, "both");
    [first, second].into_iter().for_each(Daemon::finish);
}

#[test]
fn a_gate_with_another_key_is_refused() {
    let lab = lab();
    make_key(&lab, "other.key");
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let gates = [start(&lab, 0, "pair.key"), start(&lab, 1, "other.key")];
    give(&lab, 0);
    let refused = |n, other| log(&lab, n).contains(&format!("pair: {other} is refused: "));
    until("both say why", || refused(0, "10.77.0.3") && refused(1, "10.77.0.2"));
    let downloads = Clients::start(&lab, SNAT_VIP, 77);
    downloads.finish(&lab, "another key");
    for gate in &gates {
        let pair = pair_of(gate);
        assert_eq!((&pair["in_step"], &pair["hearing"]["links"]), (&false.into(), &0.into()));
    }
    gates.into_iter().for_each(Daemon::finish);
}

#[test]
fn the_key_is_kept_from_others() {
    let lab = lab();
    lab.must("gate", &format!("chmod 644 {}", lab.path("pair.key").display()));
    let mut gate = Daemon::launch_on(&lab, GATES[0], &paired(&lab, 0, "pair.key"), "");
    assert!(!gate.process.0.wait().expect("it ends").success());
    assert!(lab.log().contains("others can use the key: `chmod 600"), "{}", lab.log());
}
