//! Requests that are refused whatever they ask for.

use super::reply::{Reply, words};
use hyper::header::{ALLOW, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Version};
use std::net::IpAddr;

/// Checks method and host. `bound` is the TCP address that the request came to. Without it the host does not matter: no
/// browser reaches a Unix socket, and where a token is needed, no page of somebody else's has it.
pub fn check<B>(request: &Request<B>, bound: Option<IpAddr>) -> Result<(), Box<Reply>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut reply = words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Err(Box::new(reply));
    }
    let Some(bound) = bound else { return Ok(()) };
    match host(request) {
        Host::Named(name) if is_ours(&name, bound.to_canonical()) => Ok(()),
        Host::Unneeded => Ok(()),
        // A page of somebody else's whose name leads here (DNS rebinding).
        Host::Named(_) => {
            let what = "this is no host of that name: ask for an address";
            Err(Box::new(words(StatusCode::MISDIRECTED_REQUEST, what)))
        }
        Host::Unclear => Err(Box::new(words(StatusCode::BAD_REQUEST, "no clear Host"))),
    }
}

/// The host that a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Named(String),
    /// HTTP/1.0 has no `Host`, and browsers don't speak it.
    Unneeded,
    Unclear,
}

fn host<B>(request: &Request<B>) -> Host {
    let named = |authority: &Authority| Host::Named(authority.host().to_ascii_lowercase());
    let mut headers = request.headers().get_all(HOST).iter();
    match (request.uri().authority(), headers.next(), headers.next()) {
        (_, _, Some(_)) => Host::Unclear,
        // The target comes before the header (RFC 9112 §3.2.2).
        (Some(authority), _, None) => named(authority),
        (None, Some(header), None) => {
            let authority = header.to_str().ok().and_then(|text| text.parse().ok());
            authority.as_ref().map_or(Host::Unclear, named)
        }
        (None, None, None) if request.version() == Version::HTTP_10 => Host::Unneeded,
        (None, None, None) => Host::Unclear,
    }
}

/// Whether the name leads here for certain: a loopback address, the bound address, or `localhost` (RFC 6761 §6.3).
fn is_ours(name: &str, bound: IpAddr) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let address = bare.parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback() || address == bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: hyper::http::request::Builder, bound: Option<&str>) -> Option<u16> {
        let request = request.body(()).expect("a request");
        let bound = bound.map(|bound| bound.parse().expect("an address"));
        check(&request, bound).err().map(|reply| reply.status().as_u16())
    }

    #[test]
    fn only_names_that_lead_here_are_answered_on_tcp() {
        for (host, refused) in [
            ("localhost", None),
            ("LOCALHOST:9", None),
            ("127.0.0.1:9781", None),
            ("127.9.9.9", None),
            ("[::1]:80", None),
            ("10.0.0.7:80", None),
            ("10.0.0.8", Some(421)),
            ("localhost.evil.example", Some(421)),
            ("127.0.0.1.evil.example", Some(421)),
            ("evil.example:9781", Some(421)),
            ("", Some(400)),
            ("a b", Some(400)),
        ] {
            let request = || Request::builder().uri("/metrics").header(HOST, host);
            assert_eq!(status(request(), Some("10.0.0.7")), refused, "{host}");
            assert_eq!(status(request(), None), None, "{host} on a Unix socket");
        }
    }

    #[test]
    fn the_target_s_host_counts_and_two_hosts_are_none() {
        let bound = Some("127.0.0.1");
        let request = Request::builder().uri("http://evil.example/").header(HOST, "localhost");
        assert_eq!(status(request, bound), Some(421));
        let request = Request::builder().uri("http://localhost/").header(HOST, "evil.example");
        assert_eq!(status(request, bound), None);
        let request = Request::builder().header(HOST, "localhost").header(HOST, "localhost");
        assert_eq!(status(request, bound), Some(400));
        assert_eq!(status(Request::builder(), bound), Some(400));
        assert_eq!(status(Request::builder().version(Version::HTTP_10), bound), None);
    }

    #[test]
    fn nothing_can_be_changed() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"] {
            assert_eq!(status(Request::builder().method(method), None), Some(405), "{method}");
        }
        assert_eq!(status(Request::builder().method("HEAD"), None), None);
    }
}
