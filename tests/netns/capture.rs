//! Captures and traces of real transfers, read by tshark.

use crate::daemon::{Daemon, Setup};
use crate::ftp_clients::{Curl, Data};
use crate::ftp_servers::{Ftpd, Manner};
use crate::peers::{self, Client};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

/// The client on the servers' link, which `snat` hides from them.
const HIDDEN: &str = "10.77.0.10";
/// An address of the pool.
const POOL: &str = "10.77.0.101";

/// A running command, whose output is kept.
struct Running {
    child: Child,
    /// Open, so that the programs can say something.
    _said: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Starts `tidegate`, with its output through a pipe to another program, and waits until it captures.
    fn start(daemon: &Daemon, command: &str, reader: &str) -> Running {
        let tidegate = env!("CARGO_BIN_EXE_tidegate");
        let line = format!("{tidegate} --socket {} {command} {reader}", daemon.socket().display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = shell.spawn().expect("a shell");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let said =
            lines.find(|line| line.as_ref().is_ok_and(|line| line.ends_with("Ctrl-C ends it")));
        assert!(said.is_some(), "it does not capture: {line}");
        Running { child, _said: lines }
    }

    fn end(self) -> String {
        let output = self.child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{:?}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Captures what happens meanwhile, until so many frames are there; returns tshark's fields of each.
fn captured(
    daemon: &Daemon,
    options: &str,
    count: usize,
    fields: &[&str],
    meanwhile: impl FnOnce(),
) -> Vec<Vec<String>> {
    let fields: String = fields.iter().map(|field| format!(" -e {field}")).collect();
    let command = format!("capture --write - --count {count} {options}");
    let tshark = format!("| tshark -n -l -r - -T fields -E separator='|' {fields}");
    let running = Running::start(daemon, &command, &tshark);
    meanwhile();
    let text = running.end();
    text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

/// Whether a capture still runs: there is one at a time.
fn is_capturing(daemon: &Daemon) -> bool {
    let output = daemon.tidegate("capture --write /dev/null --count 0");
    String::from_utf8_lossy(&output.stderr).contains("one at a time")
}

fn farm(lab: &Lab) -> (Daemon<'_>, [peers::Server; 2]) {
    peers::files(lab, &[("small", 700)]);
    let servers = [peers::tftpd_hpa(lab, "s1"), peers::tftpd_hpa(lab, "s2")];
    (Daemon::start(lab, Setup::default()), servers)
}

#[test]
fn both_sides_of_a_hidden_client_are_captured() {
    let lab = Lab::new();
    let (daemon, _servers) = farm(&lab);
    let fields = ["frame.comment", "ip.src", "ip.dst", "frame.packet_id", "frame.interface_name"];
    // RRQ, DATA, ACK, DATA, ACK, each as it came and as it left.
    let rows = captured(&daemon, &format!("--client {HIDDEN}"), 10, &fields, || {
        Client::Busybox.get(&lab, NAT_VIP, "small", None);
        Client::Busybox.get(&lab, SNAT_VIP, "small", None);
    });
    assert_eq!(rows.len(), 10, "{rows:?}");
    for pair in rows.chunks(2) {
        let [came, left] = pair else { panic!("{pair:?}") };
        assert!(came[0].starts_with("verdict: forwarded; snat/s"), "{came:?}");
        assert_eq!(came[0], left[0]);
        let sides = [came, left].map(|row| [row[1].as_str(), row[2].as_str()]);
        let hidden = |side: &[&str; 2]| side.contains(&HIDDEN);
        let pool = |side: &[&str; 2]| side.contains(&POOL);
        assert!(sides.iter().any(hidden) && sides.iter().any(pool), "{pair:?}");
    }
    assert!(rows[0][0].ends_with(", requested"), "{:?}", rows[0]);
    assert!(rows[4][0].contains(", established, TID "), "{:?}", rows[4]);
    daemon.finish();
}

#[test]
fn dropped_packets_are_captured_by_their_reason() {
    let lab = Lab::new();
    let (daemon, _servers) = farm(&lab);
    let options = "--dropped --reason bad-tftp --service nat";
    let rows = captured(&daemon, options, 1, &["frame.comment", "udp.dstport"], || {
        Client::Busybox.get(&lab, NAT_VIP, "small", None);
        lab.must("client", &format!("python3 {}", nonsense(&lab)));
    });
    assert_eq!(rows, [["verdict: dropped, bad-tftp; nat", "69"]]);
    let shown = String::from_utf8(daemon.tidegate("drops bad-tftp").stdout).expect("text");
    assert!(shown.contains(&format!("> {NAT_VIP}:69 UDP")), "{shown}");
    daemon.finish();
}

/// A program that sends a datagram that is no TFTP message.
fn nonsense(lab: &Lab) -> String {
    let file = lab.path("nonsense.py");
    let text = format!(
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'nonsense', ('{NAT_VIP}', 69))\n"
    );
    std::fs::write(&file, text).expect("it is written");
    file.display().to_string()
}

#[test]
fn a_file_has_interfaces_names_and_statistics() {
    let lab = Lab::new();
    let (daemon, _servers) = farm(&lab);
    let file = lab.path("all.pcapng");
    let command = format!("capture --write {} --seconds 3 --client 10.78.0.0/16", file.display());
    let running = Running::start(&daemon, &command, "");
    Client::Busybox.get(&lab, NAT_VIP, "small", None);
    running.end();
    let tshark = |options: &str| {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&file).args(options.split_whitespace());
        String::from_utf8(command.output().expect("tshark runs").stdout).expect("text")
    };
    let named = tshark("-N n -T fields -e ip.dst_host -e frame.interface_name");
    assert!(
        named.lines().any(|line| line.starts_with("nat\t") && line.ends_with("clients")),
        "{named}"
    );
    assert!(
        named.lines().any(|line| line.starts_with('s') && line.ends_with("servers")),
        "{named}"
    );
    let directions =
        tshark("-T fields -e frame.packet_flags_direction -e pcapng.options.option.code");
    assert!(directions.contains("0x00000001") && directions.contains("0x00000002"), "{directions}");
    let facts = Command::new("capinfos").arg(&file).output().expect("capinfos runs");
    let facts = String::from_utf8_lossy(&facts.stdout).into_owned();
    assert!(
        facts.contains("Name = clients") && facts.contains("Number of stat entries = 1"),
        "{facts}"
    );
    assert!(facts.contains("Time precision = nanoseconds (9)"), "{facts}");
    daemon.finish();
}

#[test]
fn passwords_are_masked_unless_the_whole_is_asked_for() {
    let lab = Lab::new();
    peers::files(&lab, &[("one", 1)]);
    let _servers = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, Setup { protocol: "ftp", ..Setup::default() });
    for (option, is_seen) in [("", false), ("--full", true)] {
        let options = format!("--service nat {option}");
        let rows =
            captured(&daemon, &options, 40, &["ftp.request.command", "ftp.request.arg"], || {
                for _ in 0..3 {
                    Curl::new(&lab, NAT_VIP, Data::Pasv).get(&["one"]);
                }
            });
        let secrets: Vec<_> = rows.iter().filter(|row| row[0] == "PASS").collect();
        assert!(!secrets.is_empty(), "{rows:?}");
        let masked = |row: &&Vec<String>| row[1].chars().all(|c| c == '*');
        assert_eq!(secrets.iter().all(|row| !masked(row)), is_seen, "{secrets:?}");
    }
    daemon.finish();
}

/// A reader that stops loses frames, which is counted; packets go on, and so does the daemon.
#[test]
fn a_reader_that_stops_loses_frames_and_nothing_else() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 20 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let running = Running::start(&daemon, "capture --write - --full", "| sleep 1000");
    Client::Curl.get(&lab, NAT_VIP, "large", Some(1400));
    assert!(daemon.stat("packets", "capture_lost") > 0);
    daemon.completes("nat", 1);
    kill(running);
    until("the capture has ended with its client", || !is_capturing(&daemon));
    daemon.finish();
}

