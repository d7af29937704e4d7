//! Links of the gate: hosts with stale neighbour entries, and devices that merge frames.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use kit::lab::{Lab, VIPS, VIPS_V6, until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// The hardware address that had the gate's addresses before.
const BEFORE: &str = "02:00:00:00:00:99";

/// Hosts keep used neighbour entries for minutes, so waiting for them to resolve would be too late.
#[test]
fn addresses_are_announced_to_who_knows_another_owner() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let ends = ["c0", "c1", "c1"];
    let at_clients = [VIPS, VIPS_V6].map(|vips| ends.into_iter().zip(vips));
    let at_clients = at_clients.into_iter().flatten().map(|(end, vip)| ("client", end, vip));
    // Addresses of the SNAT pool.
    let at_servers = ["10.77.0.101", "fd00:77::101"].map(|ours| ("s1", "eth0", ours));
    let known: Vec<_> = at_clients.chain(at_servers).collect();
    for (name, end, address) in &known {
        let entry = format!("ip neigh replace {address} lladdr {BEFORE} dev {end} nud reachable");
        lab.must(name, &entry);
    }
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    for (name, end, address) in known {
        until("it knows the gate", || {
            !lab.must(name, &format!("ip neigh show {address} dev {end}")).contains(BEFORE)
        });
    }
    VIPS.into_iter().for_each(|vip| Client::Curl.get(&lab, vip, "small", None));
    daemon.finish();
}

/// A server that received a redirect for a client would answer with its own address, for minutes.
#[test]
fn nobody_is_redirected_by_a_gate_with_one_arm() {
    let lab = Lab::new().with_ipv6();
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    for (name, end, other) in [("client", "c1", "30"), ("s1", "eth0", "10")] {
        for (net, gateway) in [("10.77.0.", "10.77.0.1"), ("fd00:77::", "fd00:77::1")] {
            let other = format!("{net}{other}");
            lab.must(name, &format!("ip route add {other} via {gateway} dev {end}"));
            // Redirects are counted whether followed or not.
            lab.must(name, &format!("ping -q -c 5 -i 0.2 -W 2 {other}"));
        }
        let all = lab.must(name, "cat /proc/net/snmp6");
        let of_ipv6 = all.lines().find(|line| line.starts_with("Icmp6InRedirects"));
        let all = lab.must(name, "cat /proc/net/snmp");
        let mut of_icmp = all.lines().filter(|line| line.starts_with("Icmp:"));
        let (names, counts) = (of_icmp.next().expect("names"), of_icmp.next().expect("counts"));
        let mut both = names.split(' ').zip(counts.split(' '));
        assert_eq!(both.find(|(name, _)| *name == "InRedirects"), Some(("InRedirects", "0")));
        assert_eq!(of_ipv6.and_then(|line| line.split_whitespace().nth(1)), Some("0"), "{name}");
    }
    assert!(daemon.stat("drops", "redirect") > 0, "the kernel would do so");
    daemon.finish();
}

/// Merged segments exceed every link's MTU, which makes TCP crawl.
#[test]
fn devices_do_not_merge_frames_while_the_gate_runs() {
    const WEB: u16 = 8000;
    for driver in ["net_af_packet", "net_af_xdp"] {
        let lab = Lab::new();
        peers::files(&lab, &[("image", 8 << 20)]);
        let web = format!("/usr/bin/python3 -m http.server {WEB} --directory files");
        let _web = ["s1", "s2"].map(|name| lab.spawn(name, &web));
        for device in ["dev0", "dev1"] {
            lab.must("gate", &format!("ethtool -K {device} gro on"));
        }
        let merges = |device: &str| {
            let features = lab.must("gate", &format!("ethtool -k {device}"));
            features.contains("generic-receive-offload: on")
        };
        let setup = Setup { driver, protocol: "tcp", service: "port = 8000", ..Setup::default() };
        let daemon = Daemon::start(&lab, setup);
        assert!(!merges("dev0") && !merges("dev1"), "{driver}");
        assert!(lab.log().contains("`dev0` no longer merges frames"), "{}", lab.log());
        for vip in VIPS {
            let url = format!("http://{vip}:{WEB}/image");
            let retry = "--retry 5 --retry-connrefused";
            lab.must("client", &format!("curl -sSf {retry} --max-time 60 -o got {url}"));
            let got = std::fs::read(lab.path("got")).expect("the file");
            assert!(got == std::fs::read(lab.path("files/image")).expect("the file"), "{vip}");
        }
        assert_eq!(daemon.stat("drops", "merged"), 0);
        daemon.finish();
        assert!(merges("dev0") && merges("dev1"), "{driver}: it is put back");
    }
}

/// If merging is switched on again, the drops have a counter and one log line.
#[test]
fn what_a_device_merges_all_the_same_is_said() {
    const WEB: u16 = 8000;
    let lab = Lab::new();
    peers::files(&lab, &[("image", 8 << 20)]);
    let web = format!("/usr/bin/python3 -m http.server {WEB} --directory files");
    let _web = ["s1", "s2"].map(|name| lab.spawn(name, &web));
    let setup = Setup { protocol: "tcp", service: "port = 8000", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    lab.must("gate", "ethtool -K dev1 gro on");
    let url = format!("http://{}:{WEB}/image", VIPS[0]);
    let retry = "--retry 5 --retry-connrefused";
    let _client = lab.spawn("client", &format!("curl -sSf {retry} --max-time 60 -o got {url}"));
    until("some are dropped", || daemon.stat("drops", "merged") > 5);
    let said = || lab.log().lines().filter(|line| line.contains("a device merges frames")).count();
    until("it is said", || said() > 0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(said(), 1, "{}", lab.log());
    assert_eq!(daemon.stat("drops", "bad-ipv4"), 0);
    daemon.finish();
}

/// A client that has acknowledged everything sends nothing more that would show its next hop.
#[test]
fn what_a_silent_client_is_sent_goes_by_the_router_that_takes_over() {
    const PORT: u16 = 7007;
    const SAID: [u8; 100] = [7; 100];
    let lab = Lab::new().with_routers();
    let listeners = ["s1", "s2"].map(|name| {
        let listener = lab.inside(name, || TcpListener::bind(("0.0.0.0", PORT)));
        let listener = listener.join().expect("it ends").expect("the port is free");
        listener.set_nonblocking(true).expect("it can be");
        listener
    });
    let daemon =
        Daemon::start(&lab, Setup { protocol: "tcp", service: "port = 7007", ..Setup::default() });
    lab.must("gate", "ip route add 10.90.0.0/16 via 10.78.0.20");
    let connect = || {
        let client = lab.inside("far", || TcpStream::connect((VIPS[0], PORT)));
        client.join().expect("it ends").ok()
    };
    let (mut client, mut server) = (None, None);
    until("a server is there", || {
        client = client.take().or_else(connect);
        server = listeners.iter().find_map(|listener| listener.accept().ok());
        server.is_some()
    });
    let (mut client, (mut server, _)) = (client.expect("it has"), server.expect("it has"));
    server.set_nonblocking(false).expect("it can be");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be");
    let mut heard = [0; SAID.len()];
    server.write_all(&SAID).expect("it is sent");
    client.read_exact(&mut heard).expect("it is heard");
    lab.fail_over();
    server.write_all(&SAID).expect("it is sent");
    client.read_exact(&mut heard).expect("it is heard by the other router");
    daemon.finish();
}
