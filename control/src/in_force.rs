//! The configuration in force: what the file said when it was read last, and the numbers of all that it has.

use crate::config::Written;
use crate::config::{Backend, Config, Service};
use crate::kernel::Wanted;
use crate::registry::{Full, Numbers, Registry, Room};
use engine::tables::{BackendId, ServiceId};

/// One configuration and its numbers. Another one takes its place as a whole.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The configuration as it was read.
    pub written: Written,
    /// The owner of each number, also of what was removed before.
    pub registry: Registry,
    /// The numbers of the configuration's services and of what belongs to them.
    pub numbers: Numbers,
}

impl InForce {
    /// The first one of a process. `registry` has what transfers from before it still hold.
    ///
    /// # Errors
    ///
    /// There are not so many numbers.
    pub fn first(written: Written, registry: &Registry) -> Result<InForce, Full> {
        let (registry, numbers) = registry.enter(&written.config.services, Room::ANY)?;
        Ok(InForce { written, registry, numbers })
    }

    /// The one that takes its place.
    ///
    /// # Errors
    ///
    /// The workers have no room for what is new.
    pub fn next(&self, written: Written, room: Room) -> Result<InForce, Full> {
        let (registry, numbers) = self.registry.enter(&written.config.services, room)?;
        Ok(InForce { written, registry, numbers })
    }

    /// The checked configuration.
    pub fn config(&self) -> &Config {
        &self.written.config
    }

    /// The addresses that the kernel is to hold and to watch.
    pub fn wanted(&self) -> Wanted {
        let interfaces = (0..).zip(&self.config().interfaces);
        let subnets =
            interfaces.flat_map(|(id, one)| one.addresses.iter().map(move |&net| (id, net)));
        Wanted { subnets: subnets.collect(), ..self.registry.wanted() }
    }

    /// The services and their numbers, in the configuration's order.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        let services = self.numbers.iter().zip(&self.config().services);
        services.map(|(numbers, service)| (numbers.id, service))
    }

    /// The backends and their numbers, likewise.
    pub fn backends(&self) -> impl Iterator<Item = (BackendId, &Service, &Backend)> {
        let services = self.numbers.iter().zip(&self.config().services);
        services.flat_map(|(numbers, service)| {
            let backends = numbers.backends.iter().zip(&service.backends);
            backends.map(move |(&id, backend)| (id, service, backend))
        })
    }
}
