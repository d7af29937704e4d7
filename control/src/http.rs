//! HTTP: the pages that the daemon serves where `[control]` says, metrics and the web page. Clients can only read. Slow,
//! idle or hostile clients cost a bounded number of connections and affect nothing else.

mod access;
mod endpoint;
mod guard;
mod listener;
mod pages;
mod reply;
mod route;
mod serve;
mod web_page;

pub use access::Access;
pub use endpoint::{Endpoint, Serves};
pub use listener::Listener;
pub use serve::{Server, serve_all};
