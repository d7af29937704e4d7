//! Endpoints: the addresses that `[control]` names, what each serves, and to whom.

use super::access::Access;
use super::listener::Listener;
use crate::config::{Control, Listen};
use std::rc::Rc;

/// An open address.
pub struct Endpoint {
    /// The listener.
    pub listener: Listener,
    /// The pages that are there.
    pub serves: Serves,
    /// The clients that are answered; `None`: all, as only this machine reaches the address.
    pub access: Option<Rc<Access>>,
}

/// The pages of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// Metrics.
    pub metrics: bool,
    /// The web page.
    pub web: bool,
}

impl Endpoint {
    /// Opens all addresses: one, if metrics and web page have the same.
    ///
    /// # Errors
    ///
    /// An address or the token cannot be had.
    pub fn open_all(control: &Control) -> Result<Vec<Endpoint>, String> {
        let Control { metrics, web, .. } = control;
        let mut listens: Vec<&Listen> = metrics.iter().chain(web).collect();
        listens.dedup();
        let endpoints = listens.into_iter().map(|listen| {
            let access = control.http_access.as_ref().filter(|_| listen.is_open());
            Ok(Endpoint {
                access: access.map(Access::open).transpose()?.map(Rc::new),
                listener: Listener::open(listen)?,
                serves: Serves {
                    metrics: metrics.as_ref() == Some(listen),
                    web: web.as_ref() == Some(listen),
                },
            })
        });
        endpoints.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn serves(folder: &Path, metrics: Option<&str>, web: Option<&str>) -> Vec<Serves> {
        let listen = |name: &str| Listen::Unix(folder.join(name));
        let control = Control {
            socket: folder.join("control.sock"),
            metrics: metrics.map(listen),
            web: web.map(listen),
            http_access: None,
        };
        let endpoints = Endpoint::open_all(&control).expect("free addresses");
        endpoints.iter().map(|endpoint| endpoint.serves).collect()
    }

    #[test]
    fn one_address_serves_both() {
        let folder = tempfile::tempdir().expect("a folder");
        let serves = |metrics, web| serves(folder.path(), metrics, web);
        let [both, metrics, web] = [(true, true), (true, false), (false, true)]
            .map(|(metrics, web)| Serves { metrics, web });
        assert_eq!(serves(None, None), []);
        assert_eq!(serves(Some("a"), None), [metrics]);
        assert_eq!(serves(None, Some("a")), [web]);
        assert_eq!(serves(Some("a"), Some("a")), [both]);
        assert_eq!(serves(Some("a"), Some("b")), [metrics, web]);
    }
}
