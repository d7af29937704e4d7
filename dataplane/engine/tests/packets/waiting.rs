//! How long a silent transfer lives, and what comes for one that does no longer.

use engine::reason::Reason;
use kit::gate::Gate;
use kit::packet::Packet;
use kit::story::{data, oack, rrq_with};
use kit::talk::{Talk, ask, run};
use kit::world::{IDLE, Via, tables};
use std::net::SocketAddr;

/// Seconds, and the ticks that a transfer lives by them.
const GRANTED: (&str, u32, u32) = ("timeout", 70, 3 * 700);

#[test]
fn a_transfer_outlives_three_of_the_timeouts_that_were_granted() {
    for via in Via::ALL {
        for (option, value, lives) in
            [GRANTED, ("utimeout", 70_000_000, 2100), ("timeout", 5, IDLE), ("timeout", 255, 7650)]
        {
            let mut gate = Gate::new();
            let options = [(option, value)];
            let request = rrq_with(via.client(), via.vip(), "f", &options);
            let talk = ask(&mut gate, via, &request);
            if !via.is_dsr() {
                let _ = gate.take(oack(talk.server, talk.seen_as, &options)).sent();
            }
            let _ = gate.take(talk.ack(0)).sent();
            gate.wait(lives - 1);
            if !via.is_dsr() {
                let first = talk.data(1, 512);
                talk.client_gets(gate.take(&first), &first.payload);
            }
            let _ = gate.take(talk.ack(1)).sent();
            let mut gate = gate.reborn(tables());
            gate.wait(lives - 1);
            assert_eq!(gate.transfers().len(), 1, "{via:?} {option} {value}");
            gate.wait(1);
            assert!(gate.transfers().is_empty(), "{via:?} {option} {value}");
        }
    }
}

/// Anybody can ask in another's name.
#[test]
fn a_client_that_was_not_heard_has_no_longer_a_life_by_it() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let (option, value, _) = GRANTED;
        let request = rrq_with(via.client(), via.vip(), "f", &[(option, value)]);
        let talk = ask(&mut gate, via, &request);
        if !via.is_dsr() {
            let _ = gate.take(oack(talk.server, talk.seen_as, &[(option, value)])).sent();
        }
        gate.wait(IDLE);
        assert!(gate.transfers().is_empty(), "{via:?}");
    }
}

/// However the transfer was forgotten.
#[test]
fn a_server_whose_transfer_was_forgotten_does_not_reach_its_client() {
    let ends: [fn(&mut Gate, Talk); 3] = [
        |gate, _| gate.wait(IDLE),
        |gate, talk| {
            let _ = gate.take(talk.client_error(3)).sent();
            gate.wait(50);
        },
        |gate, talk| {
            let _ = gate.take(talk.data(2, 9)).sent();
            let _ = gate.take(talk.ack(2)).sent();
            gate.wait(50);
        },
    ];
    for via in Via::SEEN {
        for end in ends {
            let mut gate = Gate::new();
            let talk = run(&mut gate, via, via.client());
            end(&mut gate, talk);
            for _ in 0..3 {
                let late = gate.take(talk.data(2, 9));
                if via.is_snat() {
                    late.dropped(Reason::NoTransfer);
                } else {
                    talk.server_is_told_off(late);
                }
                gate.wait(200);
            }
            if !via.is_snat() {
                // Another endpoint's is the kernel's, and so is what comes when nobody waits any longer.
                let elsewhere = SocketAddr::new(via.client().ip(), via.client().port() + 1);
                gate.take(data(talk.server, elsewhere, 1, 512)).to_kernel();
                gate.take(Packet { payload: b"no TFTP".into(), ..talk.data(1, 1) }).to_kernel();
                gate.wait(IDLE);
                gate.take(talk.data(2, 9)).to_kernel();
            }
        }
    }
}
