//! ICMP errors as real kernels send and read them.

use crate::daemon::{Daemon, Setup};
use crate::ipv6::{CROSSING, OLD_CLIENTS, OLD_FARM, dual};
use crate::peers::{self, Client};
use kit::lab::{Lab, VIPS, VIPS_V6, uninterrupted, until};
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

/// Asks a VIP whose servers do not listen; returns the error that the client's kernel reports.
fn refused(lab: &Lab, vip: &str) -> Option<ErrorKind> {
    let vip: IpAddr = vip.parse().expect("an address");
    let asked = lab.inside("client", move || {
        let any: IpAddr = if vip.is_ipv6() { [0; 16].into() } else { [0; 4].into() };
        let socket = UdpSocket::bind((any, 0)).expect("a socket");
        socket.connect((vip, 69)).expect("a way");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        socket.send(b"\0\x01boot.img\0octet\0").expect("it is sent");
        uninterrupted(|| socket.recv(&mut [0; 600])).err().map(|error| error.kind())
    });
    asked.join().expect("it ends")
}

#[test]
fn a_client_hears_at_once_that_no_server_listens() {
    let lab = Lab::new().with_ipv6();
    let setup = Setup { ipv6: true, service: "failover = false", ..Setup::default() };
    let text = setup.text(&lab).replace("mode = \"dsr\"\nfailover = false", "mode = \"dsr\"");
    let daemon = Daemon::with(&lab, &text);
    for vip in [VIPS[0], VIPS_V6[0]] {
        assert_eq!(refused(&lab, vip), Some(ErrorKind::ConnectionRefused), "{vip}");
    }
    until("the transfers have ended", || daemon.total("nat", "failed") == 2);
    daemon.finish();
}

/// Also with servers of the other address family.
#[test]
fn a_client_of_a_pool_hears_it_too() {
    let lab = Lab::new().with_ipv6();
    let text = dual().text(&lab) + CROSSING;
    let text = text.replace("snat = ", "failover = false\nsnat = ");
    let daemon = Daemon::with(&lab, &text);
    for (service, vip) in [("snat", VIPS[1]), ("old-farm", OLD_FARM), ("old-clients", OLD_CLIENTS)]
    {
        assert_eq!(refused(&lab, vip), Some(ErrorKind::ConnectionRefused), "{service}");
        until("the transfer has ended", || daemon.total(service, "failed") == 1);
    }
    daemon.finish();
}

/// A server's kernel discovers the path MTU to a client.
#[test]
fn a_server_finds_out_what_a_narrow_way_takes() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 200_000)]);
    // tftpd-hpa over IPv6 ends its transfer at such an error; dnsmasq leaves it to the kernel.
    let _servers = [peers::dnsmasq(&lab, "s1", ""), peers::dnsmasq(&lab, "s2", "")];
    // Clients are behind a link with MTU 1300, servers are not.
    lab.must("client", "ip link set c0 mtu 1300");
    lab.must("gate", "ip link set dev0 mtu 1300");
    let text = Setup { driver: "net_af_xdp", ..dual() }.text(&lab);
    let text = text.replacen("name = \"clients\"\n", "name = \"clients\"\nmtu = 1300\n", 1);
    let daemon = Daemon::with(&lab, &text);
    for vip in [VIPS[0], VIPS_V6[0]] {
        let before = daemon.stat("packets", "answered");
        Client::Curl.get(&lab, vip, "image", Some(1428));
        assert!(daemon.stat("packets", "answered") > before, "{vip}: nobody was told");
    }
    daemon.finish();
}
