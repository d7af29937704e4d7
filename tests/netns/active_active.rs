//! Two gates of a pair that have a VIP at the same time, each with an address of a pool, behind a router with equal routes.

use crate::fleet::{CLIENTS, Downloads, Gate, backend, fleet, head};
use crate::peers;
use kit::lab::{Lab, SNAT_VIP, uninterrupted, until};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime;

/// The addresses of the gates, and of the pool.
const GATES: [&str; 2] = ["10.77.0.2", "10.77.0.3"];
const POOL: [&str; 2] = ["10.77.0.111", "10.77.0.112"];

fn service(name: &str, protocol: &str, port: u16) -> String {
    let pool = POOL.map(|address| format!("{address:?}")).join(", ");
    let backends: String = ["s1", "s2"].map(backend).concat();
    format!(
        "[[service]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nport = {port}\n\
         vip = \"{SNAT_VIP}\"\nsnat = [{pool}]\n{backends}"
    )
}

fn start<'a>(lab: &'a Lab, n: usize) -> Gate<'a> {
    let name = ["g1", "g2"][n];
    let [listen, peer] = [GATES[n], GATES[1 - n]];
    let text = head(lab, name, GATES[n])
        + "addresses = \"elsewhere\"\n"
        + &format!(
            "[pair]\nlisten = \"{listen}:9470\"\npeer = \"{peer}:9470\"\nkey = {:?}\n",
            lab.path("pair.key")
        )
        + &service("boot", "tftp", 69)
        + &service("echo", "tcp", 7);
    let gate = Gate::configured(lab, name, &text);
    give(lab, name, SNAT_VIP);
    give(lab, name, POOL[n]);
    gate
}

fn give(lab: &Lab, name: &str, address: &str) {
    lab.must(name, &format!("ip address add {address}/32 dev lan"));
}

/// Servers that answer each byte by the same one, on as many connections as come.
fn echo(lab: &Lab) {
    for name in ["s1", "s2"] {
        lab.inside(name, move || {
            let listener = TcpListener::bind((peers::address(name), 7)).expect("a port");
            for stream in listener.incoming().take(CLIENTS as usize) {
                let mut stream = stream.expect("a connection");
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while uninterrupted(|| stream.read(&mut byte)).is_ok_and(|len| len > 0) {
                        let _ = stream.write_all(&byte);
                    }
                });
            }
        });
    }
}

/// Connections from addresses of some clients.
fn connect(lab: &Lab) -> Vec<TcpStream> {
    let all = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        (1..=8).map(|n| runtime.block_on(connect_from(Ipv4Addr::new(10, 79, 4, n)))).collect()
    };
    lab.inside("crowd", all).join().expect("they are there")
}

async fn connect_from(client: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((client, 0).into()).expect("an address");
    let vip: Ipv4Addr = SNAT_VIP.parse().expect("a VIP");
    let stream = socket.connect((vip, 7).into()).await.expect("a connection");
    let stream = stream.into_std().expect("a stream");
    stream.set_nonblocking(false).expect("it waits");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

#[track_caller]
fn all_echo(lines: &mut [TcpStream], byte: u8) {
    for line in lines {
        line.write_all(&[byte]).expect("it goes");
        let mut got = [0];
        uninterrupted(|| line.read_exact(&mut got)).expect("it comes back");
        assert_eq!(got, [byte]);
    }
}

fn second_chances(gate: &Gate) -> u64 {
    let stats = gate.ask("stats").expect("stats");
    stats["packets"]["second_chances"].as_u64().expect("a count")
}

#[test]
fn nothing_is_lost_when_the_router_changes_its_mind_and_when_a_gate_dies() {
    let (lab, file) = fleet(&["g1", "g2"]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    echo(&lab);
    let key = lab.path("pair.key");
    let tidegate = env!("CARGO_BIN_EXE_tidegate");
    lab.must("gate", &format!("{tidegate} pair key {}", key.display()));
    let [mut first, second] = [0, 1].map(|n| start(&lab, n));
    lab.spread_over(SNAT_VIP, &GATES);
    for gate in [&first, &second] {
        until("the gates are in step", || {
            gate.ask("pair").is_some_and(|pair| pair["in_step"] == true)
        });
        until("each knows the other one", || {
            gate.ask("pair")
                .is_some_and(|pair| pair["second_chance_by"] == serde_json::json!(["lan"]))
        });
    }

    let (downloads, running) = Downloads::start(&lab, SNAT_VIP, file);
    let mut lines = connect(&lab);
    all_echo(&mut lines, b'1');
    downloads.all_at(0);
    let started = [&first, &second].map(|gate| gate.total("started"));
    assert_eq!(started.iter().sum::<u64>(), u64::from(CLIENTS));
    assert!(started.iter().all(|&count| count > 0), "{started:?}");
    assert_eq!([&first, &second].map(second_chances), [0, 0]);

    // All clients come to the other gate, which has heard of some of them, and of others not yet.
    lab.spread_over(SNAT_VIP, &[GATES[1], GATES[0]]);
    downloads.go_on();
    all_echo(&mut lines, b'2');
    downloads.all_at(1);
    let sent_on = [&first, &second].map(second_chances);
    assert!(sent_on.iter().all(|&count| count > 40), "{sent_on:?}");

    // A gate dies; its address of the pool goes to the other one.
    until("the other gate knows all", || second.total("synced") == started[0]);
    first.process.signal("KILL");
    first.process.0.wait().expect("it was killed");
    lab.must("g1", "ip link set eth0 down");
    lab.spread_over(SNAT_VIP, &[GATES[1]]);
    give(&lab, "g2", POOL[0]);
    downloads.go_on();
    all_echo(&mut lines, b'3');
    assert_eq!(running.join().expect("they end"), u64::from(CLIENTS), "every file is whole");
    assert_eq!(second.total("started"), started[1], "a download was begun anew");
    let pair = second.ask("pair").expect("the pair");
    assert!(pair["addresses"].as_array().expect("addresses").iter().all(|row| row["held"] == true));
}

/// A gate that goes takes only its own clients along.
#[test]
fn clients_of_other_gates_stay_there_with_resilient_hashing() {
    let (lab, file) = fleet(&["g1", "g2", "g3"]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let all = ["10.77.0.2", "10.77.0.3", "10.77.0.4"];
    let gates = [0, 1, 2].map(|n| {
        let name = ["g1", "g2", "g3"][n];
        let text = head(&lab, name, all[n])
            + &format!(
                "[[service]]\nname = \"boot\"\nprotocol = \"tftp\"\nvip = \"{SNAT_VIP}\"\n\
                 snat = [\"10.77.0.{}\"]\n{}",
                111 + n,
                ["s1", "s2"].map(backend).concat()
            );
        Gate::configured(&lab, name, &text)
    });
    lab.spread_resiliently_over(SNAT_VIP, &all);
    let (downloads, running) = Downloads::start(&lab, SNAT_VIP, file);
    downloads.all_at(0);
    let started = gates.each_ref().map(|gate| gate.total("started"));
    assert!(started.iter().all(|&count| count > 0), "{started:?}");
    lab.must("router", "ip nexthop del id 1");
    downloads.go_on();
    downloads.go_on();
    let whole = running.join().expect("they end");
    assert_eq!(whole, started[1] + started[2], "{started:?}");
    let of_others = [&gates[1], &gates[2]].map(|gate| gate.total("completed"));
    assert_eq!(of_others, [started[1], started[2]]);
}
