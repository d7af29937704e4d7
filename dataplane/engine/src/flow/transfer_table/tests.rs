//! The table against a simple model, with random operations.

use super::*;
use crate::alg::tftp::{self, Assurance};
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::saved_request::SavedRequest;
use crate::flow::state::Operation;
use crate::flow::store::Store;
use crate::flow::transfer::Parties;
use crate::types::id::VipId;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use wire::tftp::Message;

fn table(capacity: u32, seed: Seed, now: Tick) -> TransferTable {
    let Store { transfers, details, .. } = Store::new(capacity, 0);
    TransferTable::new((transfers, details), usize::from(SERVERS), seed, now)
}

const CAPACITY: u32 = 6;
const ENDPOINTS: u8 = 4;
const VIPS: u16 = 2;
/// Number of servers; each is a backend, too.
const SERVERS: u8 = 3;

/// An operation on the table. A flow is named by its client's key.
#[derive(Debug, Clone)]
enum Step {
    Insert { endpoint: u8, vip: u16, server: u8, seen: bool, wait: u32 },
    Learn { endpoint: u8, vip: u16 },
    Speak { endpoint: u8, vip: u16, to_server: bool },
    Close { endpoint: u8, vip: u16, wait: u32 },
    Rearm { endpoint: u8, vip: u16, wait: u32 },
    Remove { endpoint: u8, vip: u16 },
    Wait { ticks: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || (0..ENDPOINTS, 0..VIPS);
    let wait = || prop_oneof![0u32..5, 0u32..1000];
    prop_oneof![
        4 => (name(), 0..SERVERS, any::<bool>(), wait()).prop_map(
            |((endpoint, vip), server, seen, wait)| Step::Insert { endpoint, vip, server, seen, wait }
        ),
        2 => name().prop_map(|(endpoint, vip)| Step::Learn { endpoint, vip }),
        3 => (name(), any::<bool>()).prop_map(
            |((endpoint, vip), to_server)| Step::Speak { endpoint, vip, to_server }
        ),
        1 => (name(), wait()).prop_map(|((endpoint, vip), wait)| Step::Close { endpoint, vip, wait }),
        1 => (name(), wait()).prop_map(|((endpoint, vip), wait)| Step::Rearm { endpoint, vip, wait }),
        1 => name().prop_map(|(endpoint, vip)| Step::Remove { endpoint, vip }),
        2 => wait().prop_map(|ticks| Step::Wait { ticks }),
    ]
}

fn client_endpoint(n: u8) -> Endpoint {
    let host = HostId::v4(Ipv4Addr::new(10, 0, 0, n / 2 + 1));
    Endpoint { host, port: 2070 + u16::from(n % 2) }
}

fn file(endpoint: u8, vip: u16) -> [u8; 2] {
    [b'a' + endpoint, b'a' + vip as u8]
}

/// The model's view of a flow.
#[derive(Debug, Clone)]
struct Known {
    id: FlowId,
    server: Option<u8>,
    state: TransferState,
    deadline: u32,
    entered: u32,
    assured: bool,
}

/// The model, and the table under test.
struct Both {
    table: TransferTable,
    model: HashMap<(u8, u16), Known>,
    now: u32,
    entered: u32,
}

impl Both {
    fn new() -> Both {
        let now = u32::MAX - 500; // Time wraps on the way.
        let table = table(CAPACITY, Seed([5, 6]), Tick(now));
        Both { table, model: HashMap::new(), now, entered: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Insert { endpoint, vip, server, seen, wait } => {
                self.insert(endpoint, vip, seen.then_some(server), wait);
            }
            Step::Learn { endpoint, vip } => {
                if let Some(known) = self.model.get_mut(&(endpoint, vip))
                    && known.state == TransferState::Requested
                {
                    known.state = TransferState::Established;
                    self.table.learn(known.id, 5000, Tick(self.now));
                }
            }
            Step::Speak { endpoint, vip, to_server } => {
                if let Some(known) = self.model.get_mut(&(endpoint, vip)) {
                    self.entered += 1;
                    client_sends(&mut self.table, known, to_server, self.entered);
                }
            }
            Step::Close { endpoint, vip, wait } => {
                if let Some(known) = self.model.get_mut(&(endpoint, vip))
                    && known.state != TransferState::Closing
                {
                    self.entered += 1;
                    known.entered = if known.assured { self.entered } else { known.entered };
                    known.state = TransferState::Closing;
                    known.deadline = self.now.wrapping_add(wait);
                    self.table.close(known.id, Tick(known.deadline));
                }
            }
            Step::Rearm { endpoint, vip, wait } => {
                if let Some(known) = self.model.get_mut(&(endpoint, vip)) {
                    known.deadline = self.now.wrapping_add(wait);
                    self.table.rearm(known.id, Tick(known.deadline));
                }
            }
            Step::Remove { endpoint, vip } => {
                if let Some(known) = self.model.remove(&(endpoint, vip)) {
                    let flow = self.table.remove(known.id);
                    assert_eq!(flow.client(), client_endpoint(endpoint));
                }
            }
            Step::Wait { ticks } => self.wait(ticks),
        }
    }

