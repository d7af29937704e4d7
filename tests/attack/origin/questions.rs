//! Neighbour requests in the name of a client that is elsewhere: the kernel makes an entry, which is ignored.

use super::*;

const DISTANT: [u8; 4] = [192, 0, 2, 9];
const NEAR: [u8; 4] = [10, 78, 0, 10];
const AT_CLIENTS: [u8; 4] = [10, 78, 0, 100];
const AT_SERVERS: [u8; 4] = [10, 77, 0, 1];

/// Sends ARP requests from `asker` for `wanted`, often enough for the gate to see the kernel's entry.
fn ask(attacker: &Attacker, asker: [u8; 4], wanted: [u8; 4]) {
    let head = [&[0xff; 6][..], &MAC.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    let question = [&head[..], &MAC.0, &asker, &[0; 6], &wanted, &[0; 18]].concat();
    for _ in 0..3 {
        attacker.send(question.clone());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The client is behind a router, 10.78.0.10, which is the same machine.
fn behind_a_router(lab: &Lab, link: &str) {
    lab.must("client", "sysctl -qw net.ipv4.conf.all.arp_announce=2");
    lab.must("client", "ip address add 192.0.2.9/32 dev lo");
    lab.must("client", &format!("ip route add {NAT_VIP}/32 dev {link} src 192.0.2.9"));
    lab.must("gate", "ip route add 192.0.2.0/24 via 10.78.0.10 dev clients");
}

/// Segments with guessed numbers from the asker's hardware address do not get a running connection's answers.
fn is_not_moved(attacker: &Attacker, mut ends: Ends) {
    let client = ends.client.local_addr().expect("it has one");
    for segment in blind(attacker, client, at(NAT_VIP, PORT)).into_iter().take(4) {
        attacker.send(segment);
    }
    std::thread::sleep(Duration::from_millis(100));
    ends.server.write_all(b"hello").expect("it is sent");
    ends.client.read_exact(&mut [0; 5]).expect("the client hears it");
    assert!(!attacker.has_heard(b"hello"), "the attacker has not");
    ends.talk();
}

#[test]
fn one_in_the_name_of_a_distant_client_moves_nothing() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, tcp());
    let attacker = Attacker::among_clients(&lab);
    behind_a_router(&lab, "br1");
    let mut ends = Ends::connect(&lab, NAT_VIP);
    ends.talk();
    ask(&attacker, DISTANT, AT_CLIENTS);
    is_not_moved(&attacker, ends);
    Ends::connect(&lab, NAT_VIP).talk();
    daemon.finish();
}

#[test]
fn nor_does_one_on_the_servers_link() {
    for (asker, is_distant) in [(NEAR, false), (DISTANT, true)] {
        let lab = Lab::new();
        let daemon = Daemon::start(&lab, tcp());
        let attacker = Attacker::among_servers(&lab);
        if is_distant {
            behind_a_router(&lab, "c0");
        }
        let mut ends = Ends::connect(&lab, NAT_VIP);
        ends.talk();
        ask(&attacker, asker, AT_SERVERS);
        is_not_moved(&attacker, ends);
        daemon.finish();
    }
}
