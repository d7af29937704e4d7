//! Checks of the section `[control]`: where the daemon listens.

use super::check::Checker;
use super::file::{self, Maybe, place};
use super::types::{Control, HttpAccess, Listen};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The path of the control socket by default.
const SOCKET: &str = "/run/tidegate/control.sock";

/// The most bytes in the path of a Unix socket (unix(7)).
const LONGEST_PATH: usize = 107;

impl Checker {
    /// Checks the section.
    pub fn control(&mut self, written: &file::Control) -> Control {
        let socket = self.socket(&written.socket);
        let metrics = self.listen(&written.metrics, &socket);
        let web = self.listen(&written.web, &socket);
        let listened = [(&metrics, &written.metrics), (&web, &written.web)];
        let open = listened.into_iter().find_map(|(listen, written)| {
            listen.as_ref().filter(|listen| listen.is_open()).and(written.as_ref())
        });
        let http_access = self.http_access(written, open);
        Control { socket, metrics, web, http_access }
    }

    /// Checks who may use the address that other hosts reach, if there is one.
    fn http_access(
        &mut self,
        written: &file::Control,
        open: Option<&Spanned<String>>,
    ) -> Option<HttpAccess> {
        let (allow, token) = (&written.allow, &written.token);
        let Some(open) = open else {
            let unused = place(allow).or_else(|| place(token))?;
            let what = "other hosts reach neither metrics nor web page";
            self.fault(unused, what, "leave this out, or listen on another address");
            return None;
        };
        let (Some(_), Some(token)) = (allow, token) else {
            let what = format!("other hosts reach {}", open.as_ref());
            let hint = "name both `allow`, their networks, and `token`, a file with a secret";
            self.fault(open.span(), what, hint);
            return None;
        };
        if !token.as_ref().starts_with('/') {
            self.fault(token.span(), "no token can be there", "write an absolute path");
        }
        Some(HttpAccess { allow: self.prefixes(allow), token: PathBuf::from(token.as_ref()) })
    }

    fn socket(&mut self, written: &Maybe<String>) -> PathBuf {
        let path = written.as_ref().map_or(SOCKET, |path| path.as_ref());
        if let Some(written) = written {
            self.socket_path(path, written);
        }
        PathBuf::from(path)
    }

    /// Reads an address to listen on for HTTP.
    fn listen(&mut self, written: &Maybe<String>, control_socket: &Path) -> Option<Listen> {
        let written = written.as_ref()?;
        let text: &String = written.as_ref();
        if let Some(path) = text.strip_prefix("unix:") {
            self.socket_path(path, written);
            if control_socket == Path::new(path) {
                let hint = "give each a path of its own";
                self.fault(written.span(), "the control socket is there", hint);
            }
            return Some(Listen::Unix(PathBuf::from(path)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                self.fault(written.span(), "no one finds port 0", "name the port");
            }
            Ok(address) => return Some(Listen::Tcp(address)),
            Err(_) => {
                let what = format!("`{text}` is no address to listen on");
                let hint = "write \"127.0.0.1:PORT\", \"[::1]:PORT\" or \"unix:PATH\"";
                self.fault(written.span(), what, hint);
            }
        }
        None
    }

    fn socket_path(&mut self, path: &str, written: &Spanned<String>) {
        if !(path.starts_with('/') && path.len() <= LONGEST_PATH) {
            let hint = format!("write an absolute path of at most {LONGEST_PATH} bytes");
            self.fault(written.span(), "no socket can be there", hint);
        }
    }
}
