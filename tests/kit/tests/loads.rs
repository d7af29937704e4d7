//! Benchmark loads consist of packets that the gate forwards.

use engine::types::frame::BURST;
use engine::types::verdict::Verdict;
use kit::tcp_load::TcpLoad;
use kit::topology::Via;
use kit::udp_load::{Flat, UdpLoad, Way};

#[test]
fn packets_of_both_families_fit_and_pass() {
    for via in Via::ALIKE {
        let ways: &[Way] = if via.is_dsr() { &[Way::In] } else { &[Way::In, Way::Out] };
        let mut udp = UdpLoad::new(via, 1000);
        let mut tcp = TcpLoad::new(via, 1000);
        for &way in ways {
            let mut frames = vec![Flat::EMPTY; BURST];
            udp.draw(way, &mut frames);
            passed(via, way, &udp.process(way, &mut frames));
            tcp.draw(way, &mut frames);
            passed(via, way, &tcp.process(way, &mut frames));
        }
    }
}

#[test]
fn answers_come_to_the_ports_of_large_pools() {
    for via in [Via::Snat, Via::Snat6] {
        let mut load = UdpLoad::new(via, 100_000);
        let mut frames = vec![Flat::EMPTY; BURST];
        load.draw(Way::Out, &mut frames);
        passed(via, Way::Out, &load.process(Way::Out, &mut frames));
    }
}

fn passed(via: Via, way: Way, verdicts: &[Verdict]) {
    for verdict in verdicts {
        assert!(matches!(verdict, Verdict::Transmit(_)), "{via:?} {way:?}: {verdict:?}");
    }
}
