//! TFTP servers: each listens on an address and answers every request from a fresh port.

use crate::link::{Failure, Link, Manner};
use crate::report::Served;
use crate::terms::{Terms, number};
use crate::transfer::{self, Receipt};
use crate::{content, message};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;
use wire::tftp::{FILE_NOT_FOUND, Message};

/// Settings of servers.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Size in bytes of files whose name does not end in one.
    pub size: u64,
    /// The largest block size granted.
    pub max_blksize: u16,
    /// Retransmission and loss.
    pub manner: Manner,
}

/// A server, listening.
pub struct Server {
    socket: UdpSocket,
    habits: Habits,
    /// Clients with a running transfer: further requests of theirs count as repetitions.
    busy: Arc<Mutex<HashSet<SocketAddr>>>,
    served: Arc<Mutex<Served>>,
}

/// A parsed request.
struct Asked {
    client: SocketAddr,
    is_write: bool,
    size: u64,
    terms: Terms,
    /// Granted options; empty if none were asked for.
    granted: Vec<(&'static str, u64)>,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// The port is taken or not allowed.
    pub async fn bind(address: SocketAddr, habits: Habits) -> io::Result<Server> {
        let socket = UdpSocket::bind(address).await?;
        Ok(Server { socket, habits, busy: Arc::default(), served: Arc::default() })
    }

    /// The server's address.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The server's work so far.
    pub fn served(&self) -> Arc<Mutex<Served>> {
        Arc::clone(&self.served)
    }

    /// Serves for ever.
    ///
    /// # Errors
    ///
    /// The socket fails.
    pub async fn run(self) -> io::Result<()> {
        let mut buffer = vec![0; 2048];
        loop {
            let (len, client) = match self.socket.recv_from(&mut buffer).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                received => received?,
            };
            let Ok(Message::Request(request)) = Message::parse(&buffer[..len]) else { continue };
            if request.file.starts_with(b"missing") {
                let refusal = message::error(FILE_NOT_FOUND, "File not found");
                let _ = self.socket.send_to(&refusal, client).await;
                continue;
            }
            let size = content::size(request.file).unwrap_or(self.habits.size);
            if lock(&self.busy).insert(client) {
                self.begin(Asked::new(client, &request, size, &self.habits)).await?;
            }
        }
    }

    async fn begin(&self, asked: Asked) -> io::Result<()> {
        // A fresh port is the transfer's TID.
        let tid = UdpSocket::bind(SocketAddr::new(self.address()?.ip(), 0)).await?;
        let (busy, served) = (Arc::clone(&self.busy), Arc::clone(&self.served));
        let mut link = Link::answering(tid, asked.client, asked.terms.blksize, self.habits.manner);
        tokio::spawn(async move {
            lock(&served).started += 1;
            let result = asked.serve(&mut link).await;
            lock(&busy).remove(&asked.client);
            lock(&served).add(result, &link.tally);
        });
        Ok(())
    }
}

impl Asked {
    fn new(client: SocketAddr, request: &wire::tftp::Request, size: u64, habits: &Habits) -> Asked {
        let options = request.options;
        let mut terms = Terms::of(options);
        terms.blksize = terms.blksize.min(habits.max_blksize);
        let mut granted = vec![];
        let asks = |name: &[u8]| options.value(name).is_some();
        granted.extend(asks(b"blksize").then_some(("blksize", u64::from(terms.blksize))));
        granted.extend(asks(b"windowsize").then_some(("windowsize", u64::from(terms.windowsize))));
        let announced = number::<u64>(options, b"tsize");
        let announced = announced.map(|n| if request.is_write { n } else { size });
        granted.extend(announced.map(|n| ("tsize", n)));
        granted.extend(number::<u64>(options, b"timeout").map(|seconds| ("timeout", seconds)));
        Asked { client, is_write: request.is_write, size, terms, granted }
    }

    async fn serve(&self, link: &mut Link) -> Result<u64, Failure> {
        if self.is_write {
            let opening = if self.granted.is_empty() {
                message::ack(0)
            } else {
                message::oack(&self.granted)
            };
            link.send(&opening).await?;
            let receipt = Receipt { opening, first: None, check: true };
            let received = transfer::receive(link, self.terms, receipt).await?;
            self.linger(link, received).await?;
            return Ok(received);
        }
        if !self.granted.is_empty() {
            self.grant(link).await?;
        }
        transfer::send(link, self.terms, self.size).await.map(|()| self.size)
    }

    /// Sends the OACK until the client answers.
    async fn grant(&self, link: &mut Link) -> Result<(), Failure> {
        let oack = message::oack(&self.granted);
        for _ in 0..=link.manner().retries {
            link.send(&oack).await?;
            let Some(len) = link.receive(link.patience()).await? else {
                link.tally.blocks += 1;
                continue;
            };
            return match Message::parse(&link.buffer[..len]) {
                Ok(Message::Ack { block: 0 }) => Ok(()),
                Ok(Message::Error { code }) => Err(Failure::Error(code)),
                _ => Err(Failure::Protocol),
            };
        }
        Err(Failure::Timeout)
    }

    /// Waits for a repetition of the last block: the client may have missed the last ACK.
    async fn linger(&self, link: &mut Link, received: u64) -> Result<(), Failure> {
        let last = message::ack(received / u64::from(self.terms.blksize) + 1);
        let mut silences = 0;
        while silences < link.manner().retries {
            match link.receive(link.patience()).await? {
                Some(_) => link.send(&last).await?,
                None => silences += 1,
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
