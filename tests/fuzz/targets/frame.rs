//! Any frame, to a gate where a transfer runs in every mode, and connections of every kind.
#![no_main]

use engine::policy::{Access, OptionLimits};
use engine::tables::{Ftp, Protocol, Service};
use engine::verdict::Verdict;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use kit::connections::{Line, add, add_rules};
use kit::gate::Gate;
use kit::talk::run;
use kit::world::{FLOWS, Via, tables};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
/// Services beside TFTP's.
const SERVICES: [(Protocol, u16); 3] = [(Protocol::Tcp, 22), (FTP, 21), (Protocol::Udp, 53)];

thread_local! {
    static GATE: RefCell<Gate> = RefCell::new(gate());
}

fn gate() -> Gate {
    let mut world = tables();
    world.services.iter_mut().for_each(restrict);
    SERVICES.into_iter().for_each(|(protocol, port)| add(&mut world, protocol, port, [1, 1]));
    add_rules(&mut world, None);
    let mut gate = Gate::with(world, FLOWS);
    for via in Via::ALL {
        run(&mut gate, via, via.client());
        Line::open(&mut gate, via, via.client(), 22);
        Line::open(&mut gate, via, via.client(), 21);
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
        while let Some((_, speech)) = gate.core.speak(gate.now) {
            assert!(is_sound(&speech), "what is said is made in full");
        }
        // What changes the gate must not have anything to do with the next frame.
        *gate = self::gate();
    });
});

/// Whether all checksums are right, as far as this tells packets in parts.
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
