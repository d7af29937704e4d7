//! Any frame, to a gate with a transfer in every mode and connections of every kind.
#![no_main]

use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::service::Service;
use engine::snapshot::{Ftp, Protocol};
use engine::types::verdict::Verdict;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use kit::connections::{Connection, add, add_rules};
use kit::engine_harness::EngineHarness;
use kit::topology::{FLOWS, Via, snapshot};
use kit::transfer::run;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
/// Services beside TFTP.
const SERVICES: [(Protocol, u16); 3] = [(Protocol::Tcp, 22), (FTP, 21), (Protocol::Udp, 53)];

thread_local! {
    static GATE: RefCell<EngineHarness> = RefCell::new(gate());
}

fn gate() -> EngineHarness {
    let mut world = snapshot();
    world.services.iter_mut().for_each(restrict);
    SERVICES.into_iter().for_each(|(protocol, port)| add(&mut world, protocol, port, [1, 1]));
    add_rules(&mut world, None);
    let mut gate = EngineHarness::with(world, FLOWS);
    for via in Via::ALL {
        run(&mut gate, via, via.client());
        Connection::open(&mut gate, via, via.client(), 22);
        Connection::open(&mut gate, via, via.client(), 21);
    }
    gate
}

fn restrict(service: &mut Service) {
    let (deny_files, strip) = (vec!["**/secret/**".to_owned()], vec!["multicast".to_owned()]);
    service.access = Access { read_only: true, deny_files, ..Access::default() };
    service.options = OptionLimits { max_blksize: Some(1428), max_windowsize: Some(4), strip };
}

fuzz_target!(|frame: &[u8]| {
    GATE.with_borrow_mut(|gate| {
        let outcome = gate.take(frame);
        let (was, is) = (is_sound(&outcome.before), is_sound(&outcome.bytes));
        match outcome.verdict {
            Verdict::Drop(_) | Verdict::Kernel => return,
            Verdict::Answer => assert!(is, "an answer is made in full"),
            Verdict::Transmit(_) => assert!(is || !was, "a sound packet stays sound"),
            Verdict::Absorb | Verdict::Hold(_) | Verdict::HandOver(_) => {}
        }
        while let Some((_, originate_rate)) = gate.engine.originate(gate.now) {
            assert!(is_sound(&originate_rate), "what is said is made in full");
        }
        // State changed by this frame must not affect the next one.
        *gate = self::gate();
    });
});

/// Whether all checksums are right, as far as fragments permit.
fn is_sound(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    match (&packet.net, &packet.transport) {
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) => {
            let header = ip.header().to_header();
            let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload());
            header.header_checksum == header.calc_header_checksum()
                && (udp.checksum() == 0 || is_same(sum.ok(), udp.checksum()))
        }
        (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Udp(udp))) => {
            let header = ip.header().to_header();
            let sum = udp.to_header().calc_checksum_ipv6(&header, udp.payload());
            udp.checksum() != 0 && is_same(sum.ok(), udp.checksum())
        }
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) => {
            let header = ip.header().to_header();
            let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload());
            header.header_checksum == header.calc_header_checksum()
                && is_same(sum.ok(), tcp.checksum())
        }
        (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Tcp(tcp))) => {
            let header = ip.header().to_header();
            let sum = tcp.to_header().calc_checksum_ipv6(&header, tcp.payload());
            is_same(sum.ok(), tcp.checksum())
        }
        _ => true,
    }
}

/// Zero has two forms, and only one of them may be written.
fn is_same(sum: Option<u16>, written: u16) -> bool {
    sum.is_some_and(|sum| sum == written || (sum == 0 && written == 0xffff))
}
