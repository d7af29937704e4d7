//! Log lines about VIPs, SNAT addresses and backends that go up or down.

use crate::backend_status::{Check, CheckVerdict};
use crate::config::{Backend, Service};
use crate::registry::{Presence, Registry};
use engine::snapshot::{BackendState, Snapshot};
use engine::types::id::{SnatId, VipId};
use engine::types::next_hop::NextHop;

/// A line for each VIP, SNAT address and backend whose state differs in `new`, except those that are gone.
pub fn changes(old: &Snapshot, new: &Snapshot, registry: &Registry) -> Vec<String> {
    let was_live = |id: VipId| id.index() < old.vips.len() && old.is_live(id);
    let vips =
        (0..).map(VipId).zip(registry.vips()).filter(|(_, vip)| vip.presence != Presence::Gone);
    let vips = vips.filter(|&(id, _)| was_live(id) != new.is_live(id));
    let vips = vips
        .map(|(id, vip)| format!("VIP {} is {}", vip.what.held.address, state(new.is_live(id))));
    let was_live = |id: SnatId| id.index() < old.snat.len() && old.is_snat_live(id);
    let snat =
        (0..).map(SnatId).zip(registry.snat()).filter(|(_, one)| one.presence != Presence::Gone);
    let snat = snat.filter(|&(id, _)| was_live(id) != new.is_snat_live(id));
    let snat = snat.map(|(id, one)| {
        format!("SNAT address {} is {}", one.what.address, state(new.is_snat_live(id)))
    });
    let backends = registry.numbered_backends();
    let backends = backends.filter(|(_, backend)| backend.presence != Presence::Gone);
    let backends = backends.filter_map(|(id, backend)| {
        let backend = &backend.what;
        let service = &registry[backend.service()].name;
        let what = moved(old.find_backend(id).and_then(|old| old.hop), &new[id])?;
        Some(format!("backend {} of {service} ({}) is {what}", backend.name, backend.address))
    });
    vips.chain(snat).chain(backends).collect()
}

fn state(is_live: bool) -> &'static str {
    if is_live { "live" } else { "down: the kernel does not hold it" }
}

fn moved(old: Option<NextHop>, new: &engine::snapshot::Backend) -> Option<String> {
    match (old, new.hop) {
        (None, Some(hop)) => Some(format!("up at {}", hop.mac)),
        // That was said when it was ordered, or found.
        (Some(_), None) if new.state == BackendState::Down => None,
        (Some(_), None) => Some("down: the kernel does not reach it".to_owned()),
        (Some(old), Some(new)) if old != new => Some(format!("now at {}", new.mac)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// A line about a backend's health checks, if the verdict differs in `new`. Before the first verdict a backend counts
/// as up.
pub fn checked(old: &Check, new: &Check, service: &Service, backend: &Backend) -> Option<String> {
    let name = name(service, backend);
    match (old.verdict, new.verdict) {
        (CheckVerdict::Pending | CheckVerdict::Passed, CheckVerdict::Failed) => {
            Some(format!("{name} is down: {}", new.last))
        }
        (CheckVerdict::Failed, CheckVerdict::Passed) => {
            Some(format!("{name} is up: it passes its checks"))
        }
        (CheckVerdict::Failed, CheckVerdict::Pending) => {
            Some(format!("{name} is up: it is not checked"))
        }
        (
            CheckVerdict::Pending | CheckVerdict::Passed,
            CheckVerdict::Pending | CheckVerdict::Passed,
        )
        | (CheckVerdict::Failed, CheckVerdict::Failed) => None,
    }
}

/// The name of a backend in the log.
pub fn name(service: &Service, backend: &Backend) -> String {
    format!("backend {} of {} ({})", backend.name, service.name, backend.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{SOUND, parsed};

    #[test]
    fn a_line_when_a_backend_dies_or_lives() {
        use CheckVerdict::{Failed, Passed, Pending};
        let config = parsed(SOUND);
        let service = &config.services[0];
        let check =
            |verdict| Check { verdict, last: "no answer within 1s".into(), ..Check::default() };
        for (old, new, line) in [
            (Pending, Failed, Some("is down: no answer within 1s")),
            (Passed, Failed, Some("is down: no answer within 1s")),
            (Failed, Passed, Some("is up: it passes its checks")),
            (Failed, Pending, Some("is up: it is not checked")),
            (Pending, Passed, None),
            (Passed, Passed, None),
            (Failed, Failed, None),
        ] {
            let said = checked(&check(old), &check(new), service, &service.backends[0]);
            let line = line.map(|line| format!("backend one of pxe (10.0.0.30) {line}"));
            assert_eq!(said, line, "{old:?} to {new:?}");
        }
    }
}
