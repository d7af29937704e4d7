//! Names for the ids in records.

use crate::active_config::ActiveConfig;
use engine::types::id::{BackendId, InterfaceId, ServiceId};
use std::collections::HashMap;
use std::net::IpAddr;

/// Names for the ids in records, of one configuration and what was removed before it.
#[derive(Debug, Clone, Default)]
pub struct Names {
    services: HashMap<ServiceId, ServiceName>,
    backends: HashMap<BackendId, (String, IpAddr)>,
    interfaces: Vec<(String, Vec<u16>)>,
}

/// A service as records name it.
#[derive(Debug, Clone)]
pub struct ServiceName {
    /// Name.
    pub name: String,
    /// Protocol.
    pub protocol: &'static str,
    /// Whether the protocol is without an end.
    pub is_without_end: bool,
    /// Mode.
    pub mode: &'static str,
}

impl Names {
    /// The names of this configuration.
    pub fn of(active: &ActiveConfig) -> Names {
        let services = (0..).map(ServiceId).zip(active.registry.services());
        let services = services.map(|(id, service)| {
            let (name, protocol) = (service.name.clone(), service.protocol.name());
            let is_without_end = service.protocol.is_without_end();
            (id, ServiceName { name, protocol, is_without_end, mode: service.means.name() })
        });
        let backends = active.registry.numbered_backends();
        let backends = backends.map(|(id, one)| (id, (one.what.name.clone(), one.what.address)));
        let interfaces = active.config().interfaces.iter();
        Names {
            services: services.collect(),
            backends: backends.collect(),
            interfaces: interfaces
                .map(|one| (one.name.clone(), one.vlans.ids().to_vec()))
                .collect(),
        }
    }

    /// The service with this id.
    pub fn service(&self, id: ServiceId) -> &ServiceName {
        const UNKNOWN: &ServiceName =
            &ServiceName { name: String::new(), protocol: "", is_without_end: false, mode: "" };
        self.services.get(&id).unwrap_or(UNKNOWN)
    }

    /// The name and address of the backend with this id.
    pub fn backend(&self, id: BackendId) -> Option<&(String, IpAddr)> {
        self.backends.get(&id)
    }

    /// The name of the interface with this id, and its VLANs.
    pub fn interface(&self, id: InterfaceId) -> (String, Vec<u16>) {
        self.interfaces.get(id.index()).cloned().unwrap_or_default()
    }
}
