//! Habits of real clients and servers, numbered, each with its source.

mod clients;
mod connections;
mod network;
mod servers;
mod snapshots;

use crate::scene::Scene;
use engine::snapshot::Snapshot;
use kit::topology::Via;
use snapshots::{aliases, broadcast, limits, no_multicast, two_servers};

/// One habit.
pub struct Row {
    /// Number.
    pub number: u8,
    /// Short name.
    pub name: &'static str,
    /// Modes in which the habit occurs.
    pub modes: &'static [Via],
    /// Change of the snapshot.
    world: fn(&mut Snapshot, Via),
    play: fn(&mut Scene),
}

const fn row(number: u8, name: &'static str, modes: &'static [Via], play: fn(&mut Scene)) -> Row {
    Row { number, name, modes, world: |_, _| (), play }
}

/// All habits.
pub const ROWS: [Row; 33] = [
    row(1, "answers come from a new port", &Via::ALL, servers::new_port),
    row(2, "a repeated request has two answers", &Via::ALL, servers::two_answers),
    row(3, "clients lock onto the first address", &Via::ALL, clients::one_address),
    row(4, "ports are used again", &Via::ALL, clients::same_port),
    row(5, "uefi asks twice", &Via::ALL, clients::size_probe),
    row(6, "raspberry pi asks for what is not there", &Via::ALL, clients::raspberry_pi),
    row(7, "answers come from port 69", &Via::ALL, servers::single_port),
    row(8, "a client sends from port 69", &Via::ALL, clients::from_69),
    row(9, "acks go to port 69", &Via::SEEN, clients::acks_to_69),
    row(10, "answers come from another address", &Via::SEEN, servers::alias).at(aliases),
    row(11, "blocks come in fragments", &Via::ALL, network::fragments),
    row(12, "several blocks have one ack", &Via::ALL, network::window),
    row(13, "block numbers wrap", &Via::ALL, network::wrap),
    row(14, "the sorcerers apprentice", &Via::ALL, network::apprentice),
    row(15, "multicast is asked for", &Via::SEEN, clients::multicast).at(no_multicast),
    row(16, "a client pauses for a minute", &Via::ALL, clients::pause),
    row(17, "a client tells everybody", &FROM_V4, clients::aironet).at(broadcast),
    row(18, "an error of a stranger", &Via::SEEN, servers::foreign_error),
    row(19, "uefi over ipv6", &FROM_V6, clients::uefi_v6),
    row(20, "odd and broken requests", &Via::ALL, clients::odd_requests),
    row(21, "short datagrams are padded", &Via::ALL, network::padding),
    row(22, "uploads", &Via::ALL, network::uploads),
    row(23, "answers pass the gate by", &[Via::Dsr, Via::Dsr6], servers::direct_return),
    row(24, "a server takes so many at most", &Via::ALL, servers::limit).at(limits),
    row(25, "a server does not answer", &Via::ALL, servers::silence).at(two_servers),
    row(26, "tcp from syn to fin", &Via::ALL, connections::tcp),
    row(27, "nobody listens over tcp", &Via::SEEN, connections::refused),
    row(28, "ftp where clients connect", &Via::SEEN, connections::passive),
    row(29, "ftp where servers connect", &Via::SEEN, connections::server_connects),
    row(30, "ftp says port in two segments", &Via::SEEN, connections::split),
    row(31, "ftp says port in two segments and again", &Via::SEEN, connections::sent_again),
    row(32, "ftp says port twice in a segment", &Via::SEEN, connections::pipelined),
    row(33, "ftp goes over to tls", &Via::SEEN, connections::encrypted),
];

const FROM_V4: [Via; 3] = [Via::Nat, Via::Snat, Via::Snat46];
const FROM_V6: [Via; 4] = [Via::Dsr6, Via::Nat6, Via::Snat6, Via::Snat64];

impl Row {
    const fn at(self, world: fn(&mut Snapshot, Via)) -> Row {
        Row { world, ..self }
    }

    /// File name of its capture.
    pub fn file(&self, via: Via) -> String {
        let name = self.name.replace(' ', "-");
        format!("{:02}-{name}.{}.pcapng", self.number, format!("{via:?}").to_lowercase())
    }

    /// The gate's snapshot: every service has one server, unless the habit needs two.
    pub fn snapshot(&self, via: Via) -> Snapshot {
        let mut snapshot = snapshots::one_server();
        self.prepare(&mut snapshot, via);
        snapshot
    }

    /// Adapts a snapshot.
    pub fn prepare(&self, snapshot: &mut Snapshot, via: Via) {
        (self.world)(snapshot, via);
    }

    /// The scene at a gate with `workers` workers.
    pub fn scene(&self, via: Via, workers: u16) -> Scene {
        let mut scene = Scene::new(via, workers);
        (self.play)(&mut scene);
        scene
    }
}