/// Kills a command with all its children.
fn kill(Running { mut child, .. }: Running) {
    Command::new("pkill")
        .args(["-KILL", "-P", &child.id().to_string()])
        .status()
        .expect("pkill runs");
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
}

#[test]
fn wrong_names_are_refused() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    for (options, code, words) in [
        ("--service nothing", 1, "there is no service `nothing`"),
        ("--backend s9", 1, "there is no backend `s9`"),
        ("--service nat --backend s9", 1, "there is no backend `s9` of `nat`"),
        ("--interface eth9", 1, "there is no interface `eth9`"),
        ("--reason rain", 1, "there is no drop reason `rain`"),
        ("--client somebody", 2, "neither an address nor a network"),
    ] {
        let output = daemon.tidegate(&format!("capture --write /nonexistent/x {options}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(words), "{options}: {said}");
    }
    let output = daemon.tidegate("capture --write /nonexistent/x");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot create /nonexistent/x"), "{said}");
    until("that capture has ended", || !is_capturing(&daemon));
    daemon.finish();
}

#[test]
fn a_trace_shows_a_packets_way() {
    let lab = Lab::new();
    let (daemon, _servers) = farm(&lab);
    let running = Running::start(&daemon, &format!("trace {HIDDEN} --count 6"), "");
    Client::Busybox.get(&lab, SNAT_VIP, "small", None);
    let text = running.end();
    for words in [
        "came     servers: 10.77.0.10:",
        "RRQ \"small\"",
        "class    of the client, client 10.77.0.10:",
        "flow     snat/s",
        "verdict  forwarded",
        "left     servers: 10.77.0.101:",
        "UDP, OACK",
        "class    of the server, client 10.77.0.10:",
    ] {
        assert!(text.contains(words), "no `{words}`: {text}");
    }
    until("it has ended", || !is_capturing(&daemon));
    daemon.finish();
}
