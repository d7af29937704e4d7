use super::*;
use engine::snapshot::BackendState;
use engine::types::id::{InterfaceId, ServerId, ServiceId};
use engine::types::next_hop::NextHop;
use std::net::IpAddr;
use wire::ethernet::Mac;

const LENGTH: u32 = 300;

/// The time when a backend came back, by its states at these times.
fn back(seen: &[(u32, bool, BackendState)]) -> Option<u32> {
    let mut life = Life::new(Tick(seen[0].0));
    for &(now, resolved, state) in seen {
        let made = snapshot::Backend {
            address: IpAddr::from([10, 0, 0, 1]),
            aliases: vec![],
            service: ServiceId(0),
            server: ServerId(0),
            hop: resolved.then_some(NextHop { mac: Mac([2; 6]), interface: InterfaceId(0) }),
            state,
            cap: None,
            slow_start: None,
        };
        life.goes_on(&made, Tick(now), LENGTH);
    }
    life.back.map(|since| since.0)
}

#[test]
fn who_was_there_from_the_start_has_not_come_back() {
    use BackendState::*;
    assert_eq!(back(&[(5, true, Active)]), None);
    assert_eq!(back(&[(5, false, Active), (20, true, Active)]), None, "resolved");
    assert_eq!(back(&[(5, true, Active), (20, true, Suspect), (30, true, Active)]), None);
    assert_eq!(back(&[(5, true, Active), (20, true, Draining), (30, true, Active)]), None);
}

#[test]
fn who_was_down_has() {
    use BackendState::*;
    assert_eq!(back(&[(5, true, Active), (20, true, Down), (30, true, Active)]), Some(30));
    assert_eq!(back(&[(5, true, Active), (20, false, Active), (30, true, Suspect)]), Some(30));
    let drained = [(5, true, Active), (20, true, Down), (30, true, Draining), (40, true, Active)];
    assert_eq!(back(&drained), Some(40));
    // Off when the gate was started, and long after.
    assert_eq!(back(&[(5, false, Active), (5 + LENGTH, true, Active)]), Some(5 + LENGTH));
}

#[test]
fn who_came_back_long_ago_is_warm() {
    use BackendState::*;
    let came = [(5, true, Active), (20, true, Down), (30, true, Active)];
    let later = |now| back(&[&came[..], &[(now, true, Active)]].concat());
    assert_eq!(later(30 + LENGTH - 1), Some(30));
    assert_eq!(later(30 + LENGTH), None);
}
