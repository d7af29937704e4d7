//! Flows that a gate tells when it has lost its addresses: those that it had not told, or not as they are.

use engine::snapshot::{Ftp, Protocol, Snapshot};
use engine::state::sync::{AddressSet, Gains};
use engine::types::drop_reason::DropReason;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, add};
use kit::packets::rrq;
use kit::pair::{MIN_AGE, Pair};
use kit::topology::{Via, snapshot};
use kit::transfer::{ask, client, run};

const NONE: [u32; 6] = [0; 6];
const SSH: u16 = 22;
const FTP: u16 = 21;

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, SSH, [1, 1]);
    world
}

/// The second gate gets the addresses; returns when. It resets nobody for a while.
fn moves(pair: &mut Pair) -> Tick {
    pair.wait(1);
    pair.fail_over();
    let gained = pair.gates[1].now;
    pair.gates[1].change(|snapshot| snapshot.resets_from = Some(gained.after(50)));
    gained
}

#[test]
fn young_flows_are_told_when_the_addresses_are_lost() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let transfer = run(&mut pair.gates[0], via, client(via, 1));
        let mut line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        assert_eq!(pair.tell(0), (0, NONE), "they are young");
        let gained = moves(&mut pair);
        let says = line.from_client("AP", "get");
        pair.gates[1].take(transfer.ack(2)).dropped(DropReason::NoService);
        pair.gates[1].take(&says).dropped(DropReason::NoConnection);
        pair.wait(2);
        assert_eq!(pair.tell_rest(gained), (2, NONE), "{via:?}");
        let gate = &mut pair.gates[1];
        let _ = gate.take(transfer.ack(2)).sent();
        line.client_says(gate, "AP", "get");
        if !via.is_dsr() {
            transfer.client_gets(gate.take(transfer.data(3, 9)), &transfer.data(3, 9).payload);
            line.server_says(gate, "AP", "image");
        }
        assert_eq!(pair.tell_rest(gained).1, NONE, "what goes on here is left alone");
        let _ = pair.gates[1].take(line.from_client("AP", "more")).sent_segment();
    }
}

/// The answer to a request is on its way to the client when the addresses move.
#[test]
fn transfers_of_unheard_clients_are_told_in_the_end() {
    for via in Via::SEEN {
        let mut pair = Pair::new(world);
        let transfer = ask(&mut pair.gates[0], via, &rrq(client(via, 1), via.vip(), "boot.img"));
        let _ = pair.gates[0].take(transfer.data(1, 512)).sent();
        let asked = ask(&mut pair.gates[0], via, &rrq(client(via, 2), via.vip(), "boot.img"));
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (0, NONE));
        let gained = moves(&mut pair);
        assert_eq!(pair.tell_rest(gained), (2, NONE), "{via:?}");
        let gate = &mut pair.gates[1];
        transfer.server_gets(gate.take(transfer.ack(1)), &[0, 4, 0, 1]);
        asked.client_gets(gate.take(asked.data(1, 9)), &asked.data(1, 9).payload);
    }
}

/// Without addresses that came just now, rows of held addresses are refused as ever.
#[test]
fn the_rest_is_told_to_nobody_else() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let _ = run(&mut pair.gates[0], via, client(via, 1));
        let rows = {
            pair.wait(MIN_AGE);
            pair.rows(0)
        };
        pair.fail_over();
        let held = pair.hear(1, rows);
        assert_eq!(held, [1, 0, 0, 0, 0, 0], "{via:?}");
    }
}

