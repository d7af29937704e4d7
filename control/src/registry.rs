//! The numbers that flows hold, and whose they are. What stays in the configuration keeps its number from one
//! to the next; what is new gets the next one; what was removed keeps its own for the life of the process, with
//! all that its transfers need to finish where they are.

mod enter;
mod sound;

use crate::config::{self, Held, Protocol};
use crate::kernel::Wanted;
use engine::own::uses::Uses;
use engine::tables::{
    BackendId, Hop, InterfaceId, MOST_SNAT, RotaId, ServerId, ServiceId, SnatId, VipId,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;
use wire::ethernet::Mac;

/// The owner of each number: the place in the list of its kind. Can be written down and read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    services: Vec<Service>,
    backends: Vec<Entry<Backend>>,
    vips: Vec<Entry<Vip>>,
    snat: Vec<Entry<Held>>,
    servers: Vec<IpAddr>,
    rotas: Vec<Rota>,
}

/// Something that can be removed, and whether it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    /// The entry itself.
    pub what: T,
    /// Where it stands.
    pub presence: Presence,
}

/// Where something with a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// The configuration has it.
    Configured,
    /// The configuration has it no longer, and transfers may.
    Leaving,
    /// The configuration has it no longer, and no transfer has.
    Gone,
}

/// A service, as far as its running transfers depend on it. With another protocol, another port or other means it
/// is another service: those that run go on by the old ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// For operators.
    pub name: String,
    /// The protocol of its clients.
    pub protocol: Protocol,
    /// Where its requests go.
    pub port: u16,
    /// How its packets reach the backends.
    pub means: Means,
    /// Silence after which a transfer is given up, as it was configured last.
    pub idle_timeout: Duration,
    /// The same for a TCP connection that is not yet open, or about to be closed.
    pub transitory_timeout: Duration,
    /// The clients whose connections for data it still takes; nobody named: all clients'.
    pub allow_clients: Vec<IpNet>,
}

/// A mode, whatever addresses it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Means {
    /// Direct server return.
    Dsr,
    /// Destination NAT.
    Nat,
    /// Destination and source NAT.
    Snat,
}

/// A backend, likewise. With another address or other aliases it is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The backend's service.
    pub service: ServiceId,
    /// For operators.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// Other addresses that it may answer from.
    pub aliases: Vec<IpAddr>,
    /// The server that it is.
    pub server: ServerId,
    /// The ports that its clients' data connections go to, and on which VIPs.
    pub data: Option<(RangeInclusive<u16>, Vec<VipId>)>,
    /// The backend's interface and fixed hardware address, if the kernel is not asked for it.
    fixed: Option<(InterfaceId, [u8; 6])>,
    /// Other hardware addresses that it sends from then.
    #[serde(default)]
    also_from: Vec<[u8; 6]>,
}

/// A VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// The VIP's address and interface.
    pub held: Held,
    /// Whether its clients may send to everybody.
    pub broadcast: bool,
}

/// The rule of whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Rota {
    service: ServiceId,
    /// The place of the rule, `None`: for what no rule is for. A rule that moves loses its clients' persistence.
    rule: Option<u16>,
}

/// The numbers of a configuration's services, in its order.
pub type Numbers = Vec<Numbered>;

/// The numbers of what belongs to one service, each list in the configuration's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The service's own number.
    pub id: ServiceId,
    /// Of its VIPs.
    pub vips: Vec<VipId>,
    /// Of its SNAT pool.
    pub pool: Vec<SnatId>,
    /// Of its backends.
    pub backends: Vec<BackendId>,
    /// Of the rota of requests that no rule is for.
    pub rota: RotaId,
    /// Of the rules' rotas.
    pub rules: Vec<RotaId>,
}

/// How many numbers there are. What workers count in is made at their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For services.
    pub services: usize,
    /// For backends.
    pub backends: usize,
}

impl Room {
    /// For a process that has yet to start.
    pub const ANY: Room = Room { services: MOST_NUMBERS, backends: MOST_NUMBERS };
}

/// Numbers have 16 bits, and the last one stands for none.
const MOST_NUMBERS: usize = u16::MAX as usize;

/// There are not enough numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    what: &'static str,
    room: usize,
    needed: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Full { what, room, needed } = self;
        write!(
            f,
            "{needed} {what} since the start, and there is room for {room}: removed ones keep their numbers"
        )
    }
}

