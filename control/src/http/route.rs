//! Routes: the page at each path.

use super::endpoint::Serves;
use super::pages::Pages;
use super::reply::{Reply, page, reply, words};
use super::web_page::WebPage;
use crate::daemon::Daemon;
use crate::metrics::Format;
use crate::web;
use hyper::header::{ACCEPT, HeaderValue, VARY};
use hyper::{Request, StatusCode};
use std::rc::Rc;

/// Pages that the connections of an address share.
pub struct Site {
    /// The daemon that they are about.
    pub daemon: Rc<Daemon>,
    /// The pages that are there.
    pub serves: Serves,
    /// Metrics.
    pub pages: Pages,
    /// The web page.
    pub web: WebPage,
}

impl Site {
    /// Answers a request that has passed the checks.
    pub async fn answer<B>(&self, request: &Request<B>) -> Reply {
        let Serves { metrics, web } = self.serves;
        match request.uri().path() {
            "/healthz" => words(StatusCode::OK, "ok"),
            "/metrics" if metrics => self::metrics(request, &self.daemon, &self.pages).await,
            "/" if web => match self.web.page(&self.daemon).await {
                Some(body) => page(body),
                None => words(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made"),
            },
            "/tidegate.css" if web => reply(StatusCode::OK, "text/css; charset=utf-8", web::STYLE),
            "/tidegate.js" if web => {
                reply(StatusCode::OK, "text/javascript; charset=utf-8", web::SCRIPT)
            }
            _ => words(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }
}

async fn metrics<B>(request: &Request<B>, daemon: &Daemon, pages: &Pages) -> Reply {
    let accept = request.headers().get_all(ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|header| header.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let service = query.into_iter().find(|(key, _)| key == "service");
    let service = service.map(|(_, name)| name.into_owned());
    match pages.page(daemon, format, service).await {
        Some(page) => {
            let mut reply = reply(StatusCode::OK, format.content_type(), page);
            reply.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
            reply
        }
        None => words(StatusCode::NOT_FOUND, "there is no such service"),
    }
}
