//! The server: a task for each connection, a request for each connection.

use super::access::Access;
use super::endpoint::Endpoint;
use super::guard::check;
use super::listener::Listener;
use super::pages::Pages;
use super::reply::Reply;
use super::route::Site;
use super::web_page::WebPage;
use crate::daemon::Daemon;
use crate::seats::{Seat, Seats};
use futures_util::future::{join, join_all, pending};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

/// Bytes of a request's head, at most.
const LONGEST_HEAD: usize = 8 * 1024;
/// The time that a client has for its request's head.
const HEAD: Duration = Duration::from_secs(5);
/// The time that a whole connection has, so that a client that reads nothing is disconnected, too.
const WHOLE: Duration = Duration::from_secs(10);

/// The server of one address.
pub struct Server {
    socket: Socket,
    endpoint: Endpoint,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The ends of a TCP connection; none of a Unix socket.
type Ends = Option<(IpAddr, IpAddr)>;

/// Serves at all addresses until the future is dropped, in a `LocalSet`.
pub async fn serve_all(servers: Vec<Server>, daemon: Rc<Daemon>) {
    join_all(servers.iter().map(|server| server.run(Rc::clone(&daemon)))).await;
    // There is no address at all.
    pending().await
}

impl Server {
    /// Takes over an open address, on a runtime.
    ///
    /// # Errors
    ///
    /// The runtime refuses it.
    pub fn new(endpoint: Endpoint) -> io::Result<Server> {
        let socket = match &endpoint.listener {
            Listener::Tcp(socket) => Socket::Tcp(TcpListener::from_std(socket.try_clone()?)?),
            Listener::Unix(socket, _) => Socket::Unix(UnixListener::from_std(socket.try_clone()?)?),
        };
        Ok(Server { socket, endpoint })
    }

    /// Serves until the future is dropped, in a `LocalSet`. When all seats are taken, idle connections make room.
    pub async fn run(&self, daemon: Rc<Daemon>) {
        let serves = self.endpoint.serves;
        let (pages, web) = (Pages::default(), WebPage::default());
        let site = Rc::new(Site { daemon, serves, pages, web });
        let recording = async {
            if serves.web {
                site.web.record(&site.daemon).await;
            }
        };
        join(recording, self.accept_all(&site)).await;
    }

    async fn accept_all(&self, site: &Rc<Site>) {
        let is_open = self.endpoint.access.is_none();
        let seats = Seats::default();
        loop {
            match self.accept().await {
                Ok((_, ends)) if !self.allows(ends) => {}
                Ok((stream, ends)) => {
                    // If all connections are being answered, this one is closed.
                    if let Some(seat) = seats.take(false) {
                        let connection = Connection {
                            seat,
                            site: Rc::clone(site),
                            access: self.endpoint.access.clone(),
                            bound: ends.map(|(bound, _)| bound).filter(|_| is_open),
                        };
                        spawn_local(async move {
                            match stream {
                                Stream::Tcp(stream) => serve(stream, &connection).await,
                                Stream::Unix(stream) => serve(stream, &connection).await,
                            }
                        });
                    }
                    // The request is read before another connection can take the seat.
                    yield_now().await;
                }
                Err(error) => {
                    log::warn!("cannot accept a connection for HTTP: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Whether the client's network is allowed. Others are disconnected before they take a seat.
    fn allows(&self, ends: Ends) -> bool {
        let Some(access) = &self.endpoint.access else { return true };
        ends.is_some_and(|(_, client)| access.allows(client))
    }

    async fn accept(&self) -> io::Result<(Stream, Ends)> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, client) = socket.accept().await?;
                let ends = (stream.local_addr()?.ip(), client.ip());
                (Stream::Tcp(stream), Some(ends))
            }
            Socket::Unix(socket) => (Stream::Unix(socket.accept().await?.0), None),
        })
    }
}

/// A connection to be served.
struct Connection {
    seat: Seat,
    site: Rc<Site>,
    access: Option<Rc<Access>>,
    /// The TCP address that the client has connected to, where no token is needed.
    bound: Option<IpAddr>,
}

impl Connection {
    async fn answer<B>(&self, request: &Request<B>) -> Reply {
        let checked = check(request, self.bound);
        let checked = checked.and_then(|()| match &self.access {
            Some(access) => access.check(request),
            None => Ok(()),
        });
        match checked {
            Ok(()) => self.site.answer(request).await,
            Err(reply) => *reply,
        }
    }
}

/// Serves one connection until its end, or until it has to make room.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, connection: &Connection) {
    let service = service_fn(async |request: Request<Incoming>| {
        connection.seat.is_answered();
        let reply = connection.answer(&request).await;
        connection.seat.is_sent_to();
        Ok::<_, Infallible>(reply)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(LONGEST_HEAD)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = connection.seat.taken() => {}
        // A client that has gone or waited for too long is no news.
        _ = timeout(WHOLE, served) => {}
    }
}
