//! The web page: what it says, to whom, and what it costs.

use crate::http::answer;
use crate::{Socket, TOKEN};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[test]
fn the_page_says_what_the_socket_says() {
    let socket = Socket::open(true);
    let (head, page) = socket.get("/", "");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self';",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    let answer = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"backends"}"#);
    let backends = answer["result"].as_array().expect("backends").clone();
    assert!(backends.len() > 3);
    for row in backends {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let start = format!("<th scope=\"row\">{}</th><td><span class=\"state\">", text("name"));
        let states = page.split(&start).skip(1);
        let states: Vec<_> = states.filter_map(|rest| rest.split("</td>").next()).collect();
        let word = format!(" {}</span>", text("state"));
        assert!(states.iter().any(|state| state.ends_with(&word)), "{row}: {states:?}");
    }
    for words in [
        // A file name with a terminal's escape, and a byte that is no UTF-8.
        "read \\u{1b}[2Jboot\u{fffd}",
        "46 %, block 9",
        "The datagram is no valid TFTP message.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (head, script) = socket.get("/tidegate.js", "");
    assert!(head.contains("text/javascript") && script.contains("fetch("), "{head}");
    let (head, style) = socket.get("/tidegate.css", "");
    assert!(head.contains("text/css") && style.contains("--page"), "{head}");
}

/// The status of a request to the guarded port at a local address; empty if the connection is closed.
fn guarded(socket: &Socket, ip: impl Into<IpAddr>, host: &str, headers: &str) -> String {
    let address = SocketAddr::new(ip.into(), socket.guarded.port());
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    // A client that is not allowed may be gone already.
    let _ = stream.write_all(request.as_bytes());
    let (head, _) = answer(&mut stream);
    head.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn an_open_address_needs_the_token_from_an_allowed_network() {
    let socket = Socket::open(true);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let v6 = |host: &str, headers: &str| guarded(&socket, Ipv6Addr::LOCALHOST, host, headers);
    assert_eq!(v6("[::1]", &right), "200");
    // `anybody:a-token-that-nobody-guesses`, as a browser sends it.
    let basic = "Authorization: Basic YW55Ym9keTphLXRva2VuLXRoYXQtbm9ib2R5LWd1ZXNzZXM=\r\n";
    assert_eq!(v6("[::1]", basic), "200");
    for headers in ["", "Authorization: Bearer a-token-that-nobody-guesset\r\n"] {
        assert_eq!(v6("[::1]", headers), "401", "{headers}");
    }
    // A Prometheus asks by name; a page whose name leads here does not have the token.
    for (host, headers, status) in [
        ("gate1.example", &*right, "200"),
        ("gate1.example:9781", &right, "200"),
        ("evil.example", "", "401"),
    ] {
        assert_eq!(v6(host, headers), status, "{host}");
    }
    assert_eq!(guarded(&socket, Ipv4Addr::LOCALHOST, "127.0.0.1", &right), "", "outside");
}

/// A hundred requests in a row get the pages of few samples: each sample asks the workers.
#[test]
fn a_page_is_made_once_a_second() {
    let socket = Socket::open(true);
    let start = Instant::now();
    let pages: Vec<_> = (0..100).map(|_| socket.get("/", "").1).collect();
    let seconds = start.elapsed().as_secs() as usize;
    let mut different = pages.clone();
    different.dedup();
    assert!(different.len() <= seconds + 2, "{} pages in {seconds} s", different.len());
    let later = || (start.elapsed() > Duration::from_secs(20), socket.get("/", "").1);
    while let (is_late, page) = later()
        && page == pages[0]
    {
        assert!(!is_late, "the page does not change");
    }
}

/// A worker that does not answer: the page says so, and shows everything else.
#[test]
fn a_silent_worker_is_told() {
    let socket = Socket::open(false);
    let (_, page) = socket.get("/", "");
    assert!(page.contains("There is no list now: worker 0"), "{page}");
    assert!(page.contains("Backends of pxe"));
}

/// A page of thousands of backends has each of them, in the configuration's order.
#[test]
fn a_large_page_is_whole() {
    let socket = Socket::with(&crate::metrics::many(4000), true, crate::view());
    let start = Instant::now();
    let (_, page) = socket.get("/", "");
    println!("a page of 4,000 backends: {} bytes in {:?}", page.len(), start.elapsed());
    let (_, rows) = page.split_once("Backends of many").expect("the table");
    let names = rows.split("<th scope=\"row\">").skip(1).take(4000);
    let names: Vec<_> = names.filter_map(|row| row.split('<').next()).collect();
    assert_eq!(names, (0..4000).map(|n| format!("b{n}")).collect::<Vec<_>>());
}
