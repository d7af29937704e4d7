//! HTTP: what the listener answers, and what it withstands.

use crate::Socket;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::scope;
use std::time::{Duration, Instant};

impl Socket {
    /// A connection for HTTP.
    pub fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    /// Sends a request as it is; returns head and body of the answer.
    pub fn exchange(&self, request: &[u8]) -> (String, String) {
        let mut stream = self.dial();
        stream.write_all(request).expect("it is open");
        answer(&mut stream)
    }

    /// Gets a page; its status must be 200.
    pub fn get(&self, target: &str, headers: &str) -> (String, String) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let (head, body) = self.exchange(request.as_bytes());
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        (head, body)
    }
}

/// Reads an answer until the connection is closed.
pub fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = vec![];
    // A request that is not read to its end is answered, too, and then reset.
    let ended =
        stream.read_to_end(&mut bytes).map_or_else(|error| error.kind(), |_| ErrorKind::Other);
    assert_ne!(ended, ErrorKind::WouldBlock, "the connection stays open");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.to_ascii_lowercase().replace("http/", "HTTP/"), body.to_owned())
}

fn status(socket: &Socket, request: &str) -> String {
    let (head, _) = socket.exchange(request.as_bytes());
    head.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn only_sound_requests_are_answered() {
    let socket = Socket::open(true);
    let local = "Host: 127.0.0.1\r\n";
    for (request, expected) in [
        (format!("GET /healthz HTTP/1.1\r\n{local}\r\n"), "200"),
        (format!("GET /metrics HTTP/1.1\r\n{local}\r\n"), "200"),
        (format!("GET /metrics?service=pxe HTTP/1.1\r\n{local}\r\n"), "200"),
        ("GET /healthz HTTP/1.0\r\n\r\n".into(), "200"),
        (format!("GET / HTTP/1.1\r\n{local}\r\n"), "200"),
        (format!("GET /tidegate.css HTTP/1.1\r\n{local}\r\n"), "200"),
        (format!("GET /tidegate.html HTTP/1.1\r\n{local}\r\n"), "404"),
        (format!("POST / HTTP/1.1\r\n{local}Content-Length: 5\r\n\r\nhello"), "405"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), "421"),
        (format!("GET / HTTP/1.1\r\n{local}A: {}\r\n\r\n", "a".repeat(8 << 10)), "431"),
        (format!("GET /metrics/ HTTP/1.1\r\n{local}\r\n"), "404"),
        (format!("GET /../etc/passwd HTTP/1.1\r\n{local}\r\n"), "404"),
        (format!("GET /metrics?service=nothing HTTP/1.1\r\n{local}\r\n"), "404"),
        (format!("POST /metrics HTTP/1.1\r\n{local}Content-Length: 5\r\n\r\nhello"), "405"),
        (format!("DELETE /metrics HTTP/1.1\r\n{local}\r\n"), "405"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), "421"),
        (format!("GET http://evil.example/metrics HTTP/1.1\r\n{local}\r\n"), "421"),
        ("GET /metrics HTTP/1.1\r\n\r\n".into(), "400"),
        ("hello\r\n\r\n".into(), "400"),
        (format!("GET /healthz HTTP/1.1\r\n{local}A: {}\r\n\r\n", "a".repeat(7 << 10)), "200"),
        (format!("GET /healthz HTTP/1.1\r\n{local}A: {}\r\n\r\n", "a".repeat(8 << 10)), "431"),
        (format!("GET /{} HTTP/1.1\r\n{local}\r\n", "a".repeat(9 << 10)), "431"),
    ] {
        let line = request.lines().next().unwrap_or_default();
        assert_eq!(status(&socket, &request), expected, "{}", &line[..line.len().min(60)]);
    }
}

#[test]
fn a_head_has_no_body_and_answers_cannot_be_misused() {
    let socket = Socket::open(true);
    let (head, body) = socket.exchange(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.contains("content-length: 3") && body.is_empty(), "{head}: {body}");
    let (head, body) = socket.get("/healthz", "");
    assert_eq!(body, "ok\n");
    for header in ["x-content-type-options: nosniff", "content-security-policy: default-src 'none'"]
    {
        assert!(head.contains(header), "{head}");
    }
}

/// A client that does not finish its request, and one that says nothing, are disconnected; others do not wait for them.
#[test]
fn a_slow_client_is_disconnected() {
    let socket = Socket::open(true);
    let start = Instant::now();
    let (mut slow, mut silent) = (socket.dial(), socket.dial());
    slow.write_all(b"GET /metrics HT").expect("it is open");
    socket.get("/healthz", "");
    assert!(!is_closed(&mut slow) && !is_closed(&mut silent), "it waited for others");
    for stream in [&mut slow, &mut silent] {
        stream.set_nonblocking(false).expect("a socket");
        answer(stream);
    }
    assert!(start.elapsed() > Duration::from_secs(4), "they had no time");
}

/// Whether the server has closed the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    match stream.read(&mut [0]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Ten thousand connections hold no more than 64 of the daemon's, and keep nobody else out.
#[test]
fn ten_thousand_connections_are_bounded() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let socket = Socket::open(true);
    let mut idle = vec![];
    for n in 0..10_000 {
        idle.push(socket.dial());
        if n % 1000 == 999 {
            socket.get("/metrics", "");
        }
    }
    socket.get("/healthz", "");
    let mut open = 0;
    for stream in &mut idle {
        open += u32::from(!is_closed(stream));
    }
    assert!((1..=64).contains(&open), "{open} are open");
}

/// Clients that ask for a large page and read nothing hold no seat for ever, and others are served meanwhile.
#[test]
fn clients_that_read_nothing_are_disconnected() {
    let socket = Socket::with(&crate::metrics::many(4000), true, crate::view());
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut deaf: Vec<_> = (0..100).map(|_| socket.dial()).collect();
    scope(|threads| {
        for stream in &mut deaf {
            threads.spawn(move || {
                // Some have had to make room already.
                let _ = stream.write_all(request);
            });
        }
    });
    // While all connections are being answered, others are closed.
    let start = Instant::now();
    let page = loop {
        let (_, page) = socket.exchange(request);
        if !page.is_empty() {
            break page;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "others are served");
    };
    assert!(page.len() > 10 << 20, "{} bytes fit into the kernel's buffers", page.len());
    std::thread::sleep(Duration::from_secs(12));
    for stream in &mut deaf {
        let (_, body) = answer(stream);
        assert!(body.len() < page.len(), "it was waited for");
    }
}
