//! The clients of an address that other hosts reach: their networks, and the secret that they send.

use super::reply::{Reply, words};
use crate::config::HttpAccess;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use ipnet::IpNet;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use subtle::ConstantTimeEq;

/// The fewest characters of a token.
const SHORTEST: usize = 16;
/// The most bytes of its file.
const LONGEST: u64 = 1024;

/// The clients that are answered.
pub struct Access {
    allow: Vec<IpNet>,
    token: String,
}

impl Access {
    /// Reads the token's file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, everybody can read it, or it holds no token.
    pub fn open(config: &HttpAccess) -> Result<Access, String> {
        let token = token(&config.token);
        let token = token.map_err(|error| format!("{}: {error}", config.token.display()))?;
        Ok(Access { allow: config.allow.clone(), token })
    }

    /// Whether a client of this address is answered at all.
    pub fn allows(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&client.to_canonical()))
    }

    /// Checks the token, sent as `Bearer` or as the password of `Basic`, whose user does not matter.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Box<Reply>> {
        let sent = sent(request.headers());
        if sent.is_some_and(|sent| sent.as_bytes().ct_eq(self.token.as_bytes()).into()) {
            return Ok(());
        }
        let mut reply = words(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
        for scheme in ["Basic realm=\"tidegate\", charset=\"UTF-8\"", "Bearer realm=\"tidegate\""] {
            reply.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        Err(Box::new(reply))
    }
}

fn sent(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.to_owned()),
        "basic" => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

fn token(path: &Path) -> io::Result<String> {
    // Opening a pipe must not wait for its other end.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("the token is in no regular file"));
    }
    if data.mode() & 0o007 != 0 {
        return Err(io::Error::other("everybody can use the token: `chmod o= FILE`"));
    }
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::other(format!("a token's file has at most {LONGEST} bytes")));
    }
    let token = text.trim();
    if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("a token has at least {SHORTEST} letters, digits or signs, no spaces");
        return Err(io::Error::other(what));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const TOKEN: &str = "0123456789abcdef";

    fn open(content: &str, mode: u32) -> Result<Access, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        fs::write(&token, content).expect("a file");
        fs::set_permissions(&token, Permissions::from_mode(mode)).expect("its mode");
        let allow = vec!["10.9.0.0/16".parse().expect("a network")];
        Access::open(&HttpAccess { allow, token })
    }

    #[test]
    fn a_token_is_long_and_secret() {
        for (content, mode, fault) in [
            ("0123456789abcdef\n", 0o640, None),
            ("0123456789abcdef", 0o400, None),
            ("0123456789abcdef", 0o644, Some("chmod o=")),
            ("0123456789abcde\n", 0o600, Some("at least 16")),
            ("0123456789 abcdef", 0o600, Some("no spaces")),
            ("", 0o600, Some("at least 16")),
            (&"a".repeat(1024), 0o600, None),
            (&"a".repeat(1025), 0o600, Some("at most 1024 bytes")),
        ] {
            let error = open(content, mode).err();
            let is_told = match fault {
                Some(words) => error.as_ref().is_some_and(|error| error.contains(words)),
                None => error.is_none(),
            };
            assert!(is_told, "{content:?} {mode:o}: {error:?}");
        }
        let missing = HttpAccess { allow: vec![], token: "/nowhere/token".into() };
        let error = Access::open(&missing).err().expect("it is missing");
        assert!(error.starts_with("/nowhere/token: No such file"), "{error}");
    }

    #[test]
    fn the_token_comes_as_bearer_or_as_password() {
        let access = open(TOKEN, 0o600).expect("a token");
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for (header, is_right) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer  {TOKEN}"), true),
            (basic(&format!("anybody:{TOKEN}")), true),
            (basic(&format!(":{TOKEN}")), true),
            (basic(TOKEN), false),
            (basic(&format!("{TOKEN}:")), false),
            (format!("Bearer {TOKEN}0"), false),
            ("Bearer 0123456789abcdeF".into(), false),
            ("Bearer ".into(), false),
            ("Basic !!!".into(), false),
            (TOKEN.into(), false),
        ] {
            let request = Request::builder().header(AUTHORIZATION, &header).body(());
            let reply = access.check(&request.expect("a request"));
            let status = reply.err().map(|reply| reply.status().as_u16());
            assert_eq!(status, (!is_right).then_some(401), "{header}");
        }
        let bare = access.check(&Request::new(())).expect_err("no token");
        assert_eq!(bare.headers().get_all(WWW_AUTHENTICATE).iter().count(), 2);
    }

    #[test]
    fn clients_are_allowed_by_network() {
        let access = open(TOKEN, 0o600).expect("a token");
        for (client, is_allowed) in [
            ("10.9.1.2", true),
            ("::ffff:10.9.1.2", true),
            ("10.8.1.2", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(access.allows(client.parse().expect("an address")), is_allowed, "{client}");
        }
    }
}
