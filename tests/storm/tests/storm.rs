//! Storms within one process, on loopback, with servers on ephemeral ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use storm::client::Request;
use storm::link::Manner;
use storm::report::Report;
use storm::serve::{Habits, Server};
use storm::storm::{End, Storm};
use storm::terms::Terms;

const MANNER: Manner = Manner { retransmit: Duration::from_secs(2), retries: 5, loss: 0.0 };

async fn server(manner: Manner) -> SocketAddr {
    let habits = Habits { size: 1000, max_blksize: 65_464, manner };
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), habits).await.expect("a port");
    let address = server.address().expect("it is bound");
    tokio::spawn(server.run());
    address
}

/// Clients on 127.0.0.2 to 127.0.0.21, with one transfer each.
async fn storm(request: Request, clients: u64) -> Report {
    let sources = (2..22).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n))).collect();
    let end = End::Transfers(clients);
    let storm = Storm { request, clients, sources, ramp: Duration::from_millis(10), end };
    storm.run(|_, _| ()).await
}

fn all_done(report: &Report, clients: u64, size: u64) {
    assert_eq!((report.completed, report.bytes), (clients, clients * size), "{report:?}");
    assert_eq!(report.failed(), 0, "{report:?}");
}

#[tokio::test]
async fn files_of_any_size_go_both_ways() {
    let target = server(MANNER).await;
    let terms = |blksize, windowsize| Terms { blksize, windowsize };
    for terms in [Terms::PLAIN, terms(1428, 1), terms(8192, 1), terms(512, 4)] {
        for size in [0, 511, 512, 513, 100_000] {
            for is_write in [false, true] {
                let request = Request { is_write, ..Request::of_size(target, size, terms, MANNER) };
                all_done(&storm(request, 2).await, 2, size);
            }
        }
    }
}

#[tokio::test]
async fn block_numbers_wrap() {
    let target = server(MANNER).await;
    let size = 512 * 70_000;
    all_done(&storm(Request::of_size(target, size, Terms::PLAIN, MANNER), 1).await, 1, size);
}

#[tokio::test]
async fn many_clients_at_once() {
    let target = server(MANNER).await;
    let report = storm(Request::of_size(target, 20_000, Terms::PLAIN, MANNER), 200).await;
    all_done(&report, 200, 20_000);
    assert_eq!(report.servers[&target.ip()].completed, 200);
    let times = &report.time_us;
    // 40 blocks take their time, and none takes longer than the storm.
    assert!(times.p50 > 40 && times.p50 <= times.p99_9, "{times:?}");
    assert!(times.max as f64 <= report.seconds * 1.01e6, "{times:?}");
}

#[tokio::test]
async fn what_gets_lost_is_sent_again() {
    let manner = Manner { retransmit: Duration::from_millis(20), retries: 50, loss: 20.0 };
    let target = server(manner).await;
    for windowsize in [1, 4] {
        let terms = Terms { windowsize, ..Terms::PLAIN };
        for is_write in [false, true] {
            let request = Request { is_write, ..Request::of_size(target, 30_000, terms, manner) };
            let report = storm(request, 10).await;
            all_done(&report, 10, 30_000);
            assert!(report.retransmissions.blocks > 0);
        }
    }
}

#[tokio::test]
async fn failures_are_counted_by_kind() {
    let target = server(MANNER).await;
    let request = Request::of_size(target, 0, Terms::PLAIN, MANNER);
    let missing = Request { file: "missing".to_owned(), size: None, ..request.clone() };
    assert_eq!(storm(missing, 3).await.failed["error_1"], 3);
    let wrong = Request { size: Some(7), ..request.clone() };
    assert_eq!(storm(wrong, 3).await.failed["wrong_data"], 3);
    let manner = Manner { retransmit: Duration::from_millis(10), retries: 2, loss: 0.0 };
    let nobody = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let target = nobody.local_addr().expect("it is bound");
    let report = storm(Request { target, manner, ..request }, 3).await;
    assert_eq!((report.failed["timeout"], report.retransmissions.requests), (3, 9));
}

/// The program's exit code and its standard error.
fn program(arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate-storm"))
        .args(arguments)
        .output()
        .expect("it starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_program_says_what_is_wrong() {
    let (code, said) = program(&["run", "--target", "127.0.0.1:9", "--source", "192.0.2.7"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no address 192.0.2.7") && said.lines().count() == 1, "{said}");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (code, said) = program(&["serve", "--listen", &address]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&address) && said.lines().count() == 1, "{said}");
    assert_eq!(program(&["run", "--target", "nowhere"]).0, Some(2));
    assert_eq!(program(&["run", "--target", "127.0.0.1", "--loss", "100"]).0, Some(2));
    let quick = ["--clients", "2", "--retries", "0", "--retransmit", "10ms", "--ramp", "0s"];
    let (code, _) = program(&[&["run", "--target", &address], &quick[..]].concat());
    assert_eq!(code, Some(1), "nobody answers there");
}
