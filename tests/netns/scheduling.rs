//! Selection of servers, with real servers and slow clients.

use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, Client};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// A lab with further client addresses.
fn lab(files: &[(&str, usize)]) -> Lab {
    let lab = Lab::new();
    peers::files(&lab, files);
    for n in 1..=9 {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
    }
    lab
}

fn client(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 78, 2, n), 0)
}

fn vip() -> SocketAddrV4 {
    SocketAddrV4::new(NAT_VIP.parse().expect("an address"), 69)
}

/// A client that has the first block of a file and asks for no more.
struct Slow {
    socket: UdpSocket,
    server: Option<SocketAddr>,
}

impl Slow {
    fn new(lab: &Lab, n: u8) -> Slow {
        let socket = lab.inside("client", move || UdpSocket::bind(client(n)).expect("a socket"));
        let socket = socket.join().expect("it ends");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        Slow { socket, server: None }
    }

    fn asks(&mut self) {
        self.socket.send_to(b"\0\x01image\0octet\0", vip()).expect("a datagram");
    }

    /// The request is answered, and the client acknowledges the first block, so that it is assured.
    fn begins(mut self) -> Slow {
        until("a server answers", || {
            self.asks();
            self.server = self.socket.recv_from(&mut [0; 600]).ok().map(|(_, server)| server);
            self.server.is_some()
        });
        let server = self.server.expect("it has one");
        self.socket.send_to(b"\0\x04\0\x01", server).expect("a datagram");
        self
    }

    fn gives_up(self) {
        let server = self.server.expect("it has one");
        self.socket.send_to(b"\0\x05\0\0enough\0", server).expect("a datagram");
    }

    fn address(&self) -> String {
        self.socket.local_addr().expect("it is bound").to_string()
    }
}

/// Current transfers by server.
fn running(daemon: &Daemon) -> Vec<u64> {
    let backends = daemon.ask("backends").expect("backends");
    let nat = rows(&backends).filter(|row| row["service"] == "nat");
    nat.map(|row| row["transfers"].as_u64().expect("a number")).collect()
}

#[test]
fn a_file_comes_from_its_server_for_every_client_and_after_a_restart() {
    let files: Vec<_> = (0..6).map(|n| format!("image-{n}")).collect();
    let sizes: Vec<_> = files.iter().map(|file| (file.as_str(), 5000)).collect();
    let lab = lab(&sizes);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let setup = || Setup { service: "scheduler = \"file-hash\"", ..Setup::default() };
    let mut servers = vec![];
    for _ in 0..2 {
        let daemon = Daemon::start(&lab, setup());
        let server_of = |file: &str, n: u8| {
            let before = daemon.by_backend("nat", "started");
            let name = file.to_owned();
            let get =
                lab.inside("client", move || fetch(client(n), vip(), &name, Habits::default()));
            let original = std::fs::read(lab.path("files").join(file)).expect("the file");
            assert!(get.join().expect("it ends") == Ok(original), "{file}");
            let after = daemon.by_backend("nat", "started");
            after.iter().zip(before).position(|(&after, before)| after > before)
        };
        for file in &files {
            let all: Vec<_> = (1..=3).map(|n| server_of(file, n)).collect();
            assert!(all.iter().all(|server| *server == all[0]), "{file}: {all:?}");
            servers.push(all[0]);
        }
        daemon.finish();
    }
    let (before, after) = servers.split_at(files.len());
    assert_eq!(before, after);
    assert!(before.contains(&Some(0)) && before.contains(&Some(1)), "{before:?}");
}

/// dnsmasq ignores requests beyond its limit: all answered ones were within.
#[test]
fn a_server_gets_no_more_than_it_takes() {
    let lab = lab(&[("image", 50_000)]);
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, "--tftp-max=2"));
    let setup = Setup { first_backend: "max_transfers = 2", ..Setup::default() };
    let second = "address = \"10.77.0.31\"\n";
    let text = setup.text(&lab).replace(second, &format!("{second}max_transfers = 2\n"));
    let daemon = Daemon::with(&lab, &text);
    let mut slow: Vec<_> = (1..=4).map(|n| Slow::new(&lab, n).begins()).collect();
    assert_eq!(running(&daemon), [2, 2]);
    let mut late = Slow::new(&lab, 5);
    late.asks();
    until("there is no place", || daemon.stat("drops", "backends-full") == 1);
    slow.pop().expect("four").gives_up();
    until("there is one again", || running(&daemon).iter().sum::<u64>() == 3);
    let _late = late.begins();
    assert_eq!(running(&daemon), [2, 2]);
    assert_eq!(daemon.total("nat", "started"), 5);
    daemon.finish();
}

#[test]
fn the_server_with_the_fewest_transfers_gets_the_next() {
    let lab = lab(&[("image", 50_000)]);
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, ""));
    let service = "scheduler = \"least-transfers\"";
    let daemon = Daemon::start(&lab, Setup { service, ..Setup::default() });
    let slow: Vec<_> = (1..=6).map(|n| Slow::new(&lab, n).begins()).collect();
    assert_eq!(running(&daemon), [3, 3]);
    let flows = daemon.ask("flows").expect("flows");
    let at_first = |slow: &Slow| {
        let of = |row: &&serde_json::Value| row["client"] == slow.address();
        rows(&flows["flows"]).find(of).expect("its transfer")["backend"] == "s1"
    };
    let (done, _kept): (Vec<_>, Vec<_>) = slow.into_iter().partition(at_first);
    done.into_iter().for_each(Slow::gives_up);
    until("they have ended", || running(&daemon) == [0, 3]);
    let _more: Vec<_> = (7..=9).map(|n| Slow::new(&lab, n).begins()).collect();
    assert_eq!(running(&daemon), [3, 3]);
    assert_eq!(daemon.by_backend("nat", "started"), [6, 3]);
    daemon.finish();
}

/// The full share takes an hour; the first requests go elsewhere.
#[test]
fn a_server_that_comes_back_starts_slowly() {
    let lab = lab(&[("image", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let service = "slow_start = \"3600s\"";
    let daemon = Daemon::start(&lab, Setup { service, ..Setup::default() });
    let shares = || {
        let before = daemon.by_backend("snat", "started");
        (0..8).for_each(|_| Client::Curl.get(&lab, SNAT_VIP, "image", None));
        let after = daemon.by_backend("snat", "started");
        [after[0] - before[0], after[1] - before[1]]
    };
    let is = |state: &str| {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).any(|row| row["name"] == "s1" && row["state"] == state)
    };
    assert_eq!(shares(), [4, 4]);
    lab.must("s1", "ip link set eth0 down");
    until("it is gone", || is("unresolved"));
    lab.must("s1", "ip link set eth0 up");
    until("it is back", || is("up"));
    assert_eq!(shares(), [0, 8]);
    daemon.finish();
}
