//! The backend groups of a service's rules, and of all other requests.

use crate::backend_status::BackendStatuses;
use crate::config;
use crate::registry::Numbered;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::snapshot::service::BackendGroups;
use engine::types::id::GroupId;

/// Sets the backend groups of a service: one of each rule, and one of all other requests.
pub fn set_groups(
    all: &mut [BackendGroups],
    service: &config::Service,
    numbers: &Numbered,
    statuses: &BackendStatuses,
    maglevs: &mut Maglevs,
) {
    let mut set = |id: GroupId, is_one: &dyn Fn(usize) -> bool| {
        all[id.index()] = groups(service, numbers, statuses, maglevs, is_one);
    };
    set(numbers.group, &|_| true);
    for (&id, (_, places)) in numbers.rules.iter().zip(&service.rules) {
        set(id, &|place| places.contains(&place));
    }
}

/// The backend groups of a rule over IPv4 and IPv6, of those backends whose indices satisfy `is_one`.
fn groups(
    service: &config::Service,
    numbers: &Numbered,
    statuses: &BackendStatuses,
    maglevs: &mut Maglevs,
    is_one: &dyn Fn(usize) -> bool,
) -> BackendGroups {
    // Behind a SNAT pool a client's address family does not matter to the server.
    let any = matches!(service.mode, config::Mode::Snat(_));
    [false, true].map(|v6| {
        let all = service.backends.iter().zip(&numbers.backends).enumerate();
        let matching = all.filter(|(place, (backend, _))| {
            is_one(*place) && (any || backend.address.is_ipv6() == v6)
        });
        let members = matching.map(|(_, (backend, &id))| {
            let weight = statuses.of(service, backend).weight(backend);
            Member { id, address: backend.address, weight }
        });
        BackendGroup::new(scheduler(service, v6), members.collect(), maglevs)
    })
}

/// The scheduler of a service. Clients of one network are on different workers, which share nothing: for its
/// persistence they choose by the network's hash.
fn scheduler(service: &config::Service, v6: bool) -> Scheduler {
    let of_networks = service.persistence.is_some_and(|one| one.is_of_networks(v6));
    if of_networks { Scheduler::SourceHash } else { service.scheduler }
}
