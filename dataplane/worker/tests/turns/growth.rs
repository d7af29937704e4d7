//! Snapshots with more in them than the worker was made with.

use engine::flow::hash::Seed;
use engine::snapshot::Snapshot;
use engine::state::resize::Resize;
use kit::growth::larger;
use kit::packet::Packet;
use kit::packets::{ack, data, rrq};
use kit::topology::{TFTP, Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use std::sync::Arc;
use worker::command_channel::{Command, Reply};
use worker::memory::MemoryPort;

fn tell(set: &WorkerSet<MemoryPort>, command: Command) {
    set.channels[0].commands.push(command).expect("room");
}

fn grow(set: &mut WorkerSet<MemoryPort>, old: &Snapshot, new: &Snapshot) {
    let seed = Seed([31, 32]);
    let resize = Resize::between(old, new, 0, 64, seed).expect("it needs room");
    tell(set, Command::Resize(Box::new(resize)));
    tell(set, Command::Snapshot(Arc::new(new.clone())));
    set.turn();
    set.turn();
    assert!(matches!(set.channels[0].replies.pop(), Some(Reply::Resize(_))));
    assert!(matches!(set.channels[0].replies.pop(), Some(Reply::Snapshot(_))));
}

#[test]
fn transfers_go_on_while_more_and_more_is_added() {
    let mut world = snapshot();
    let mut set = WorkerSet::<MemoryPort>::with(1, world.clone(), 64, |_| MemoryPort::new(4096));
    let talks: Vec<Running> = Via::SEEN.map(|via| Running::start(&mut set, via)).into();
    for round in 0..5 {
        let next = larger(&world);
        grow(&mut set, &world, &next);
        world = next;
        let vip = &world.vips[world.vips.len() - 1];
        let (vip, server) = (SocketAddr::new(vip.address, TFTP), world.backends.len() - 1);
        let new = SocketAddr::new(Via::Snat6.host(0, 200), 3000 + round);
        set.arrive(0, rrq(new, vip, "boot.img"));
        set.turn();
        let sent = set.left().iter().map(|frame| Packet::read(frame)).next().expect("a request");
        assert_eq!(sent.destination, SocketAddr::new(world.backends[server].address, TFTP));
        assert_eq!(sent.source.ip(), world.snat[world.snat.len() - 1].address);
        talks.iter().for_each(|transfer| transfer.goes_on(&mut set, round + 1));
    }
    let counter_values = set.counter_values();
    assert_eq!(
        (counter_values.at("started"), counter_values.at("ended")),
        (Via::SEEN.len() as u64 + 5, 0)
    );
    assert!(Resize::between(&world, &world, 0, 64, Seed([1, 2])).is_none(), "nothing is new");
}

/// A transfer that has been answered.
struct Running {
    client: SocketAddr,
    vip: SocketAddr,
    server: SocketAddr,
    seen_as: SocketAddr,
}

impl Running {
    fn start(set: &mut WorkerSet<MemoryPort>, via: Via) -> Running {
        let (client, vip) = (via.client(), via.vip());
        set.arrive(0, rrq(client, vip, "boot.img"));
        set.turn();
        let sent = set.left().iter().map(|frame| Packet::read(frame)).next().expect("a request");
        let server = SocketAddr::new(sent.destination.ip(), 50_000);
        Running { client, vip, server, seen_as: sent.source }
    }

    /// A block and its acknowledgement.
    fn goes_on(&self, set: &mut WorkerSet<MemoryPort>, block: u16) {
        let up = SocketAddr::new(self.vip.ip(), self.server.port());
        set.arrive(0, data(self.server, self.seen_as, block, 512));
        set.turn();
        set.arrive(0, ack(self.client, up, block));
        set.turn();
        let ends: Vec<_> = set
            .left()
            .iter()
            .map(|frame| Packet::read(frame))
            .map(|packet| (packet.source, packet.destination))
            .collect();
        assert_eq!(ends, [(up, self.client), (self.seen_as, self.server)]);
    }
}
