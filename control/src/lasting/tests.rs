use super::*;
use engine::tables::{Duty, Hop};
use std::net::IpAddr;
use wire::ethernet::Mac;

const LENGTH: u32 = 300;

/// When it came back, by what is seen of it at these times.
fn back(seen: &[(u32, bool, Duty)]) -> Option<u32> {
    let mut life = Life::new(Tick(seen[0].0));
    for &(now, resolved, duty) in seen {
        let made = tables::Backend {
            address: IpAddr::from([10, 0, 0, 1]),
            aliases: vec![],
            service: 0,
            server: 0,
            hop: resolved.then_some(Hop { mac: Mac([2; 6]), interface: 0 }),
            duty,
            cap: None,
            slow_start: None,
        };
        life.goes_on(&made, Tick(now), LENGTH);
    }
    life.back.map(|since| since.0)
}

#[test]
fn who_was_there_from_the_start_has_not_come_back() {
    use Duty::*;
    assert_eq!(back(&[(5, true, Serving)]), None);
    assert_eq!(back(&[(5, false, Serving), (20, true, Serving)]), None, "resolved");
    assert_eq!(back(&[(5, true, Serving), (20, true, Suspected), (30, true, Serving)]), None);
    assert_eq!(back(&[(5, true, Serving), (20, true, Draining), (30, true, Serving)]), None);
}

#[test]
fn who_was_down_has() {
    use Duty::*;
    assert_eq!(back(&[(5, true, Serving), (20, true, Down), (30, true, Serving)]), Some(30));
    assert_eq!(back(&[(5, true, Serving), (20, false, Serving), (30, true, Suspected)]), Some(30));
    let drained = [(5, true, Serving), (20, true, Down), (30, true, Draining), (40, true, Serving)];
    assert_eq!(back(&drained), Some(40));
    // Off when the gate was started, and long after.
    assert_eq!(back(&[(5, false, Serving), (5 + LENGTH, true, Serving)]), Some(5 + LENGTH));
}

#[test]
fn who_came_back_long_ago_is_warm() {
    use Duty::*;
    let came = [(5, true, Serving), (20, true, Down), (30, true, Serving)];
    let later = |now| back(&[&came[..], &[(now, true, Serving)]].concat());
    assert_eq!(later(30 + LENGTH - 1), Some(30));
    assert_eq!(later(30 + LENGTH), None);
}
