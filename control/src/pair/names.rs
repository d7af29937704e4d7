//! The names behind the ids in records: what they stand for at the gate that tells, and which ids of this gate these are.

use super::message::Message;
use super::record::Record;
use crate::registry::{Presence, Registry};
use engine::types::id::{BackendId, InterfaceId, VipId};
use std::collections::HashMap;
use std::net::IpAddr;

/// Names in a message.
const IN_MESSAGE: usize = 128;

/// The names of a gate's ids, each list by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    backends: Vec<(String, String)>,
    vips: Vec<IpAddr>,
    interfaces: Vec<String>,
}

impl Names {
    /// The names of this gate's ids.
    pub fn of(registry: &Registry, interfaces: impl IntoIterator<Item = String>) -> Names {
        let backends = registry.backends().iter().map(|entry| {
            let service = &registry[entry.what.service()].name;
            (service.clone(), entry.what.name.clone())
        });
        Names {
            backends: backends.collect(),
            vips: registry.vips().iter().map(|entry| entry.what.held.address).collect(),
            interfaces: interfaces.into_iter().collect(),
        }
    }

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
        backends: Vec<(String, String)>,
        vips: Vec<IpAddr>,
        interfaces: Vec<String>,
    ) -> Names {
        Names { backends, vips, interfaces }
    }

    /// Number of names.
    pub fn len(&self) -> usize {
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
    /// The translation of the peer's ids; `ours` are the names of this gate.
    pub fn new(peer: &Names, ours: &Names, registry: &Registry) -> Translation {
        let is_there = |presence: Presence| presence != Presence::Gone;
        let backends = registry.numbered_backends().zip(&ours.backends);
        let backends = backends.filter(|((_, entry), _)| is_there(entry.presence));
        let backends: HashMap<_, _> = backends.map(|((id, _), names)| (names, id)).collect();
        let vips = (0..).map(VipId).zip(registry.vips());
        let vips = vips.filter(|(_, entry)| is_there(entry.presence));
        let vips: HashMap<_, _> = vips.map(|(id, entry)| (entry.what.held.address, id)).collect();
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
