//! Routing daemons on the gate announce its VIPs to a router, by the examples in conf/bird and conf/frr.

use crate::daemon::{Daemon, socket};
use crate::peers::{self, Client, peer};
use kit::lab::{Lab, Process, until};

/// The VIP of the example, which the router knows no way to.
const VIP: &str = "192.0.2.100";

/// The router, which is the client's host, too.
const ROUTER: &str = "router id 10.77.0.1;\n\
    protocol device {}\n\
    protocol kernel { ipv4 { export all; }; }\n\
    protocol bfd {\n\
        interface \"c1\" { min rx interval 500 ms; min tx interval 500 ms; multiplier 3; };\n\
    }\n\
    protocol bgp gate {\n\
        bfd on;\n\
        local 10.77.0.1 as 65000;\n\
        neighbor 10.77.0.2 as 65010;\n\
        hold time 240;\n\
        connect delay time 1;\n\
        error wait time 1, 2;\n\
        ipv4 { import all; export none; };\n\
    }\n";

/// A configuration by which the other end must be silent for 30 seconds until BFD says so: this machine may be slow.
fn patient(text: &str) -> String {
    text.replace("interval 500", "interval 10000")
}

/// A file of the examples, with the lab's addresses. A session lives for longer, as this machine may be slow.
fn example(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/");
    let text = std::fs::read_to_string(path.to_owned() + name).expect("an example");
    let text = text.replace("10.0.0.", "10.77.0.").replace("hold time 9", "hold time 240");
    text.replace("timers 3 9", "timers 30 240")
}

fn configuration(lab: &Lab) -> String {
    let text = example("bird/tidegate.toml").replace("10.77.0.2/24", "10.77.0.2/16");
    let text = text.replace("0000:03:00.0", "net_af_packet1,iface=dev1");
    let socket = socket(lab, "gate");
    format!(
        "[dataplane]\nhugepages = false\nmax_flows = 4096\n[control]\nsocket = {socket:?}\n{text}"
    )
}

/// BIRD in this namespace.
fn bird(lab: &Lab, space: &str, text: &str) -> Process {
    let [file, control, id] =
        ["conf", "ctl", "pid"].map(|kind| lab.path(&format!("bird-{space}.{kind}")));
    std::fs::write(&file, text).expect("the configuration is written");
    let [file, control, id] = [file, control, id].map(|path| path.display().to_string());
    let program = peer("bird2/usr/sbin/bird");
    lab.spawn(space, &format!("{program} -f -c {file} -s {control} -P {id}"))
}

/// FRR on the gate. Its package would make a group, which the library adds.
fn frr(lab: &Lab, text: &str) -> Vec<Process> {
    let file = lab.path("frr.conf");
    std::fs::write(&file, text).expect("the configuration is written");
    let groups = std::fs::read_to_string("/etc/group").expect("groups");
    std::fs::write(lab.path("group"), groups + "frrvty:x:9999:root\n").expect("groups");
    let [file, group, folder] =
        [file, lab.path("group"), lab.dir.path().into()].map(|path| path.display().to_string());
    let libraries = peer("frr/usr/lib/x86_64-linux-gnu/frr");
    let wrapped = format!(
        "env LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=/etc/passwd NSS_WRAPPER_GROUP={group} \
         LD_LIBRARY_PATH={libraries}"
    );
    let options = format!(
        "-u root -g root -f {file} -z {folder}/zserv --vty_socket {folder} -P 0 --log stdout \
         --moduledir {libraries}/modules"
    );
    let start = |name: &str| {
        let program = peer(&format!("frr/usr/lib/frr/{name}"));
        let options = match name {
            "bfdd" => format!("{options} --bfdctl {folder}/bfdd.sock"),
            _ => options.clone(),
        };
        lab.spawn("gate", &format!("{wrapped} {program} {options} -i {folder}/{name}.pid"))
    };
    let zebra = start("zebra");
    until("zebra listens", || lab.path("zserv").exists());
    vec![zebra, start("bgpd"), start("bfdd")]
}

/// Whether the router sends packets for the VIP to the gate.
fn is_announced(lab: &Lab) -> bool {
    lab.must("client", "ip route").contains(&format!("{VIP} via 10.77.0.2"))
}

/// The view of the router's BIRD on a subject.
fn show(lab: &Lab, what: &str) -> String {
    let program = peer("bird2/usr/sbin/birdc");
    let control = lab.path("bird-client.ctl").display().to_string();
    lab.must("client", &format!("{program} -s {control} show {what}"))
}

