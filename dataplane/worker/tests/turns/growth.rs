//! Snapshots with more in them than the worker was made with.

use engine::flow::key::Seed;
use engine::own::room::Room;
use engine::tables::Tables;
use kit::growth::larger;
use kit::house::House;
use kit::packet::Packet;
use kit::story::{ack, data, rrq};
use kit::world::{TFTP, Via, tables};
use std::net::SocketAddr;
use std::sync::Arc;
use worker::memory::MemoryPort;
use worker::news::{News, Return};

fn tell(house: &House<MemoryPort>, news: News) {
    house.desks[0].news.push(news).expect("room");
}

fn grow(house: &mut House<MemoryPort>, old: &Tables, new: &Tables) {
    let seed = Seed([31, 32]);
    let room = Room::between(old, new, 0, 64, seed).expect("it needs room");
    tell(house, News::Room(Box::new(room)));
    tell(house, News::Tables(Arc::new(new.clone())));
    house.turn();
    house.turn();
    assert!(matches!(house.desks[0].returns.pop(), Some(Return::Room(_))));
    assert!(matches!(house.desks[0].returns.pop(), Some(Return::Tables(_))));
}

#[test]
fn transfers_go_on_while_more_and_more_is_added() {
    let mut world = tables();
    let mut house = House::<MemoryPort>::with(1, world.clone(), 64, |_| MemoryPort::new(4096));
    let talks: Vec<Running> = Via::SEEN.map(|via| Running::start(&mut house, via)).into();
    for round in 0..5 {
        let next = larger(&world);
        grow(&mut house, &world, &next);
        world = next;
        let vip = &world.vips[world.vips.len() - 1];
        let (vip, server) = (SocketAddr::new(vip.address, TFTP), world.backends.len() - 1);
        let new = SocketAddr::new(Via::Snat6.station(0, 200), 3000 + round);
        house.arrive(0, rrq(new, vip, "boot.img"));
        house.turn();
        let sent = house.left().iter().map(|frame| Packet::read(frame)).next().expect("a request");
        assert_eq!(sent.destination, SocketAddr::new(world.backends[server].address, TFTP));
        assert_eq!(sent.source.ip(), world.snat[world.snat.len() - 1].address);
        talks.iter().for_each(|talk| talk.goes_on(&mut house, round + 1));
    }
    let ledger = house.ledger();
    assert_eq!((ledger.at("started"), ledger.at("ended")), (Via::SEEN.len() as u64 + 5, 0));
    assert!(Room::between(&world, &world, 0, 64, Seed([1, 2])).is_none(), "nothing is new");
}

/// A transfer that has been answered.
struct Running {
    client: SocketAddr,
    vip: SocketAddr,
    server: SocketAddr,
    seen_as: SocketAddr,
}

impl Running {
    fn start(house: &mut House<MemoryPort>, via: Via) -> Running {
        let (client, vip) = (via.client(), via.vip());
        house.arrive(0, rrq(client, vip, "boot.img"));
        house.turn();
        let sent = house.left().iter().map(|frame| Packet::read(frame)).next().expect("a request");
        let server = SocketAddr::new(sent.destination.ip(), 50_000);
        Running { client, vip, server, seen_as: sent.source }
    }

    /// A block and its acknowledgement.
    fn goes_on(&self, house: &mut House<MemoryPort>, block: u16) {
        let up = SocketAddr::new(self.vip.ip(), self.server.port());
        house.arrive(0, data(self.server, self.seen_as, block, 512));
        house.turn();
        house.arrive(0, ack(self.client, up, block));
        house.turn();
        let ends: Vec<_> = house
            .left()
            .iter()
            .map(|frame| Packet::read(frame))
            .map(|packet| (packet.source, packet.destination))
            .collect();
        assert_eq!(ends, [(up, self.client), (self.seen_as, self.server)]);
    }
}