    fn insert(&mut self, client: u8, vip: u16, by: Option<u8>, wait: u32) {
        let same_server_key =
            |(&(other, _), known): (&(u8, u16), &Known)| other == client && known.server == by;
        let taken = self.model.contains_key(&(client, vip))
            || by.is_some() && self.model.iter().any(same_server_key);
        if taken {
            return; // The caller makes sure that it does not come to this.
        }
        let parties = Parties {
            client: client_endpoint(client),
            seen_as: client_endpoint(client),
            vip: VipId(vip),
            backend: BackendId(by.map_or(0, u16::from)),
            back: Transfer::FREE.back,
            answers_from: by.map(|by| ServerId(by.into())),
        };
        let flow = Transfer::requested(parties, Operation::Read, 7, Tick(self.now));
        let deadline = self.now.wrapping_add(wait);
        let request = [b"\0\x01", &file(client, vip)[..], b"\0octet\0"].concat();
        let entered = self.table.insert(&flow, Earlier::NONE, &request, Tick(deadline));
        if self.model.len() as u32 == CAPACITY {
            assert_eq!(entered, Err(Full));
            return;
        }
        let id = entered.expect("room");
        self.entered += 1;
        let known = Known {
            id,
            server: by,
            state: TransferState::Requested,
            deadline,
            entered: self.entered,
            assured: false,
        };
        self.model.insert((client, vip), known);
    }

    /// Everything due comes up once, and nothing else.
    fn wait(&mut self, ticks: u32) {
        self.now = self.now.wrapping_add(ticks);
        let mut due = Vec::new();
        while let Some(id) = self.table.due(Tick(self.now)) {
            due.push(self.table.remove(id));
        }
        let mut due: Vec<_> = due.iter().map(|flow| (flow.client(), flow.vip())).collect();
        let now = self.now;
        let is_due = |known: &Known| Tick(known.deadline).is_due(Tick(now));
        let gone = self.model.extract_if(|_, known| is_due(known));
        let mut expected: Vec<_> =
            gone.map(|((n, vip), _)| (client_endpoint(n), VipId(vip))).collect();
        due.sort();
        expected.sort();
        assert_eq!(due, expected);
    }

    fn agree(&self) {
        let all = (0..ENDPOINTS).flat_map(|n| (0..VIPS).map(move |vip| (n, vip)));
        for (n, vip) in all {
            let found =
                self.table.find(KeyKind::Client, Key::of_client(client_endpoint(n), VipId(vip)));
            let known = self.model.get(&(n, vip));
            assert_eq!(found, known.map(|known| known.id));
            if let Some(Known { id, state, .. }) = known {
                assert_eq!(self.table[*id].state, *state);
                assert_eq!(self.table.detail(*id).request.file(), file(n, vip));
            }
        }
        for (n, by) in (0..ENDPOINTS).flat_map(|n| (0..SERVERS).map(move |by| (n, by))) {
            let key = Key::of_server(client_endpoint(n), ServerId(by.into()));
            let found = self.table.find(KeyKind::Server, key);
            let known = self
                .model
                .iter()
                .find(|((other, _), known)| *other == n && known.server == Some(by));
            assert_eq!(found, known.map(|(_, known)| known.id));
        }
        self.lists_agree();
    }

