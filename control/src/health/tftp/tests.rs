use super::*;
use crate::health::target::tests::target;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

const LOOPBACK: &str = "127.0.0.1";

fn canary() -> Canary {
    Canary { file: "health.txt".into(), size: None, sha256: None }
}

fn data(block: u16, len: usize) -> Vec<u8> {
    [&[0, 3][..], &block.to_be_bytes(), &vec![b'x'; len]].concat()
}

fn oack(size: u64) -> Vec<u8> {
    format!("\0\x06tsize\0{size}\0").into_bytes()
}

/// A server's socket for one transfer, and its client.
struct Peer(UdpSocket, SocketAddr);

impl Peer {
    async fn says(&self, message: &[u8]) {
        self.0.send_to(message, self.1).await.unwrap();
    }

    async fn hears(&self) -> Vec<u8> {
        let mut packet = [0; 600];
        let (len, from) = self.0.recv_from(&mut packet).await.unwrap();
        assert_eq!(from, self.1);
        packet[..len].to_vec()
    }

    async fn hears_ack(&self, block: u16) {
        assert_eq!(self.hears().await, [&[0, 4][..], &block.to_be_bytes()].concat());
    }

    /// Expects the ERROR of a client that has given up.
    async fn hears_enough(&self) {
        assert_eq!(self.hears().await, ENOUGH);
    }
}

/// Probes a server that receives the request at one address, and continues as `answer` does from a port of another
/// one.
async fn probe(
    canary: Canary,
    addresses: [&str; 2],
    aliases: &[IpAddr],
    answer: impl AsyncFnOnce(Peer),
) -> Finding {
    let door = UdpSocket::bind((addresses[0], 0)).await.unwrap();
    let mut target = target(door.local_addr().unwrap());
    target.aliases = aliases.to_vec();
    let server = async {
        let mut packet = [0; 600];
        let (len, client) = door.recv_from(&mut packet).await.unwrap();
        assert_eq!(packet[..len], *b"\0\x01health.txt\0octet\0tsize\x000\0");
        answer(Peer(UdpSocket::bind((addresses[1], 0)).await.unwrap(), client)).await;
    };
    let client = async {
        let found = timeout(Duration::from_millis(500), find(&canary, &target)).await;
        found.unwrap_or_else(|_| target.silent(Duration::from_millis(500)))
    };
    let both = async { tokio::join!(client, server).0 };
    timeout(Duration::from_secs(10), both).await.expect("it ends")
}

async fn on_loopback(canary: Canary, answer: impl AsyncFnOnce(Peer)) -> Finding {
    probe(canary, [LOOPBACK; 2], &[], answer).await
}

fn well() -> Finding {
    Ok(String::new())
}

#[tokio::test]
async fn a_whole_file_with_options_and_without() {
    for promised in [false, true] {
        let sha256 = Sha256::digest(vec![b'x'; 1300]).into();
        let canary = Canary { size: Some(1300), sha256: Some(sha256), ..canary() };
        let found = on_loopback(canary, async |server| {
            if promised {
                server.says(&oack(1300)).await;
                server.hears_ack(0).await;
            }
            for (block, len) in [(1, 512), (2, 512), (3, 276)] {
                server.says(&data(block, len)).await;
                server.hears_ack(block).await;
            }
        });
        assert_eq!(found.await, well());
    }
}

#[tokio::test]
async fn over_ipv6_and_an_empty_last_block() {
    let found = probe(canary(), ["::1"; 2], &[], async |server| {
        server.says(&data(1, 512)).await;
        server.hears_ack(1).await;
        server.says(&data(2, 0)).await;
        server.hears_ack(2).await;
    });
    assert_eq!(found.await, well());
}

