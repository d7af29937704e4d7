//! A byte of what a process has left is another one. The row that it is in goes on or is given up; nothing that comes
//! then makes the next process panic, and its counters balance.

use engine::own::adopt::Adopted;
use engine::own::uses::Uses;
use engine::tables::{Duty, Protocol, Tables};
use kit::connections::{Line, add, add_rules, tables};
use kit::gate::Gate;
use kit::remains::Remains;
use kit::story::rrq;
use kit::talk::{Talk, ask, client, run};
use kit::world::Via;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;

const SSH: u16 = 22;
const ECHO: u16 = 7;
/// Few, so that what is made anew for each byte is little.
const FLOWS: u32 = 32;

/// Every kind of row: transfers that wait, run, are over and are helped, connections, and one by a rule.
struct Left {
    talks: Vec<Talk>,
    lines: Vec<Line>,
    remains: Remains,
}

fn world() -> Tables {
    let mut tables = tables(Protocol::Tcp, SSH);
    add(&mut tables, Protocol::Udp, ECHO, [1, 1]);
    add_rules(&mut tables, None);
    tables
}

fn leave() -> Left {
    let mut gate = Gate::with(world(), FLOWS);
    let mut talks: Vec<_> =
        (1..).zip(Via::ALL).map(|(n, via)| run(&mut gate, via, client(via, n))).collect();
    for (n, via) in (20..).zip(Via::ALL) {
        talks.push(ask(&mut gate, via, &rrq(client(via, n), via.vip(), "waits.img")));
    }
    let over = talks[2];
    let _ = gate.take(over.data(2, 7));
    let _ = gate.take(over.ack(2));
    let lines: Vec<_> = Via::ALL.map(|via| Line::open(&mut gate, via, client(via, 40), SSH)).into();
    let by_rule = Line::new(Via::Nat, Via::Nat.client(), 40_000);
    let server = SocketAddr::new(Via::Nat.server(0), 20);
    let opened = Line { server, seen_as: Via::Nat.client(), ..by_rule }.from_server("S", "");
    let _ = gate.take(opened).sent_segment();
    let dead = usize::from(gate.transfer(talks[1].client).backend);
    gate.change(|tables| tables.backends[dead].duty = Duty::Down);
    gate.wait(1);
    Left { talks, lines, remains: Remains::of(gate, FLOWS) }
}

impl Left {
    /// The next process goes on with other bytes at these places; answers how many rows it gives up.
    fn goes_on_with(&self, damage: &[(usize, u8)]) -> usize {
        let gate = self.remains.damaged(damage).inherited(world());
        let given_up = gate.adopted.broken;
        self.go_on(gate);
        given_up
    }

    /// Everybody goes on; then nobody does.
    fn go_on(&self, mut gate: Gate) {
        for talk in &self.talks {
            let _ = gate.take(talk.data(2, 512));
            let _ = gate.take(talk.ack(1));
            let _ = gate.take(talk.ack(2));
        }
        for line in &self.lines {
            let _ = gate.take(line.from_client("AP", "hello"));
            let _ = gate.take(line.from_server("AP", "hello"));
            let _ = gate.take(line.from_server("AR", ""));
        }
        let _ = (gate.transfers(), gate.connections());
        let mut uses = Uses::of(&gate.core.tables);
        while !gate.core.note_uses(&mut uses) {}
        while gate.core.speak(gate.now).is_some() {}
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
