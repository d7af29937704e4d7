//! The active configuration: the file as it was read last, and the numbers of its services and backends.

use crate::announce::announced;
use crate::config::{Backend, Config, Service, Written};
use crate::kernel::Wanted;
use crate::registry::{Capacity, Full, Numbers, Registry};
use engine::types::id::{BackendId, InterfaceId, ServiceId};

/// A configuration and its numbers. A reload replaces both as a whole.
#[derive(Debug, Clone)]
pub struct ActiveConfig {
    /// The configuration as it was read.
    pub written: Written,
    /// The owner of each number, also of what was removed before.
    pub registry: Registry,
    /// The numbers of the configuration's services and of everything that belongs to them.
    pub numbers: Numbers,
}

impl ActiveConfig {
    /// The first configuration of a process. `registry` has the numbers that transfers of an earlier process hold.
    ///
    /// # Errors
    ///
    /// The configuration needs more numbers than there are.
    pub fn first(written: Written, registry: &Registry) -> Result<ActiveConfig, Full> {
        let (registry, numbers) = registry.enter(&written.config.services, Capacity::ANY)?;
        Ok(ActiveConfig { written, registry, numbers })
    }

    /// The configuration that replaces this one.
    ///
    /// # Errors
    ///
    /// The workers have no room for the new services or backends.
    pub fn next(&self, written: Written, capacity: Capacity) -> Result<ActiveConfig, Full> {
        let (registry, numbers) = self.registry.enter(&written.config.services, capacity)?;
        Ok(ActiveConfig { written, registry, numbers })
    }

    /// The checked configuration.
    pub fn config(&self) -> &Config {
        &self.written.config
    }

    /// The addresses that the kernel must hold and watch.
    pub fn wanted(&self) -> Wanted {
        let interfaces = (0..).map(InterfaceId).zip(&self.config().interfaces);
        let subnets =
            interfaces.flat_map(|(id, one)| one.addresses.iter().map(move |&net| (id, net)));
        Wanted { subnets: subnets.collect(), ..self.registry.wanted() }
    }

    /// The wanted addresses before anything is known of the backends: VIPs that must be served are withdrawn.
    pub fn wanted_at_start(&self) -> Wanted {
        let services = self.config().services.iter().map(|service| (service, Some(false)));
        let announced = announced(services);
        self.wanted().withdraw(|held| announced.get(held) == Some(&Some(false)))
    }

    /// The services and their numbers, in the configuration's order.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        let services = self.numbers.iter().zip(&self.config().services);
        services.map(|(numbers, service)| (numbers.id, service))
    }

    /// The backends and their numbers, in the configuration's order.
    pub fn backends(&self) -> impl Iterator<Item = (BackendId, &Service, &Backend)> {
        let services = self.numbers.iter().zip(&self.config().services);
        services.flat_map(|(numbers, service)| {
            let backends = numbers.backends.iter().zip(&service.backends);
            backends.map(move |(&id, backend)| (id, service, backend))
        })
    }
}
