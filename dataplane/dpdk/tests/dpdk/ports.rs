//! Devices made of memory: what they give back, what they refuse, and what their buffers hold.

use crate::alone::alone;
use crate::support::{BUFFERS, eal, frame, pool};
use dpdk::{Error, Link, Mempool, Port, PortConfig, data_room};
use engine::types::frame::{Burst, Frame};
use std::sync::Arc;
use worker::port::{Pool, Port as _};

#[test]
fn a_ring_gives_back_what_it_took_and_nothing_leaks() {
    alone("ports::a_ring_gives_back_what_it_took_and_nothing_leaks", || {
        let eal = eal(&["--vdev=net_ring0".into()]);
        let pool = pool(&eal);
        let mut port = Port::find(&eal, "net_ring0").unwrap();
        let mut queue = port.start(PortConfig::new(1, 1500), &pool).unwrap().0.remove(0);
        assert_eq!(port.link(), Link { is_up: true, speed: Some(10_000) });
        let mut sent = 0;
        let mut burst = Burst::new();
        while burst.is_empty() {
            burst.extend((0..32).map(|i| pool.frame(&frame(sent + i, 64)).unwrap()));
            queue.transmit(&mut burst);
            sent += 32 - burst.len();
        }
        // Full: the rest stays in the burst, in order.
        assert!(burst.iter().map(Frame::bytes).eq((0..burst.len()).map(|i| frame(sent + i, 64))));
        assert_eq!(pool.available() as usize, BUFFERS as usize - sent - burst.len());
        burst.clear();
        queue.receive(&mut burst);
        assert!(burst.iter().map(Frame::bytes).eq((0..32).map(|i| frame(i, 64))));
        // A burst that is not empty is filled up, no more.
        burst.truncate(10);
        queue.receive(&mut burst);
        let numbers = (0..10).chain(32..54);
        assert!(burst.iter().map(Frame::bytes).eq(numbers.map(|i| frame(i, 64))));
        while !burst.is_empty() {
            burst.clear();
            queue.receive(&mut burst);
        }
        drop((queue, port));
        assert_eq!(pool.available(), BUFFERS);
    });
}

#[test]
fn a_null_device_fills_bursts_until_the_pool_is_empty() {
    alone("ports::a_null_device_fills_bursts_until_the_pool_is_empty", || {
        let eal = eal(&["--vdev=net_null0,size=60".into()]);
        let pool = Arc::new(Mempool::new(&eal, "few", 63, 0, data_room(1500), None).unwrap());
        let mut port = Port::find(&eal, "net_null0").unwrap();
        let mut queue = port.start(PortConfig::new(1, 1500), &pool).unwrap().0.remove(0);
        let mut first = Burst::new();
        let mut second = Burst::new();
        queue.receive(&mut first);
        queue.receive(&mut second);
        assert_eq!((first.len(), first[0].bytes().len(), second.len()), (32, 60, 0));
        let rest: Vec<_> = (0..31).map(|_| pool.frame(&[1; 60]).unwrap()).collect();
        assert!(pool.frame(&[1; 60]).is_none());
        drop(rest);
        queue.transmit(&mut first);
        assert!(first.is_empty());
        assert_eq!(pool.available(), 63);
    });
}

#[test]
fn a_buffer_grows_with_zeroes_up_to_its_room() {
    alone("ports::a_buffer_grows_with_zeroes_up_to_its_room", || {
        let eal = eal(&[]);
        let pool = Mempool::new(&eal, "one", 1, 0, 128 + 2048, None).unwrap();
        assert!(pool.frame(&[7; 2049]).is_none());
        assert_eq!(pool.available(), 1);
        let mut buffer = pool.frame(&[7; 2048]).unwrap();
        assert!(buffer.set_len(3));
        assert!(!buffer.set_len(2049));
        assert!(!buffer.set_len(usize::MAX));
        assert!(!buffer.set_len(65_536 + 3));
        assert_eq!(buffer.bytes(), [7; 3]);
        assert!(buffer.set_len(6));
        assert_eq!(buffer.bytes(), [7, 7, 7, 0, 0, 0]);
        buffer.bytes_mut()[5] = 1;
        assert!(buffer.set_len(2048));
        assert_eq!(buffer.bytes()[..7], [7, 7, 7, 0, 0, 1, 0]);
        assert!(buffer.set_len(0));
        assert!(buffer.bytes().is_empty());
        drop(buffer);
        // At the front there are 128 bytes of DPDK's.
        let mut buffer = pool.frame(&[7; 3]).unwrap();
        assert!(buffer.grow_front(2));
        assert_eq!(buffer.bytes(), [0, 0, 7, 7, 7]);
        assert!(!buffer.grow_front(127) && !buffer.grow_front(usize::MAX));
        assert!(buffer.grow_front(126));
        assert!(!buffer.cut_front(132) && buffer.cut_front(129));
        assert_eq!(buffer.bytes(), [7, 7]);
        assert!(buffer.cut_front(2) && buffer.bytes().is_empty());
    });
}

#[test]
fn a_buffer_may_outlive_its_pool() {
    alone("ports::a_buffer_may_outlive_its_pool", || {
        let eal = eal(&[]);
        let pool = pool(&eal);
        let mut buffer = pool.frame(&[7; 60]).unwrap();
        drop((pool, eal));
        buffer.bytes_mut()[0] = 1;
        assert!(buffer.set_len(2));
        assert_eq!(buffer.bytes(), [1, 7]);
    });
}

#[test]
fn what_a_device_cannot_do_is_an_error_that_says_so() {
    alone("ports::what_a_device_cannot_do_is_an_error_that_says_so", || {
        let eal = eal(&["--vdev=net_null0".into(), "--vdev=net_pcap7,rx_pcap=/nonesuch".into()]);
        let pool = pool(&eal);
        let says = |error: Error, words: &str| {
            let text = error.to_string();
            assert!(text.contains(words) && !text.contains('\n'), "{text}");
        };
        says(Port::find(&eal, "net_pcap7").unwrap_err(), "No such file");
        says(Port::find(&eal, "0000:77:00.0").unwrap_err(), "no device 0000:77:00.0");
        says(Port::find(&eal, "a\0b").unwrap_err(), "no device");
        let mut port = Port::find(&eal, "net_null0").unwrap();
        says(Port::find(&eal, "net_null0").unwrap_err(), "in use already");
        let info = port.info().unwrap();
        assert_eq!(info.driver, "net_null");
        let more = info.max_receive + 1;
        says(port.start(PortConfig::new(more, 1500), &pool).unwrap_err(), "queues");
        says(
            port.start(PortConfig::new(1, 9000), &pool).unwrap_err(),
            "larger buffers than 2176 bytes",
        );
        port.start(PortConfig::new(1, 1500), &pool).unwrap();
        says(port.start(PortConfig::new(1, 1500), &pool).unwrap_err(), "start twice");
        drop(port);
        says(Port::find(&eal, "net_null0").unwrap_err(), "no device net_null0");
        let huge = Mempool::new(&eal, "huge", 1 << 20, 0, data_room(1500), None);
        says(huge.unwrap_err(), "give DPDK more memory");
    });
}
