//! A world that becomes larger.

use crate::world::{TFTP, Via, hop};
use engine::policy::Access;
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::select::sticky::Persistence;
use engine::tables::{Backend, Mode, Owner, Service, Tables, Vip};

/// The same, and one more service over IPv6 with a VIP, a SNAT address and a backend of its own; its clients stay
/// with that, and are counted.
pub fn larger(tables: &Tables) -> Tables {
    let mut larger = tables.clone();
    let (service, backend, rota) =
        (larger.services.len() as u16, larger.backends.len() as u16, larger.rotas.len() as u16);
    let (vip, snat) = (larger.vips.len() as u16, larger.snat.len() as u16);
    let [vip_address, snat_address, server] =
        [120, 140, 160].map(|host| Via::Snat6.station(0, host + snat as u8));
    larger.snat.push(snat_address.into());
    larger.addresses.insert(snat_address, Owner::Snat(snat));
    larger.vips.push(Vip { udp: vec![(TFTP, service)], ..Vip::new(vip_address) });
    larger.set_live(vip, true);
    let members = vec![Member { id: backend, address: server, weight: 1 }];
    let rota_v6 = Rota::new(Scheduler::RoundRobin, members, &mut Maglevs::default());
    larger.rotas.push([Rota::default(), rota_v6]);
    let like = larger.services[usize::from(Via::Snat6.service())].clone();
    larger.services.push(Service {
        mode: Mode::Snat(vec![snat]),
        persistence: Some(Persistence::of_clients(50)),
        access: Access { max_requests: Some(100), ..Access::default() },
        rota,
        ..like
    });
    let like = larger.backends[usize::from(Via::Snat6.backend(0))].clone();
    let hop = Some(hop(server));
    larger.backends.push(Backend { address: server, service, server: backend, hop, ..like });
    larger.addresses.insert(server, Owner::Answering(backend));
    larger
}