#[tokio::test]
async fn a_file_that_is_not_the_one() {
    let short = Canary { size: Some(13), ..canary() };
    let found = on_loopback(short.clone(), async |server| {
        server.says(&data(1, 5)).await;
        server.hears_ack(1).await;
    });
    assert_eq!(found.await, backend_fault("the file has 5 bytes, not 13"));
    let other = Canary { sha256: Some([7; 32]), ..canary() };
    let found = on_loopback(other, async |server| server.says(&data(1, 5)).await);
    assert_eq!(found.await, backend_fault("the file has another SHA-256: its content is wrong"));
    // It is not fetched to its end, and the server is told.
    let found = on_loopback(short, async |server| {
        server.says(&oack(20)).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, backend_fault("the file has 20 bytes, not 13"));
}

#[tokio::test]
async fn a_server_that_keeps_no_promise() {
    let found = on_loopback(canary(), async |server| {
        server.says(&oack(13)).await;
        server.hears_ack(0).await;
        server.says(&data(1, 5)).await;
    });
    assert_eq!(found.await, backend_fault("the file has 5 bytes, not 13"));
    let found = on_loopback(canary(), async |server| {
        server.says(&data(1, 513)).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, backend_fault("a block of 513 bytes, and 512 were asked for"));
}

#[tokio::test]
async fn a_file_that_is_too_large() {
    let found = on_loopback(canary(), async |server| {
        server.says(&oack(Canary::MOST + 1)).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, backend_fault(TOO_LARGE));
    let found = on_loopback(canary(), async |server| {
        for block in 1..=2048 {
            server.says(&data(block, 512)).await;
            server.hears_ack(block).await;
        }
        server.says(&data(2049, 512)).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, backend_fault(TOO_LARGE));
}

#[tokio::test]
async fn errors_are_passed_on() {
    for (message, words) in [
        (
            &b"\0\x05\0\x01File not found\0"[..],
            "file not found: the server is up but has no such file",
        ),
        (b"\0\x05\0\x02Access\x1b violation\0", "error 2: Access\\u{1b} violation"),
        (b"\0\x05\0\x00", "error 0: "),
    ] {
        let found = on_loopback(canary(), async |server| server.says(message).await);
        assert_eq!(found.await, backend_fault(words));
    }
}

#[tokio::test]
async fn an_answer_from_another_address_is_named_unless_it_is_an_alias() {
    let addresses = [LOOPBACK, "127.0.0.2"];
    let found = probe(canary(), addresses, &[], async |server| {
        server.says(&data(1, 5)).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, backend_fault("answered from 127.0.0.2, not from 127.0.0.1"));
    let aliases = ["127.0.0.2".parse().unwrap()];
    let found = probe(canary(), addresses, &aliases, async |server| {
        server.says(&data(1, 5)).await;
        server.hears_ack(1).await;
    });
    assert_eq!(found.await, well());
}

#[tokio::test]
async fn strays_and_repetitions_change_nothing() {
    let found = on_loopback(canary(), async |server| {
        server.says(b"\0\x09what").await;
        server.says(&data(1, 512)).await;
        server.hears_ack(1).await;
        let second = Peer(UdpSocket::bind((LOOPBACK, 0)).await.unwrap(), server.1);
        second.says(b"\0\x05\0\x01no\0").await;
        for repeated in [data(1, 512), oack(5), data(9, 1)] {
            server.says(&repeated).await;
        }
        server.says(&data(2, 1)).await;
        server.hears_ack(2).await;
    });
    assert_eq!(found.await, well());
}

#[tokio::test]
async fn silence_and_a_closed_port() {
    let silent = backend_fault("no answer within 500ms");
    assert_eq!(on_loopback(canary(), async |_| {}).await, silent);
    // In the middle: the server hears of it.
    let found = on_loopback(canary(), async |server| {
        server.says(&data(1, 512)).await;
        server.hears_ack(1).await;
        server.hears_enough().await;
    });
    assert_eq!(found.await, silent);
    let closed = UdpSocket::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap();
    let found = timeout(Duration::from_secs(5), find(&canary(), &target(closed))).await.unwrap();
    assert_eq!(found, backend_fault(format!("port {} is closed", closed.port())));
}
