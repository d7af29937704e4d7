//! Work on DPDK's cores.

use crate::alone::alone;
use crate::support::{BUFFERS, eal, frame, pool};
use dpdk::{Eal, Error, Port, PortConfig};
use engine::types::frame::{Burst, Frame};
use std::sync::mpsc;
use std::thread;
use worker::port::{Pool, Port as _};

/// The main lcore and two workers, all on the first core.
fn three() -> Eal {
    eal(&["--lcores=0@0,1@0,2@0".into(), "--vdev=net_ring0".into()])
}

#[test]
fn work_runs_on_its_lcore_and_its_value_comes_back() {
    alone("lcores::work_runs_on_its_lcore_and_its_value_comes_back", || {
        let eal = three();
        assert_eq!(eal.lcores(), [1, 2]);
        let (go, wait) = mpsc::channel::<u32>();
        let running =
            eal.launch(1, move || (thread::current().id(), wait.recv().unwrap())).unwrap();
        assert!(!running.is_finished());
        let busy = eal.launch(1, || ()).unwrap_err();
        assert!(matches!(busy, Error::Lcore { lcore: 1, .. }), "{busy}");
        go.send(7).unwrap();
        let (thread, value) = running.join().unwrap();
        assert_ne!(thread, thread::current().id());
        assert_eq!(value, 7);
        assert_eq!(eal.launch(1, || 8).unwrap().join().unwrap(), 8);
        for none in [0, 3, u32::MAX] {
            assert!(eal.launch(none, || ()).is_err());
        }
    });
}

#[test]
fn a_panic_stays_on_its_lcore() {
    alone("lcores::a_panic_stays_on_its_lcore", || {
        let eal = three();
        let bad = eal.launch(1, || panic!("no such {}", "packet")).unwrap();
        let error = bad.join().unwrap_err();
        assert_eq!(error.to_string(), "lcore 1 panicked: no such packet");
        assert_eq!(eal.launch(1, || 9).unwrap().join().unwrap(), 9);
    });
}

#[test]
fn a_queue_works_on_an_lcore_and_its_buffers_come_home() {
    alone("lcores::a_queue_works_on_an_lcore_and_its_buffers_come_home", || {
        let eal = three();
        let pool = pool(&eal);
        let mut port = Port::find(&eal, "net_ring0").unwrap();
        let mut queue = port.start(PortConfig::new(1, 1500), &pool).unwrap().0.remove(0);
        let mut burst = Burst::from_iter((0..32).map(|i| pool.frame(&frame(i, 90)).unwrap()));
        queue.transmit(&mut burst);
        let running = eal.launch(2, move || {
            queue.receive(&mut burst);
            let kept = burst.pop().unwrap();
            drop(burst);
            kept
        });
        let kept = running.unwrap().join().unwrap();
        assert_eq!(kept.bytes(), frame(31, 90));
        assert_eq!(pool.available(), BUFFERS - 1);
        drop((port, kept));
        assert_eq!(pool.available(), BUFFERS);
    });
}
