//! A larger snapshot, for tests of resizing.

use crate::topology::{TFTP, Via, hop};
use engine::net::address_map::Owner;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::scheduler::persistence::Persistence;
use engine::snapshot::access::Access;
use engine::snapshot::service::Service;
use engine::snapshot::vip::Vip;
use engine::snapshot::{Backend, Snapshot};
use engine::types::id::{BackendId, GroupId, ServerId, ServiceId, SnatId, VipId};
use engine::types::mode::Mode;

/// The snapshot with one more IPv6 service, which has its own VIP, SNAT address and backend, persistence and a request
/// limit.
pub fn larger(snapshot: &Snapshot) -> Snapshot {
    let mut larger = snapshot.clone();
    let service = ServiceId(larger.services.len() as u16);
    let backend = BackendId(larger.backends.len() as u16);
    let group = GroupId(larger.groups.len() as u16);
    let (vip, snat) = (VipId(larger.vips.len() as u16), SnatId(larger.snat.len() as u16));
    let server_id = ServerId(backend.0);
    let [vip_address, snat_address, server] =
        [120, 140, 160].map(|host| Via::Snat6.host(0, host + snat.0 as u8));
    larger.snat.push(snat_address.into());
    larger.addresses.insert(snat_address, Owner::Snat(snat));
    larger.vips.push(Vip { udp: vec![(TFTP, service)], ..Vip::new(vip_address) });
    larger.set_live(vip, true);
    let members = vec![Member { id: backend, address: server, weight: 1 }];
    let group_v6 = BackendGroup::new(Scheduler::RoundRobin, members, &mut Maglevs::default());
    larger.groups.push([BackendGroup::default(), group_v6]);
    let like = larger[Via::Snat6.service()].clone();
    larger.services.push(Service {
        mode: Mode::Snat(vec![snat]),
        persistence: Some(Persistence::of_clients(50)),
        access: Access { max_requests: Some(100), ..Access::default() },
        group,
        ..like
    });
    let like = larger[Via::Snat6.backend(0)].clone();
    let hop = Some(hop(server));
    larger.backends.push(Backend { address: server, service, server: server_id, hop, ..like });
    larger.addresses.insert(server, Owner::Answering(server_id));
    larger
}