/// Each address is asked for itself whether it was lost here, and got there.
#[test]
fn the_rest_is_told_of_addresses_that_have_moved() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let _ = run(&mut pair.gates[0], via, client(via, 1));
        let gained = moves(&mut pair);
        let snapshot = pair.gates[0].engine.snapshot.clone();
        let none = || AddressSet::default().with(&AddressSet::held(&snapshot));
        assert!(none().is_empty());
        assert_eq!(pair.tell_rest_of(none(), Gains::default()), (0, NONE), "nothing was lost");
        // The pool tells whose it is, if there is one.
        let of = |vip: bool, pool: bool| AddressSet {
            vips: vec![vip; snapshot.vips.len()],
            snat: vec![pool; snapshot.snat.len()],
        };
        let told = |set: &AddressSet| if via.is_snat() { set.snat[0] } else { set.vips[0] };
        for lost in [of(true, false), of(false, true)] {
            pair.forget(0);
            let expected = usize::from(told(&lost));
            let held = [expected as u32, 0, 0, 0, 0, 0];
            assert_eq!(pair.tell_rest_of(lost.clone(), Gains::default()), (expected, held));
            pair.forget(0);
            let times = |set: &[bool]| set.iter().map(|&is| is.then_some(gained)).collect();
            let gains = Gains { vips: times(&lost.vips), snat: times(&lost.snat) };
            assert_eq!(pair.tell_rest_of(lost, gains), (expected, NONE), "{via:?}");
        }
    }
}

/// The other gate's flow between the same ends is the newer one.
#[test]
fn flows_that_have_begun_meanwhile_stay() {
    for via in Via::SEEN {
        let mut pair = Pair::new(world);
        let _ = run(&mut pair.gates[0], via, client(via, 1));
        let gained = moves(&mut pair);
        let newer = run(&mut pair.gates[1], via, client(via, 1));
        assert_eq!(pair.tell_rest(gained), (1, NONE));
        let gate = &mut pair.gates[1];
        newer.client_gets(gate.take(newer.data(2, 512)), &newer.data(2, 512).payload);
        newer.server_gets(gate.take(newer.ack(2)), &[0, 4, 0, 2]);
    }
}

/// The client has asked again, at the other gate: its first server may be the only one that answers.
#[test]
fn an_unanswered_request_makes_way_for_the_first_one() {
    for via in Via::SEEN {
        let mut pair = Pair::new(world);
        let request = rrq(client(via, 1), via.vip(), "boot.img");
        let first = ask(&mut pair.gates[0], via, &request);
        let _ = pair.gates[0].take(first.data(1, 512)).sent();
        let gained = moves(&mut pair);
        let _ = ask(&mut pair.gates[1], via, &request);
        let other = ask(&mut pair.gates[1], via, &rrq(client(via, 2), via.vip(), "boot.img"));
        assert_eq!(pair.tell_rest(gained), (1, NONE), "{via:?}");
        let gate = &mut pair.gates[1];
        first.client_gets(gate.take(first.data(1, 512)), &first.data(1, 512).payload);
        first.server_gets(gate.take(first.ack(1)), &[0, 4, 0, 1]);
        other.client_gets(gate.take(other.data(1, 9)), &other.data(1, 9).payload);
    }
}

#[test]
fn a_session_is_told_as_it_was_read_last() {
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for via in Via::SEEN {
        let mut pair = Pair::new(|| {
            let mut world = snapshot();
            add(&mut world, ftp, FTP, [1, 1]);
            world
        });
        let mut line = Connection::open(&mut pair.gates[0], via, client(via, 1), FTP);
        line.server_says(&mut pair.gates[0], "AP", "220 ready\r\n");
        line.client_says(&mut pair.gates[0], "A", "");
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}");
        // Read after it was told.
        line.client_says(&mut pair.gates[0], "AP", "USER anonymous\r\n");
        line.server_says(&mut pair.gates[0], "AP", "331 password\r\n");
        line.client_says(&mut pair.gates[0], "A", "");
        let gained = moves(&mut pair);
        assert_eq!(pair.tell_rest(gained).1, NONE, "{via:?}");
        let gate = &mut pair.gates[1];
        line.client_says(gate, "AP", "PASS guest\r\n");
        let heard = line.server_says(gate, "AP", "230 welcome\r\n");
        assert_eq!(heard.text(), "230 welcome\r\n");
        assert!(matches!(gate.take(line.from_client("A", "")).verdict, Verdict::Transmit(_)));
    }
}
