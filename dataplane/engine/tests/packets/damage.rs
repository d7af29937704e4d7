//! Damaged saved state: a single changed byte. Its row is restored or discarded; no later packet makes the next process
//! panic, and its counters balance.

use engine::snapshot::{BackendState, Protocol, Snapshot};
use engine::state::references::References;
use engine::state::restore::Adopted;
use kit::connections::{Connection, add, add_rules, snapshot};
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::remains::Remains;
use kit::topology::Via;
use kit::transfer::{Transfer, ask, client, run};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;

const SSH: u16 = 22;
const ECHO: u16 = 7;
/// Few rows, as they are rebuilt for each byte.
const FLOWS: u32 = 32;

/// Rows of every kind: transfers that wait, run, are over and fail over; connections, and one by a NAT rule.
struct Left {
    talks: Vec<Transfer>,
    lines: Vec<Connection>,
    remains: Remains,
}

fn world() -> Snapshot {
    let mut snapshot = snapshot(Protocol::Tcp, SSH);
    add(&mut snapshot, Protocol::Udp, ECHO, [1, 1]);
    add_rules(&mut snapshot, None);
    snapshot
}

fn leave() -> Left {
    let mut gate = EngineHarness::with(world(), FLOWS);
    let mut talks: Vec<_> =
        (1..).zip(Via::ALL).map(|(n, via)| run(&mut gate, via, client(via, n))).collect();
    for (n, via) in (20..).zip(Via::ALL) {
        talks.push(ask(&mut gate, via, &rrq(client(via, n), via.vip(), "waits.img")));
    }
    let over = talks[2];
    let _ = gate.take(over.data(2, 7));
    let _ = gate.take(over.ack(2));
    let lines: Vec<_> =
        Via::ALL.map(|via| Connection::open(&mut gate, via, client(via, 40), SSH)).into();
    let by_rule = Connection::new(Via::Nat, Via::Nat.client(), 40_000);
    let server = SocketAddr::new(Via::Nat.server(0), 20);
    let opened = Connection { server, seen_as: Via::Nat.client(), ..by_rule }.from_server("S", "");
    let _ = gate.take(opened).sent_segment();
    let dead = usize::from(gate.transfer(talks[1].client).backend);
    gate.change(|snapshot| snapshot.backends[dead].state = BackendState::Down);
    gate.wait(1);
    Left { talks, lines, remains: Remains::of(gate, FLOWS) }
}

impl Left {
    /// Restores with these bytes changed; returns the number of discarded rows.
    fn goes_on_with(&self, damage: &[(usize, u8)]) -> usize {
        let gate = self.remains.damaged(damage).inherited(world());
        let given_up = gate.adopted.broken;
        self.go_on(gate);
        given_up
    }

    /// All flows go on; then none does.
    fn go_on(&self, mut gate: EngineHarness) {
        for transfer in &self.talks {
            let _ = gate.take(transfer.data(2, 512));
            let _ = gate.take(transfer.ack(1));
            let _ = gate.take(transfer.ack(2));
        }
        for line in &self.lines {
            let _ = gate.take(line.from_client("AP", "hello"));
            let _ = gate.take(line.from_server("AP", "hello"));
            let _ = gate.take(line.from_server("AR", ""));
        }
        let _ = (gate.transfers(), gate.connections());
        let mut uses = References::of(&gate.engine.snapshot);
        while !gate.engine.note_references(&mut uses) {}
        while gate.engine.originate(gate.now).is_some() {}
        for _ in 0..5 {
            gate.now = gate.now.after(20_000);
            gate.wait(1);
        }
        assert_eq!((gate.transfers().len(), gate.connections().len()), (0, 0), "rows for ever");
    }
}

#[test]
fn all_of_it_goes_on_where_nothing_is_damaged() {
    let left = leave();
    let gate = left.remains.inherited(world());
    assert_eq!(gate.adopted, Adopted { whole: 2 * 8 + 8 + 1, broken: 0 });
    left.go_on(gate);
}

#[test]
fn any_byte_may_be_another_one() {
    let left = leave();
    let memory = &left.remains.memory;
    let used = |at: &usize| memory[at / 16 * 16..at / 16 * 16 + 16].iter().any(|&b| b != 0);
    let mut given_up = 0;
    for at in (0..memory.len()).filter(used) {
        for other in [!memory[at], memory[at].wrapping_add(1)] {
            given_up += left.goes_on_with(&[(at, other)]);
        }
    }
    assert!(given_up > 1000, "{given_up} rows were given up");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn many_bytes_may_be_other_ones(damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..2000)) {
        let left = leave();
        let damage: Vec<_> =
            damage.into_iter().map(|(at, byte)| (at.index(left.remains.memory.len()), byte)).collect();
        left.goes_on_with(&damage);
    }
}