    fn lists_agree(&self) {
        let oldest = |is_meant: &dyn Fn(&Known) -> bool| {
            let of = self.model.values().filter(|known| is_meant(known));
            of.min_by_key(|known| known.entered).map(|known| known.id)
        };
        let expendable = oldest(&|known| !known.assured)
            .or_else(|| oldest(&|known| known.state == TransferState::Closing));
        assert_eq!(self.table.expendable(), expendable);
        let unassured = self.table.unassured();
        let has_room = |known: &Known| !known.assured && known.state != TransferState::Closing;
        for backend in 0..u16::from(SERVERS) {
            let is_its =
                |known: &Known| known.server.map_or(0, u16::from) == backend && has_room(known);
            assert_eq!(unassured.oldest([BackendId(backend)].into_iter()), oldest(&is_its));
            let all = self.model.values().filter(|known| is_its(known)).count();
            assert_eq!(unassured.len(BackendId(backend)) as usize, all);
        }
        let all = unassured.oldest((0..u16::from(SERVERS)).map(BackendId));
        assert_eq!(all, oldest(&has_room));
        assert_eq!(self.table.is_full(), self.model.len() as u32 == CAPACITY);
        let mut scanned: Vec<_> = self.table.scan(0..self.table.capacity()).collect();
        let mut expected: Vec<_> = self.model.values().map(|known| known.id).collect();
        scanned.sort();
        expected.sort();
        assert_eq!(scanned, expected);
        assert_eq!(self.table.in_use() as usize, expected.len());
    }
}

/// The client sends, to its server or only to the service's port.
fn client_sends(table: &mut TransferTable, known: &mut Known, to_server: bool, now: u32) {
    const ACK: Message = Message::Ack { block: 0 };
    let (tid, service_port) = (Some(5000), || 69);
    let progress = table[known.id].progress;
    let before =
        tftp::Known { tid, earlier: Earlier::NONE, service_port, answers_seen: true, progress };
    let to = if to_server { 5000 } else { 69 };
    let Ok(lesson) = tftp::from_client(&before, to, ACK) else {
        assert!(progress.is_assured() && !to_server);
        return;
    };
    table[known.id].progress = lesson.progress;
    let is_over = known.state == TransferState::Closing;
    match lesson.assurance {
        Assurance::Unchanged => assert!(progress.is_assured()),
        Assurance::Renewed => {
            table.renew(known.id);
            known.entered = if is_over { known.entered } else { now };
        }
        Assurance::Given => {
            table.assure(known.id);
            known.assured = !is_over;
        }
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_map(steps in prop::collection::vec(step(), 1..120)) {
        let mut both = Both::new();
        for step in steps {
            both.run(step);
            both.agree();
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many rows for an interpreter")]
fn a_table_takes_all_it_was_made_for() {
    for capacity in [1, 2, 7, 64, 1000, 40_000] {
        let mut table = table(capacity, Seed([8, 9]), Tick(0));
        for n in 0..capacity {
            let client = Endpoint { host: HostId::from_bits(0x0a00_0000 + n), port: 2070 };
            let parties = Parties {
                client,
                seen_as: client,
                vip: VipId(0),
                backend: BackendId(0),
                back: Transfer::FREE.back,
                answers_from: Some(ServerId(0)),
            };
            let flow = Transfer::requested(parties, Operation::Read, 7, Tick(0));
            let entered = table.insert(&flow, Earlier::NONE, b"", Tick(600));
            assert!(entered.is_ok(), "{n} of {capacity}");
        }
        assert!(table.is_full());
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many rows for an interpreter")]
fn a_flow_takes_at_most_172_bytes_beside_its_request() {
    const FLOWS: usize = 100_000;
    let one = table(FLOWS as u32, Seed([1, 2]), Tick(0));
    // The wheel's slots do not depend on the number of flows.
    let fixed = table(0, Seed([1, 2]), Tick(0)).size();
    let most = FLOWS * (172 + size_of::<SavedRequest>());
    assert!(one.size() - fixed <= most, "{}", one.size());
}