/// The router's session, with the time since when it is up.
fn session(lab: &Lab) -> String {
    let all = show(lab, "protocols");
    let line = all.lines().find(|line| line.starts_with("gate"));
    line.expect("the session").trim().to_owned()
}

fn announces(speak: impl Fn(&Lab) -> Vec<Process>) {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    lab.must("client", "ip address add 10.77.0.1/16 dev c1");
    let mut gate = Daemon::with(&lab, &configuration(&lab));
    let _router = bird(&lab, "client", &patient(ROUTER));
    let _speakers = speak(&lab);
    until("the VIP is announced", || is_announced(&lab));
    Client::Tftp.get(&lab, VIP, "image", None);
    // A restart.
    let before = session(&lab);
    assert!(before.contains("Established"), "{before}");
    gate.process.signal("USR2");
    assert!(gate.process.0.wait().expect("it ends").success());
    drop(gate);
    let gate = Daemon::with(&lab, &configuration(&lab));
    until("the VIP is announced", || is_announced(&lab));
    Client::Tftp.get(&lab, VIP, "image", None);
    assert_eq!(session(&lab), before);
    // The VIP goes, and comes back.
    lab.must("gate", &format!("ip address del {VIP}/32 dev lan"));
    until("the VIP is no longer announced", || !is_announced(&lab));
    assert!(gate.tidegate("reload").status.success());
    until("the VIP is announced again", || is_announced(&lab));
    assert_eq!(session(&lab), before);
    gate.finish();
}

/// The hold time is 240 seconds here, so nothing but BFD can find it.
fn is_found_dead(speak: impl Fn(&Lab) -> Vec<Process>) {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    lab.must("client", "ip address add 10.77.0.1/16 dev c1");
    let mut gate = Daemon::with(&lab, &configuration(&lab));
    let _router = bird(&lab, "client", ROUTER);
    let _speakers = speak(&lab);
    let bfd = || show(&lab, "bfd sessions");
    until("the VIP is announced", || is_announced(&lab) && bfd().contains(" Up "));
    gate.process.signal("KILL");
    gate.process.0.wait().expect("it was killed");
    drop(gate);
    until("the VIP is no longer announced", || !is_announced(&lab));
    let gate = Daemon::with(&lab, &configuration(&lab));
    until("the VIP is announced again", || is_announced(&lab) && bfd().contains(" Up "));
    Client::Tftp.get(&lab, VIP, "image", None);
    gate.finish();
}

#[test]
fn a_gate_whose_servers_are_dead_loses_the_route() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20), ("canary", 13)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    lab.must("client", "ip address add 10.77.0.1/16 dev c1");
    let checks = "[service.health]\ncheck = \"tftp\"\nfile = \"canary\"\ninterval = \"500ms\"\n\
                  timeout = \"500ms\"\n[[service.backend]]";
    let text = configuration(&lab).replacen("[[service.backend]]", checks, 1);
    let text = text.replacen("[control]\n", "[control]\nannounce = \"while-served\"\n", 1);
    let gate = Daemon::with(&lab, &text);
    let _router = bird(&lab, "client", &patient(ROUTER));
    let _speaker = bird(&lab, "gate", &patient(&example("bird/bird.conf")));
    until("the VIP is announced", || is_announced(&lab));
    Client::Tftp.get(&lab, VIP, "image", None);
    let before = session(&lab);
    peers::signal_all(&lab, "s1", "KILL");
    until("one is down", || gate.tidegate("backends").stdout.windows(4).any(|at| at == b"down"));
    assert!(is_announced(&lab), "one is left");
    peers::signal_all(&lab, "s2", "KILL");
    until("the VIP is no longer announced", || !is_announced(&lab));
    let _again = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    until("the VIP is announced again", || is_announced(&lab));
    Client::Tftp.get(&lab, VIP, "image", None);
    assert_eq!(session(&lab), before);
    gate.finish();
}

#[test]
fn bird_announces_the_vips_that_the_kernel_holds() {
    announces(|lab| vec![bird(lab, "gate", &patient(&example("bird/bird.conf")))]);
}

#[test]
fn frr_announces_the_vips_that_the_kernel_holds() {
    announces(|lab| frr(lab, &patient(&example("frr/frr.conf"))));
}

#[test]
fn bfd_of_bird_finds_a_dead_gate() {
    is_found_dead(|lab| vec![bird(lab, "gate", &example("bird/bird.conf"))]);
}

#[test]
fn bfd_of_frr_finds_a_dead_gate() {
    is_found_dead(|lab| frr(lab, &example("frr/frr.conf")));
}
