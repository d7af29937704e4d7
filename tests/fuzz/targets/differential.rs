//! The same frames twice, and what leaves must be the same: through one worker and through three; with a reload that
//! says nothing before each frame; with a death and a restart before one of them.
//!
//! Left out is what the documents except. Of workers: SNAT ports, of which each has its own, and numbers of datagrams.
//! Of a restart: those ports' turn, parts of datagrams, and FTP that is read.
#![no_main]

use engine::tables::{Protocol, Tables};
use kit::connections::add;
use kit::gate::Gate;
use kit::house::House;
use kit::world::{self, Via};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use traces::rows::ROWS;
use traces::script::{Arrival, decode};
use wire::ethernet;
use worker::memory::MemoryPort;
use worker::news::{News, Return};

/// Enough for all clients of a script: which rows make room is each worker's own affair.
const PLACES: u32 = 512;
/// Ticks between two frames.
const MOST_TICKS: u16 = 700;
/// Turns until a frame has been handed over, held and released.
const TURNS: usize = 4;

fuzz_target!(|script: &[u8]| {
    let Some((&how, script)) = script.split_first() else { return };
    match how % 3 {
        0 => through_three_workers(script),
        1 => through_reloads(script),
        _ => through_a_restart(script, how.into()),
    }
});

fn through_three_workers(script: &[u8]) {
    let mut one = House::with(1, without_pools(ROWS[0].tables(Via::Nat)), PLACES, wire);
    let mut three = House::with(3, without_pools(ROWS[0].tables(Via::Nat)), PLACES, wire);
    for arrival in decode(script) {
        let queue = usize::from(arrival.queue % 3);
        let alone = leaves(&mut one, 0, &arrival).map(without_number);
        let together = leaves(&mut three, queue, &arrival).map(without_number);
        assert_eq!(sorted(alone), sorted(together));
    }
}

fn through_reloads(script: &[u8]) {
    let tables = ROWS[0].tables(Via::Nat);
    // Of its own: what shares a snapshot shares the SNAT ports.
    let mut plain = House::with(1, ROWS[0].tables(Via::Nat), PLACES, wire);
    let mut reloaded = House::with(1, tables.clone(), PLACES, wire);
    for arrival in decode(script) {
        let news = News::Tables(Arc::new(tables.clone()));
        assert!(reloaded.desks[0].news.push(news).is_ok(), "a message a turn");
        assert!(
            leaves(&mut plain, 0, &arrival).eq(leaves(&mut reloaded, 0, &arrival)),
            "a reload that says nothing changes nothing"
        );
        assert!(matches!(reloaded.desks[0].returns.pop(), Some(Return::Tables(_))));
    }
}

fn through_a_restart(script: &[u8], at: usize) {
    let tables = || {
        let mut tables = world::tables();
        add(&mut tables, Protocol::Tcp, 22, [1, 0]);
        for (via, rotas) in Via::ALL.into_iter().zip(&mut tables.rotas) {
            *rotas = world::rotas(via, engine::select::rota::Scheduler::SourceHash, [1, 1]);
        }
        without_pools(tables)
    };
    let mut lives = Gate::with(tables(), PLACES);
    let mut dies = Gate::with(tables(), PLACES);
    for (n, arrival) in decode(script).filter(|arrival| !is_part(arrival.frame)).enumerate() {
        if n == at / 3 {
            dies = dies.reborn(tables());
        }
        let [alive, again] = [&mut lives, &mut dies].map(|gate| {
            gate.now = gate.now.after(u32::from(arrival.ticks % MOST_TICKS));
            gate.wait(1);
            let outcome = gate.take(arrival.frame);
            (outcome.verdict, without_number(outcome.bytes))
        });
        assert_eq!(alive, again);
    }
}

fn wire(_: engine::tables::InterfaceId) -> MemoryPort {
    MemoryPort::new(64)
}

/// What leaves when this frame has come, also for the kernel.
fn leaves(
    house: &mut House<MemoryPort>,
    queue: usize,
    arrival: &Arrival,
) -> impl Iterator<Item = Vec<u8>> {
    use engine::frame::Frame;
    house.skip((arrival.ticks % MOST_TICKS).into());
    house.arrive(queue, arrival.frame);
    (0..TURNS).for_each(|_| house.turn());
    let for_the_kernel = house.left_to_kernel().into_iter().map(|frame| frame.bytes().to_vec());
    house.left().into_iter().chain(for_the_kernel.collect::<Vec<_>>())
}

fn sorted(frames: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = frames.collect();
    frames.sort();
    frames
}

/// The world without the services that have a SNAT pool.
fn without_pools(mut tables: Tables) -> Tables {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        tables.set_live(via.service(), false);
    }
    tables
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERNET: usize = size_of::<ethernet::Ethernet>();

/// The frame without the number of its IPv4 datagram, and without the checksum over that.
fn without_number(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.get(12..14) == Some(&IPV4) && frame.len() >= ETHERNET + 20 {
        frame[ETHERNET + 4..ETHERNET + 6].fill(0);
        frame[ETHERNET + 10..ETHERNET + 12].fill(0);
    }
    frame
}

/// Whether it may hold a part of a datagram.
fn is_part(frame: &[u8]) -> bool {
    let fragment = frame.get(ETHERNET + 6..ETHERNET + 8).unwrap_or_default();
    match frame.get(12..14) {
        Some(ether_type) if ether_type == IPV4 => fragment != [0, 0] && fragment != [0x40, 0],
        // Behind other extension headers, too.
        Some(ether_type) if ether_type == IPV6 => {
            fragment.first().is_some_and(|&next| next != 17 && next != 6)
        }
        Some(_) | None => false,
    }
}
