//! The names behind the ids in records: what they stand for at the gate that tells, and which ids of this gate these are.

use super::message::Message;
use super::record::Record;
use crate::active_config::ActiveConfig;
use crate::registry::present;
use engine::types::id::{BackendId, InterfaceId, VipId};
use std::collections::HashMap;
use std::net::IpAddr;

/// Names in a message.
const IN_MESSAGE: usize = 128;

/// The names of a gate's ids, each list by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    backends: Vec<(String, String, IpAddr)>,
    vips: Vec<IpAddr>,
    interfaces: Vec<String>,
}

/// The names of this gate's ids.
pub fn names(active: &ActiveConfig) -> Names {
    let registry = &active.registry;
    let backends = registry.backends().iter().map(|entry| {
        let service = &registry[entry.what.service()].name;
        (service.clone(), entry.what.name.clone(), entry.what.address)
    });
    Names {
        backends: backends.collect(),
        vips: registry.vips().iter().map(|entry| entry.what.held.address).collect(),
        interfaces: active.config().interfaces.iter().map(|one| one.name.clone()).collect(),
    }
}

impl Names {
    /// The messages that tell these names. The first one begins anew.
    pub fn messages(&self) -> Vec<Message> {
        let mut all = vec![Message::Names {
            is_first: true,
            backends: vec![],
            vips: vec![],
            interfaces: self.interfaces.clone(),
        }];
        let more =
            |backends, vips| Message::Names { is_first: false, backends, vips, interfaces: vec![] };
        all.extend(self.backends.chunks(IN_MESSAGE).map(|some| more(some.to_vec(), vec![])));
        all.extend(self.vips.chunks(IN_MESSAGE).map(|some| more(vec![], some.to_vec())));
        all
    }

    /// Takes in the peer's names.
    pub fn hear(&mut self, is_first: bool, more: Names) {
        if is_first {
            *self = Names::default();
        }
        self.backends.extend(more.backends);
        self.vips.extend(more.vips);
        self.interfaces.extend(more.interfaces);
    }

    /// Names from a message.
    pub fn from_message(
        backends: Vec<(String, String, IpAddr)>,
        vips: Vec<IpAddr>,
        interfaces: Vec<String>,
    ) -> Names {
        Names { backends, vips, interfaces }
    }

    /// Number of names.
    pub fn count(&self) -> usize {
        self.backends.len() + self.vips.len() + self.interfaces.len()
    }
}

/// The ids of this gate for those of the peer.
#[derive(Debug, Default)]
pub struct Translation {
    backends: Vec<Option<BackendId>>,
    vips: Vec<Option<VipId>>,
    interfaces: Vec<Option<InterfaceId>>,
}

impl Translation {
    /// The translation of the peer's ids to those of this gate.
    pub fn new(peer: &Names, active: &ActiveConfig) -> Translation {
        let (ours, registry) = (names(active), &active.registry);
        // Those that are leaving come first, and give way to configured ones of the same name and address.
        let backends = present(BackendId, registry.backends());
        let backends = backends.map(|(id, _)| (&ours.backends[id.index()], id));
        let backends: HashMap<_, _> = backends.collect();
        let vips = present(VipId, registry.vips());
        let vips: HashMap<_, _> = vips.map(|(id, vip)| (vip.held.address, id)).collect();
        let interface = |name: &String| {
            let place = ours.interfaces.iter().position(|known| known == name)?;
            u8::try_from(place).ok().map(InterfaceId)
        };
        Translation {
            backends: peer.backends.iter().map(|names| backends.get(names).copied()).collect(),
            vips: peer.vips.iter().map(|address| vips.get(address).copied()).collect(),
            interfaces: peer.interfaces.iter().map(interface).collect(),
        }
    }

    /// The peer's names that this gate does not have, as operators know them.
    pub fn unknown(&self, peer: &Names) -> Vec<String> {
        let backends = peer.backends.iter().zip(&self.backends);
        let backends = backends.filter(|(_, id)| id.is_none());
        let backends = backends.map(|((service, backend, address), _)| {
            format!("backend {backend} of {service} ({address})")
        });
        let vips = peer.vips.iter().zip(&self.vips).filter(|(_, id)| id.is_none());
        let vips = vips.map(|(address, _)| format!("VIP {address}"));
        let interfaces = peer.interfaces.iter().zip(&self.interfaces);
        let interfaces = interfaces.filter(|(_, id)| id.is_none());
        let interfaces = interfaces.map(|(name, _)| format!("interface {name}"));
        backends.chain(vips).chain(interfaces).collect()
    }

    /// Gives a record ids of this gate, or the greatest ids, which nothing has, where there are none.
    pub fn translate(&self, record: &mut Record) {
        let (vip, backend, back) = match record {
            Record::Transfer(told) => (&mut told.vip, &mut told.backend, &mut told.back),
            Record::Connection(told) => (&mut told.vip, &mut told.backend, &mut told.back),
        };
        *vip = known(&self.vips, vip.index()).unwrap_or(VipId::MAX);
        *backend = known(&self.backends, backend.index()).unwrap_or(BackendId::MAX);
        back.interface =
            known(&self.interfaces, back.interface.index()).unwrap_or(InterfaceId::MAX);
    }
}

fn known<T: Copy>(ids: &[Option<T>], place: usize) -> Option<T> {
    ids.get(place).copied().flatten()
}

#[cfg(test)]
mod tests;
