//! Several VLANs on one link: clients in some, servers in others.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, CLIENTS, Client};
use crate::trunk::{CABLE, TRUNK, switch};
use crate::wiring::Wiring;
use kit::lab::Lab;

/// VLANs of the gate's clients and servers.
struct Layout {
    clients: &'static [u16],
    servers: &'static [u16],
    /// MTU; on af_packet, two tags take eight bytes of it.
    mtu: u16,
}

const PLAIN: Layout = Layout { clients: &[], servers: &[200], mtu: 1500 };
const TAGGED: Layout = Layout { clients: &[100], ..PLAIN };
const WITH_A_PROVIDER_S: Layout = Layout { clients: &[100], servers: &[7, 200], mtu: 1492 };

const SIZES: [(&str, usize); 2] = [("small", 100), ("image", 100_000)];

impl Layout {
    /// The hosts in their VLANs, behind one trunk.
    fn lab(&self) -> (Lab, Wiring) {
        let lab = Lab::new();
        let hosts = [("client", self.clients), ("s1", self.servers), ("s2", self.servers)];
        let switch = switch(&lab, &hosts);
        lab.must("client", &format!("ip address add 10.79.0.10/16 dev {CABLE}"));
        lab.must("client", &format!("sysctl -q -w net.ipv6.conf.{CABLE}.disable_ipv6=0"));
        lab.must("client", &format!("ip address add fd00:79::10/64 dev {CABLE} nodad"));
        for (name, n) in [("s1", 0), ("s2", 1)] {
            lab.must(name, &format!("ip address add 10.80.0.3{n}/16 dev {CABLE}"));
            lab.must(name, "ip route replace default via 10.80.0.1");
            lab.must(name, &format!("sysctl -q -w net.ipv6.conf.{CABLE}.disable_ipv6=0"));
            lab.must(name, &format!("ip address add fd00:80::3{n}/64 dev {CABLE} nodad"));
            lab.must(name, "ip route replace default via fd00:80::1");
        }
        for (name, _) in hosts {
            lab.must(name, &format!("ip link set {CABLE} mtu {}", self.mtu));
        }
        (lab, switch)
    }

    fn text(&self, lab: &Lab) -> String {
        let dataplane = Setup::default().text(lab);
        let dataplane = dataplane.split("[[interface]]").next().expect("a beginning").to_owned();
        let interface = |name: &str, vlans: &[u16], addresses: &str| {
            let vlan = if vlans.is_empty() { String::new() } else { format!("vlan = {vlans:?}\n") };
            format!(
                "[[interface]]\nname = \"{name}\"\ndevice = \"net_af_packet1,iface={TRUNK}\"\n\
                 mtu = {}\naddress = [{addresses}]\n{vlan}",
                self.mtu
            )
        };
        let service = |name: &str, vip: &str, mode: &str, net: &str| {
            let backends = [0, 1].map(|n| {
                format!("[[service.backend]]\nname = \"s{n}\"\naddress = \"{net}3{n}\"\n")
            });
            format!(
                "[[service]]\nname = \"{name}\"\nprotocol = \"tftp\"\nvip = \"{vip}\"\n{mode}\n{}",
                backends.concat()
            )
        };
        [
            dataplane,
            interface("clients", self.clients, "\"10.79.0.1/16\", \"fd00:79::1/64\""),
            interface("servers", self.servers, "\"10.80.0.1/16\", \"fd00:80::1/64\""),
            service("nat", "10.79.0.100", "", "10.80.0."),
            service("snat", "10.79.0.101", "snat = [\"10.80.0.101\"]", "10.80.0."),
            service("crossing", "fd00:79::102", "snat = [\"10.80.0.102\"]", "10.80.0."),
            service("v6", "fd00:79::103", "", "fd00:80::"),
        ]
        .concat()
    }
}

fn carries(layout: &Layout) {
    let (lab, _switch) = layout.lab();
    peers::files(&lab, &SIZES);
    let _servers = [
        ("s1", "10.80.0.30"),
        ("s2", "10.80.0.31"),
        ("s1", "[fd00:80::30]"),
        ("s2", "[fd00:80::31]"),
    ]
    .map(|(name, address)| peers::tftpd_hpa_at(&lab, name, address));
    let daemon = Daemon::with(&lab, &layout.text(&lab));
    for (vip, header) in
        [("10.79.0.100", 20), ("10.79.0.101", 20), ("fd00:79::102", 40), ("fd00:79::103", 40)]
    {
        lab.must("client", &format!("ping -c 1 -W 2 {vip}"));
        for client in CLIENTS {
            for (file, _) in SIZES {
                client.get(&lab, vip, file, None);
            }
            client.put(&lab, vip, "image", None);
        }
        // The largest block of one packet.
        let most = layout.mtu - header - 8 - 4;
        Client::Curl.get(&lab, vip, "image", Some(most));
        Client::Atftp.put(&lab, vip, "image", Some(most));
    }
    // Fragmented blocks; on af_packet the kernel reassembles those of IPv4.
    for client in [Client::Curl, Client::Atftp] {
        client.get(&lab, "fd00:79::103", "image", Some(8192));
        client.put(&lab, "fd00:79::103", "image", Some(8192));
    }
    // Packets for no service are routed by the kernel, from VLAN to VLAN.
    lab.must("client", "ip route add 10.80.0.0/16 via 10.79.0.1");
    lab.must("client", "ping -c 1 -W 2 10.80.0.30");
    for (service, count) in [("nat", 14), ("snat", 14), ("crossing", 14), ("v6", 18)] {
        daemon.completes(service, count);
    }
    let status = daemon.ask("status").expect("status");
    assert_eq!(status["interfaces"][1]["vlans"], serde_json::json!(layout.servers));
    daemon.finish();
}

#[test]
fn two_tagged_interfaces_on_one_device() {
    carries(&TAGGED);
}

#[test]
fn a_tagged_interface_beside_an_untagged_one() {
    carries(&PLAIN);
}

#[test]
fn a_provider_s_tag_around_the_customer_s() {
    carries(&WITH_A_PROVIDER_S);
}

#[test]
fn frames_of_other_vlans_do_not_get_in() {
    let layout = TAGGED;
    let lab = Lab::new();
    // The client is in an unexpected VLAN.
    let _switch = switch(&lab, &[("client", &[300]), ("s1", &[]), ("s2", &[200])]);
    lab.must("client", &format!("ip address add 10.79.0.10/16 dev {CABLE}"));
    lab.must("s1", &format!("ip address add 10.80.0.30/16 dev {CABLE}"));
    let daemon = Daemon::launch(&lab, &layout.text(&lab));
    kit::lab::until("it answers", || daemon.ask("status").is_some());
    for (name, gate) in [("client", "10.79.0.1"), ("s1", "10.80.0.1")] {
        let before = daemon.stat("drops", "foreign-vlan");
        assert!(!lab.run(name, &format!("ping -c 1 -W 1 {gate}")).status.success());
        assert!(daemon.stat("drops", "foreign-vlan") > before);
    }
    daemon.finish();
}
