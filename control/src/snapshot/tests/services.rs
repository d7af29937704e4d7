//! Services on the VIPs, their ports and times.

use super::*;

#[test]
fn interfaces_get_their_macs() {
    let snapshot = snapshot(vec![]);
    assert_eq!(snapshot.interfaces.len(), 1);
    assert_eq!((snapshot.interfaces[0].mac, snapshot.interfaces[0].mtu), (MAC, 9000));
}

#[test]
fn services_on_one_vip_share_it() {
    let snapshot = snapshot(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1)]),
        service(OTHER_VIP, 69, config::Mode::Dsr, &[(31, 1)]),
        service(VIP, 1069, config::Mode::Dsr, &[(32, 1)]),
    ]);
    let vips: Vec<_> = snapshot.vips.iter().map(|vip| (vip.address, &vip.udp)).collect();
    assert_eq!(
        vips,
        [
            (VIP, &vec![(69, ServiceId(0)), (1069, ServiceId(2))]),
            (OTHER_VIP, &vec![(69, ServiceId(1))])
        ]
    );
}

#[test]
fn times_are_in_ticks() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    let length = Duration::from_secs(100);
    written.persistence = Some(config::Persistence { length, prefixes: [32, 128] });
    let snapshot = snapshot(vec![written]);
    assert_eq!(snapshot.services[0].idle_timeout, 600);
    assert_eq!(snapshot.services[0].persistence, Some(Persistence::of_clients(1000)));
}

#[test]
fn each_protocol_has_its_ports_of_a_vip() {
    let snapshot = of(parsed(&of_all_protocols()));
    let vip = &snapshot.vips[0];
    assert_eq!(
        (&vip.tcp[..], &vip.udp[..]),
        (&[(21, ServiceId(0)), (22, ServiceId(1))][..], &[(53, ServiceId(2))][..])
    );
    assert_eq!(vip.any, Some(ServiceId(3)));
    let ftp = Protocol::Ftp(engine::snapshot::Ftp { data_port: Some(20), foreign_data: false });
    let protocols: Vec<_> = snapshot.services.iter().map(|service| service.protocol).collect();
    assert_eq!(protocols, [ftp, Protocol::Tcp, Protocol::Udp, Protocol::Any]);
    let times = snapshot.services.iter().map(|one| (one.idle_timeout, one.transitory_timeout));
    assert_eq!(times.take(2).collect::<Vec<_>>(), [(74_400, 90), (74_400, 2400)]);
    let owned =
        |port| vip.passive.iter().find(|(ports, _)| ports.contains(&port)).map(|one| one.1.0);
    assert_eq!([50_000, 50_099, 50_100, 50_199].map(owned), [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!([49_999, 50_200].map(owned), [None; 2]);
}
