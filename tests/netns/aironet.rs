//! A Cisco Aironet access point fetches its image: it broadcasts the request and every ACK to 255.255.255.255
//! (<https://fragmentationneeded.net>, 2010). tftpd-hpa cannot serve it directly, but can behind Tidegate.

use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, uninterrupted};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

const IMAGE: &str = "c1200-k9w7-tar.default";
const SIZE: usize = 20_000;

/// The access point at this client address: the part of its image that it gets in time.
fn access_point(lab: &Lab, address: Ipv4Addr, everybody: Ipv4Addr) -> JoinHandle<Vec<u8>> {
    lab.inside("client", move || {
        let socket = UdpSocket::bind((address, 0)).expect("a socket");
        socket.set_broadcast(true).expect("it may");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        let request = [b"\0\x01", IMAGE.as_bytes(), b"\0octet\0"].concat();
        let (mut image, mut server, mut packet) = (vec![], None, [0; 600]);
        let mut received = (0..3).find_map(|_| {
            socket.send_to(&request, (everybody, 69)).expect("it is sent");
            uninterrupted(|| socket.recv_from(&mut packet)).ok()
        });
        while let Some((len, from)) = received {
            let from: SocketAddr = *server.get_or_insert(from);
            let block = (image.len() / 512 + 1) as u16;
            if packet[..4] == [&[0, 3], &block.to_be_bytes()[..]].concat()[..] {
                image.extend(&packet[4..len]);
            }
            let ack = [&[0, 4], &packet[2..4]].concat();
            socket.send_to(&ack, (everybody, from.port())).expect("it is sent");
            if len < 516 {
                break;
            }
            received = uninterrupted(|| socket.recv_from(&mut packet)).ok();
        }
        image
    })
}

/// The server gets the request, but not the ACKs: only the first block arrives.
#[test]
fn a_server_alone_can_not_serve_it() {
    let lab = Lab::new();
    peers::files(&lab, &[(IMAGE, SIZE)]);
    let _server = peers::tftpd_hpa_at(&lab, "s1", "0.0.0.0");
    lab.must("client", "ip route add 255.255.255.255 dev c1");
    let got = access_point(&lab, Ipv4Addr::new(10, 77, 0, 10), Ipv4Addr::BROADCAST);
    assert_eq!(got.join().expect("it ends").len(), 512);
}

#[test]
fn behind_tidegate_it_is_served() {
    let lab = Lab::new();
    peers::files(&lab, &[(IMAGE, SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let text = Setup::default().text(&lab);
    let on = |text: String, name: &str| {
        let name = format!("name = \"{name}\"\n");
        text.replacen(&name, &format!("{name}broadcast = true\n"), 1)
    };
    let daemon = Daemon::with(&lab, &on(on(text, "nat"), "snat"));
    let image = std::fs::read(lab.path("files").join(IMAGE)).expect("the image");
    for (net, cable, service) in [(78, "c0", "nat"), (77, "c1", "snat")] {
        lab.must("client", &format!("ip route replace 255.255.255.255 dev {cable}"));
        for everybody in [Ipv4Addr::BROADCAST, Ipv4Addr::new(10, net, 255, 255)] {
            let got = access_point(&lab, Ipv4Addr::new(10, net, 0, 10), everybody);
            assert!(got.join().expect("it ends") == image, "{service} {everybody}");
        }
        daemon.completes(service, 2);
    }
    daemon.finish();
}
