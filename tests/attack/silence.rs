//! Attempts to make a working backend look silent.

use crate::attacker::Attacker;
use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, Client};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP};
use kit::packet::Packet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::scope;

/// Nonexistent clients. At 27 packets per second, each repeats its request every 0.74 s.
const CLIENTS: u8 = 20;
const TIMES: usize = 8;
const A_SECOND: u32 = 27;

/// Requests from these clients, in turn.
fn requests(attacker: &Attacker, vip: &str, net: u8) -> Vec<Packet> {
    let vip: IpAddr = vip.parse().expect("an address");
    let one = |n| {
        let from = SocketAddr::from((Ipv4Addr::new(10, net, 9, n), 2070));
        attacker.datagram(from, SocketAddr::new(vip, 69), b"\0\x01file\0octet\0")
    };
    (1..=CLIENTS).map(one).cycle().take(TIMES * usize::from(CLIENTS)).collect()
}

/// A client fetches files during the attack, and every backend stays up.
fn all_stay_up(
    lab: &Lab,
    daemon: &Daemon,
    attacker: &Attacker,
    vip: &str,
    frames: impl Iterator<Item = Vec<u8>> + Send,
) {
    scope(|scope| {
        let attack = scope.spawn(move || attacker.flood(frames, A_SECOND));
        while !attack.is_finished() {
            Client::Curl.get(lab, vip, "file", None);
            let backends = daemon.ask("backends").expect("backends");
            let states: Vec<_> = rows(&backends).map(|row| row["state"].clone()).collect();
            assert!(states.iter().all(|state| state == "up"), "{vip}: {states:?}");
        }
    });
}

/// Damaged requests get no answer.
#[test]
fn requests_with_a_wrong_checksum() {
    let lab = Lab::new();
    peers::files(&lab, &[("file", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let damaged = |packet: Packet| {
        let mut frame = packet.bytes();
        frame[14 + 20 + 6] ^= 0x10;
        frame
    };
    let clients = Attacker::among_clients(&lab);
    let servers = Attacker::among_servers(&lab);
    for (attacker, vip, net) in
        [(&clients, NAT_VIP, 78), (&servers, SNAT_VIP, 77), (&servers, DSR_VIP, 77)]
    {
        let before = daemon.stat("drops", "bad-udp");
        let frames = requests(attacker, vip, net).into_iter().map(damaged);
        let sent = frames.len() as u64;
        all_stay_up(&lab, &daemon, attacker, vip, frames);
        assert_eq!(daemon.stat("drops", "bad-udp") - before, sent, "{vip}");
    }
    daemon.finish();
}

/// Nonexistent clients on the servers' link: their answers bypass the gate.
#[test]
fn requests_whose_answers_go_another_way() {
    let lab = Lab::new();
    peers::files(&lab, &[("file", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let clients = Attacker::among_clients(&lab);
    let servers = Attacker::among_servers(&lab);
    for (attacker, vip) in [(&clients, NAT_VIP), (&servers, DSR_VIP)] {
        let frames = requests(attacker, vip, 77).into_iter().map(Vec::from);
        all_stay_up(&lab, &daemon, attacker, vip, frames);
    }
    for service in ["nat", "dsr"] {
        assert!(daemon.total(service, "asked_elsewhere") > 0, "{service}");
        assert_eq!(daemon.total(service, "silences"), 0, "{service}");
    }
    daemon.finish();
}