impl Registry {
    /// The registry with numbers for this configuration, and the numbers.
    ///
    /// # Errors
    ///
    /// There is no room for all that is new.
    pub fn enter(
        &self,
        services: &[config::Service],
        room: Room,
    ) -> Result<(Registry, Numbers), Full> {
        let mut next = self.clone();
        let numbers = next.take_in(services);
        for (what, needed, room) in [
            ("services", next.services.len(), room.services),
            ("backends", next.backends.len(), room.backends),
            ("VIPs", next.vips.len(), MOST_NUMBERS),
            ("SNAT addresses", next.snat.len(), MOST_SNAT),
            ("rules", next.rotas.len(), MOST_NUMBERS),
        ] {
            if needed > room {
                return Err(Full { what, room, needed });
            }
        }
        Ok((next, numbers))
    }

    /// By number.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// By number.
    pub fn backends(&self) -> &[Entry<Backend>] {
        &self.backends
    }

    /// By number.
    pub fn vips(&self) -> &[Entry<Vip>] {
        &self.vips
    }

    /// By number.
    pub fn snat(&self) -> &[Entry<Held>] {
        &self.snat
    }

    /// How many there are.
    pub fn rotas(&self) -> usize {
        self.rotas.len()
    }

    /// The rota of a service's requests that no rule is for.
    pub fn rota_of(&self, service: ServiceId) -> RotaId {
        let of = |rota: &Rota| rota.service == service && rota.rule.is_none();
        self.rotas.iter().position(of).map_or(0, number)
    }

    /// Whether something that was removed may still have transfers.
    pub fn is_anything_leaving(&self) -> bool {
        self.vips.iter().any(Entry::is_leaving)
            || self.snat.iter().any(Entry::is_leaving)
            || self.backends.iter().any(Entry::is_leaving)
    }

    /// The backends that were removed, and may still have transfers.
    pub fn leaving_backends(&self) -> impl Iterator<Item = BackendId> {
        (0..).zip(&self.backends).filter(|(_, backend)| backend.is_leaving()).map(|(id, _)| id)
    }

    /// Lets go of what was removed and has no transfers left. Answers the addresses of ours among that.
    pub fn let_go(&mut self, uses: &Uses) -> Vec<IpAddr> {
        for (backend, &used) in self.backends.iter_mut().zip(&uses.backends) {
            backend.let_go(used);
        }
        let vips = self.vips.iter_mut().zip(&uses.vips);
        let vips = vips.filter_map(|(vip, &used)| vip.let_go(used).then_some(vip.what.held));
        let snat = self.snat.iter_mut().zip(&uses.snat);
        let snat = snat.filter_map(|(snat, &used)| snat.let_go(used).then_some(snat.what));
        vips.chain(snat).map(|held| held.address).collect()
    }

    /// The address of each server.
    pub fn servers(&self) -> &[IpAddr] {
        &self.servers
    }

    /// The addresses that the kernel is to hold and to watch for all that is not gone.
    pub fn wanted(&self) -> Wanted {
        let vips = here(&self.vips).map(|(_, vip)| vip.held);
        let snat = here(&self.snat).map(|(_, &held)| held);
        let backends = here(&self.backends).filter(|(_, backend)| backend.fixed.is_none());
        Wanted {
            held: vips.chain(snat).collect(),
            vips: here(&self.vips).map(|(_, vip)| vip.held.address).collect(),
            backends: backends.map(|(_, backend)| backend.address).collect(),
            aliases: here(&self.backends).flat_map(|(_, one)| one.aliases.clone()).collect(),
            subnets: vec![],
        }
    }
}

impl<T> Entry<T> {
    /// Whether it was removed, and may still have transfers.
    pub fn is_leaving(&self) -> bool {
        self.presence == Presence::Leaving
    }

    /// Gone, if it was leaving and is not used; answers whether it is from now on.
    fn let_go(&mut self, used: bool) -> bool {
        let goes = self.is_leaving() && !used;
        if goes {
            self.presence = Presence::Gone;
        }
        goes
    }
}

/// The entries that are not gone, with their numbers: first those that leave, so that configured ones can take their
/// place.
pub fn here<T>(entries: &[Entry<T>]) -> impl Iterator<Item = (u16, &T)> {
    [Presence::Leaving, Presence::Configured].into_iter().flat_map(move |presence| {
        let some = (0..).zip(entries).filter(move |(_, entry)| entry.presence == presence);
        some.map(|(number, entry)| (number, &entry.what))
    })
}

impl Backend {
    /// The hop that the kernel is not asked for.
    pub fn fixed_hop(&self) -> Option<Hop> {
        self.fixed.map(|(interface, mac)| Hop { interface, mac: Mac(mac) })
    }

    /// The hardware addresses that it sends from, if they are fixed.
    pub fn fixed_macs(&self) -> impl Iterator<Item = Mac> {
        let first = self.fixed.map(|(_, mac)| mac);
        first.into_iter().chain(self.also_from.iter().copied()).map(Mac)
    }
}

/// The number of a place in a list; a list that is too long is refused before its numbers are used.
fn number(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
