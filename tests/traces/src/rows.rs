//! The stories: what real clients and servers do, by number. Where it can be seen is said with each.

mod clients;
mod connections;
mod network;
mod servers;

use crate::scene::Scene;
use engine::policy::OptionLimits;
use engine::select::cap::{Cap, Places};
use engine::select::rota::Scheduler;
use engine::tables::{Ftp, Owner, Protocol, Tables};
use kit::connections::add;
use kit::world::{self, OUTSIDE, Via};
use std::net::{IpAddr, Ipv4Addr};

/// One habit.
pub struct Row {
    /// Its number among all.
    pub number: u8,
    /// What they do, in a few words.
    pub name: &'static str,
    /// The modes in which there is such a thing.
    pub modes: &'static [Via],
    /// What is special about the gate.
    world: fn(&mut Tables, Via),
    play: fn(&mut Scene),
}

const fn row(number: u8, name: &'static str, modes: &'static [Via], play: fn(&mut Scene)) -> Row {
    Row { number, name, modes, world: |_, _| (), play }
}

/// All of them.
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

/// The ports of services over TCP.
const SSH: u16 = 22;
const FTP: u16 = 21;

const FROM_V4: [Via; 3] = [Via::Nat, Via::Snat, Via::Snat46];
const FROM_V6: [Via; 4] = [Via::Dsr6, Via::Nat6, Via::Snat6, Via::Snat64];

/// Another address that the server answers from.
fn alias(via: Via) -> IpAddr {
    via.at_server().station(u8::from(!via.is_snat()), 200)
}

fn aliases(tables: &mut Tables, via: Via) {
    let server = tables.addresses.get(via.server(0)).expect("a server");
    tables.addresses.insert(alias(via), server);
    tables.backends[usize::from(via.backend(0))].aliases = vec![alias(via)];
}

/// The first server's turn comes first.
fn two_servers(tables: &mut Tables, via: Via) {
    tables.rotas[usize::from(via.service())] = world::rotas(via, Scheduler::LeastTransfers, [2, 1]);
}

fn no_multicast(tables: &mut Tables, via: Via) {
    let strip = vec!["multicast".to_owned()];
    let options = OptionLimits { strip, ..OptionLimits::default() };
    tables.services[usize::from(via.service())].options = options;
}

/// Two servers, of which the one that comes first takes one transfer and the other one two.
fn limits(tables: &mut Tables, via: Via) {
    tables.rotas[usize::from(via.service())] = world::rotas(via, Scheduler::LeastTransfers, [2, 1]);
    for (n, most) in [(0, 1), (1, 2)] {
        let cap = Cap::new(most, Places::default());
        tables.backends[usize::from(via.backend(n))].cap = Some(cap);
    }
}

fn broadcast(tables: &mut Tables, via: Via) {
    tables.interfaces[usize::from(OUTSIDE)].broadcast = Some(via.service());
    tables.addresses.insert(EVERYBODY, Owner::Everybody);
}

const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// The weights of two servers of which only the first one is asked.
const ONE: [u16; 2] = [1, 0];

impl Row {
    const fn at(self, world: fn(&mut Tables, Via)) -> Row {
        Row { world, ..self }
    }

    /// The name of its capture.
    pub fn file(&self, via: Via) -> String {
        let name = self.name.replace(' ', "-");
        format!("{:02}-{name}.{}.pcapng", self.number, format!("{via:?}").to_lowercase())
    }

    /// The gate that it is played at: every service has one server, unless it is about two.
    pub fn tables(&self, via: Via) -> Tables {
        let mut tables = world::tables();
        for (via, rotas) in Via::ALL.into_iter().zip(&mut tables.rotas) {
            *rotas = world::rotas(via, Scheduler::RoundRobin, ONE);
        }
        let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
        for (protocol, port) in [(Protocol::Tcp, SSH), (ftp, FTP)] {
            add(&mut tables, protocol, port, ONE);
        }
        self.prepare(&mut tables, via);
        tables
    }

    /// Makes of a gate what this needs.
    pub fn prepare(&self, tables: &mut Tables, via: Via) {
        (self.world)(tables, via);
    }

    /// What happens at a gate with so many workers.
    pub fn scene(&self, via: Via, workers: u16) -> Scene {
        let mut scene = Scene::new(via, workers);
        (self.play)(&mut scene);
        scene
    }
}
