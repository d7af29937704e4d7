//! Owners of addresses.

use super::*;
use engine::types::id::{ServerId, SnatId};

#[test]
fn pools_share_their_addresses() {
    let second = server(102);
    let config = config(vec![
        service(VIP, 69, snat(&[SNAT]), &[(30, 1)]),
        service(OTHER_VIP, 69, snat(&[second, SNAT]), &[(31, 1)]),
    ]);
    let snapshot = first(config.clone(), &holding(&[SNAT, second]));
    let addresses: Vec<_> = snapshot.snat.iter().map(|one| one.address).collect();
    assert_eq!(addresses, [SNAT, second]);
    assert_eq!(snapshot.services[0].mode, Mode::Snat(vec![SnatId(0)]));
    assert_eq!(snapshot.services[1].mode, Mode::Snat(vec![SnatId(1), SnatId(0)]));
    assert!([SnatId(0), SnatId(1)].iter().all(|&id| snapshot.is_snat_live(id)));

    // What the kernel does not hold is left out, and keeps its ports.
    let snapshot = first(config, &holding(&[second]));
    assert_eq!(snapshot.services[0].mode, Mode::Snat(vec![]));
    assert_eq!(snapshot.services[1].mode, Mode::Snat(vec![SnatId(1)]));
    assert_eq!(snapshot.addresses.get(SNAT), Some(Owner::Down));
    assert_eq!(snapshot.snat.len(), 2);
}

#[test]
fn backends_that_answer_through_us_own_their_address() {
    let config = config(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1)]),
        service(VIP, 70, config::Mode::Dsr, &[(31, 1)]),
        service(VIP, 71, snat(&[SNAT]), &[(32, 1)]),
    ]);
    let snapshot = first(config, &holding(&[SNAT]));
    let owner = |address| snapshot.addresses.get(address);
    assert_eq!(owner(server(30)), Some(Owner::Routed(ServerId(0))));
    assert_eq!(owner(server(31)), None);
    assert_eq!(owner(server(32)), Some(Owner::Answering(ServerId(2))));
    assert_eq!(owner(VIP), Some(Owner::Down));
    assert_eq!(owner(SNAT), Some(Owner::Snat(SnatId(0))));
}

#[test]
fn our_addresses_come_before_a_backends() {
    let config = config(vec![
        service(VIP, 69, config::Mode::Nat, &[(200, 1), (101, 1)]),
        service(OTHER_VIP, 69, snat(&[SNAT]), &[(30, 1)]),
    ]);
    let snapshot = first(config, &holding(&[SNAT]));
    assert_eq!(snapshot.addresses.get(OTHER_VIP), Some(Owner::Down));
    assert_eq!(snapshot.addresses.get(SNAT), Some(Owner::Snat(SnatId(0))));
}

#[test]
fn everybody_s_addresses_are_for_the_vip_that_says_so() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    written.broadcast = true;
    let mut config = config(vec![written]);
    config.interfaces[0].addresses =
        ["10.0.0.2/24", "10.9.0.0/31"].map(|net| net.parse().unwrap()).into();
    let snapshot = of(config);
    assert_eq!(snapshot.interfaces[0].broadcast, Some(VipId(0)));
    for address in ["255.255.255.255", "10.0.0.255"] {
        let owner = snapshot.addresses.get(address.parse().unwrap());
        assert_eq!(owner, Some(Owner::Everybody), "{address}");
    }
    assert_eq!(snapshot.addresses.get("10.9.0.1".parse().unwrap()), None, "the other end");
}

#[test]
fn an_alias_is_its_servers_where_answers_come_through_us() {
    let alias = server(40);
    let owner = |mode| {
        let mut written = service(VIP, 69, mode, &[(30, 1), (31, 1)]);
        written.backends[1].aliases = vec![alias];
        let snapshot = snapshot(vec![written]);
        assert_eq!(snapshot.backends[1].aliases, [alias]);
        snapshot.addresses.get(alias)
    };
    assert_eq!(owner(config::Mode::Nat), Some(Owner::Routed(ServerId(1))));
    let pool = vec![Held { address: SNAT, interface: 0 }];
    assert_eq!(owner(config::Mode::Snat(pool)), Some(Owner::Answering(ServerId(1))));
}

#[test]
fn an_interface_has_what_the_kernel_holds_there_at_its_hardware_address_or_a_virtual_one() {
    const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 0x33]);
    let config = config(vec![service(VIP, 69, snat(&[SNAT]), &[(30, 1)])]);
    let held = [(VIP, 0, Some(VIRTUAL)), (SNAT, 0, None), (OTHER_VIP, 1, None)];
    let held = held.map(|(address, interface, mac)| (Held { address, interface }, mac));
    let virtual_macs = HashSet::from([(0, VIRTUAL), (1, MAC)]);
    let view = KernelView { held: held.into(), virtual_macs, ..KernelView::default() };
    let snapshot = first(config, &view);
    assert_eq!(snapshot.interfaces[0].held, HashMap::from([(VIP, VIRTUAL), (SNAT, MAC)]));
    assert_eq!(snapshot.interfaces[0].virtual_macs, [VIRTUAL]);
    assert!(snapshot.is_live(VipId(0)) && snapshot.is_snat_live(SnatId(0)));
}
