//! The kernel view in a snapshot.

use super::*;
use engine::types::id::InterfaceId;

#[test]
fn a_fixed_mac_is_a_hop_that_the_kernel_is_not_asked_for() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    written.backends[1].mac = Some(MAC);
    let hops: Vec<_> = snapshot(vec![written]).backends.iter().map(|b| b.hop).collect();
    assert_eq!(hops, [None, Some(NextHop { interface: InterfaceId(0), mac: MAC })]);
}

#[test]
fn the_view_makes_vips_live_and_gives_hops_and_changes_nothing_else() {
    let config = config(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]),
        service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 1)]),
    ]);
    let hop = NextHop { interface: InterfaceId(0), mac: Mac([2, 0, 0, 0, 0, 30]) };
    let hops = HashMap::from([(server(30), hop)]);
    let view = KernelView { hops, ..holding(&[OTHER_VIP]) };
    let snapshot = first(config.clone(), &view);
    assert_eq!([0, 1].map(|vip| snapshot.is_live(VipId(vip))), [false, true]);
    let hops: Vec<_> = snapshot.backends.iter().map(|backend| backend.hop).collect();
    assert_eq!(hops, [Some(hop), None, Some(hop)]);
    let mut before = of(config);
    assert_eq!(before.groups, snapshot.groups);
    before.set_live(VipId(1), true);
    assert_eq!(before.addresses, snapshot.addresses);
}

#[test]
fn routes_are_the_kernel_s() {
    let route = |to: &str, interface, mac| {
        let to = to.parse().expect("a network");
        Route { to, gateway: Some(server(1)), interface, mac }
    };
    let seen = |mac| {
        let far =
            [route("10.9.0.0/16", Some(InterfaceId(0)), mac), route("10.9.9.0/24", None, mac)];
        KernelView { routes: far.into(), ..KernelView::default() }
    };
    let mut carry_over = CarryOver::default();
    let mut hops = |view: &KernelView| {
        let snapshot = next(parsed(&of_all_protocols()), view, &mut carry_over, 0);
        [[10, 9, 1, 1], [10, 9, 9, 1], [10, 8, 1, 1]].map(|to| snapshot.routes.hop(to.into()))
    };
    let (known, hop) = (seen(Some(MAC)), NextHop { interface: InterfaceId(0), mac: MAC });
    assert_eq!(hops(&seen(None)), [None; 3]);
    assert_eq!(hops(&known), [Some(hop), None, None], "by none of ours is none");
    assert_eq!(hops(&known), [Some(hop), None, None]);
    assert_eq!(hops(&KernelView::default()), [None; 3]);
}

/// Two tags count within the MTU; a single one does not.
#[test]
fn a_device_that_is_narrow_takes_smaller_packets() {
    let mtu = |vlans, narrow: &[(&str, u16)]| {
        let mut config = config(vec![]);
        let arguments = "iface=eth1".into();
        config.interfaces[0].device = Device::Virtual { name: "net_af_xdp0".into(), arguments };
        config.interfaces[0].vlans = vlans;
        let narrow = narrow.iter().map(|&(name, mtu)| (name.to_owned(), mtu)).collect();
        first(config, &KernelView { narrow, ..KernelView::default() }).interfaces[0].mtu
    };
    let [none, one, two] = [&[][..], &[7], &[7, 8]].map(|ids| Vlans::new(ids).expect("few"));
    assert_eq!(mtu(none, &[("eth2", 1400)]), 9000);
    assert_eq!(mtu(none, &[("eth1", 9004)]), 9000);
    assert_eq!(mtu(none, &[("eth1", 1400)]), 1400);
    assert_eq!(mtu(one, &[("eth1", 1400)]), 1400);
    assert_eq!(mtu(two, &[("eth1", 1400)]), 1392);
}
