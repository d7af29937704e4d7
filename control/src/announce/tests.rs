use super::*;
use crate::backend_status::{Check, PassiveHealth};
use crate::config::sample::{SOUND, parsed};

#[test]
fn a_backend_serves_while_it_gets_or_has_transfers_and_is_alive() {
    use {AdminState::*, CheckVerdict::*, PassiveHealth::*};
    let (yes, no, unknown) = (Some(true), Some(false), None);
    for (admin, verdict, passive, weight, is_reached, has_transfers, serves) in [
        (Enabled, Passed, Healthy, 1, yes, false, yes),
        (Enabled, Passed, Suspect, 1, yes, false, yes),
        (Enabled, Passed, Ejected, 1, yes, false, yes),
        (Enabled, Failed, Healthy, 1, yes, true, no),
        (Enabled, Pending, Healthy, 1, yes, true, unknown),
        (Enabled, Passed, Healthy, 1, no, true, no),
        (Enabled, Pending, Healthy, 1, no, true, no),
        (Enabled, Passed, Healthy, 1, unknown, false, unknown),
        (Enabled, Failed, Healthy, 1, unknown, false, no),
        (Enabled, Passed, Healthy, 0, yes, false, no),
        (Enabled, Passed, Healthy, 0, yes, true, yes),
        (Draining, Passed, Healthy, 1, yes, true, yes),
        (Draining, Passed, Healthy, 1, yes, false, no),
        (Draining, Failed, Healthy, 1, yes, true, no),
        (Disabled, Passed, Healthy, 1, yes, true, no),
    ] {
        let check = Check { verdict, ..Check::default() };
        let status = &BackendStatus { admin, check, passive, weight: None };
        let facts = BackendFacts { status, weight, is_checked: true, is_reached, has_transfers };
        assert_eq!(facts.serves(), serves, "{facts:?}");
    }
    let status = &BackendStatus::default();
    let facts = BackendFacts {
        status,
        weight: 1,
        is_checked: false,
        is_reached: yes,
        has_transfers: false,
    };
    assert_eq!(facts.serves(), yes, "there is no verdict to wait for");
}

#[test]
fn one_service_that_is_served_is_enough_for_a_vip() {
    use Announce::{Always, WhileServed};
    let service = parsed(SOUND).services.remove(0);
    let of = |announce| Service { announce, ..service.clone() };
    for (services, expected) in [
        (&[(Always, Some(false))][..], Some(true)),
        (&[(WhileServed, Some(true))], Some(true)),
        (&[(WhileServed, Some(false))], Some(false)),
        (&[(WhileServed, None)], None),
        (&[(WhileServed, Some(false)), (WhileServed, Some(false))], Some(false)),
        (&[(WhileServed, Some(false)), (WhileServed, Some(true))], Some(true)),
        (&[(WhileServed, Some(false)), (WhileServed, None)], None),
        (&[(WhileServed, None), (Always, Some(false))], Some(true)),
    ] {
        let services: Vec<_> =
            services.iter().map(|&(announce, served)| (of(announce), served)).collect();
        let vips = announced(services.iter().map(|(service, served)| (service, *served)));
        assert_eq!(vips.get(&service.vips[0]), Some(&expected), "{services:?}");
        assert_eq!(vips.len(), service.vips.len());
    }
}
