//! One client's transfer, from its request on.

use crate::link::{Failure, Link, Manner, Tally};
use crate::terms::Terms;
use crate::transfer::{self, Receipt};
use crate::{content, message};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use wire::tftp::Message;

/// A request, and how a client carries out its transfer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The endpoint for requests.
    pub target: SocketAddr,
    /// The file.
    pub file: String,
    /// The file's size in bytes, if its contents are known.
    pub size: Option<u64>,
    /// Whether clients upload.
    pub is_write: bool,
    /// Options to ask for.
    pub terms: Terms,
    /// Retransmission and loss.
    pub manner: Manner,
}

/// The result of a transfer.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Bytes of the file, or the failure.
    pub result: Result<u64, Failure>,
    /// From the request to the end.
    pub time: Duration,
    /// The server that answered.
    pub server: Option<SocketAddr>,
    /// Retransmissions and strays.
    pub tally: Tally,
}

/// The first answer.
enum Answer {
    /// An OACK; an ACK asks for the rest.
    Granted(Terms),
    /// A first block, in the link's buffer: no options.
    Block(usize),
    /// The ACK of a WRQ: no options.
    GoAhead,
}

/// Carries out one transfer from the address `source`.
pub async fn transfer(request: &Request, source: IpAddr) -> Outcome {
    let start = Instant::now();
    let socket = match UdpSocket::bind(SocketAddr::new(source, 0)).await {
        Ok(socket) => socket,
        Err(error) => {
            let (result, tally) = (Err(error.into()), Tally::default());
            return Outcome { result, time: start.elapsed(), server: None, tally };
        }
    };
    let mut link = Link::new(socket, request.target, request.terms.blksize, request.manner);
    let result = run(&mut link, request).await;
    Outcome { result, time: start.elapsed(), server: link.peer(), tally: link.tally }
}

async fn run(link: &mut Link, request: &Request) -> Result<u64, Failure> {
    let datagram = message::request(request.is_write, &request.file, &request.terms.asked());
    let answer = ask(link, &datagram).await?;
    if request.is_write {
        let terms = match answer {
            Answer::Granted(terms) => terms,
            Answer::GoAhead => Terms::PLAIN,
            Answer::Block(_) => return Err(Failure::Protocol),
        };
        let size = request.size.unwrap_or(0);
        return transfer::send(link, terms, size).await.map(|()| size);
    }
    let (terms, first) = match answer {
        Answer::Granted(terms) => (terms, None),
        Answer::Block(len) => (Terms::PLAIN, Some(len)),
        Answer::GoAhead => return Err(Failure::Protocol),
    };
    let opening = message::ack(0);
    if first.is_none() {
        link.send(&opening).await?;
    }
    let receipt = Receipt { opening, first, check: request.size.is_some() };
    let received = transfer::receive(link, terms, receipt).await?;
    match request.size {
        Some(size) if size != received => Err(Failure::WrongData),
        Some(_) | None => Ok(received),
    }
}

/// Sends the request until a server answers.
async fn ask(link: &mut Link, request: &[u8]) -> Result<Answer, Failure> {
    link.send(request).await?;
    for _ in 0..=link.manner().retries {
        let Some(len) = link.receive(link.patience()).await? else {
            link.tally.requests += 1;
            link.send(request).await?;
            continue;
        };
        return match Message::parse(&link.buffer[..len]) {
            Ok(Message::Oack(options)) => Ok(Answer::Granted(Terms::of(options))),
            Ok(Message::Data { .. }) => Ok(Answer::Block(len)),
            Ok(Message::Ack { .. }) => Ok(Answer::GoAhead),
            Ok(Message::Error { code }) => Err(Failure::Error(code)),
            Ok(Message::Request(_)) | Err(_) => Err(Failure::Protocol),
        };
    }
    Err(Failure::Timeout)
}

impl Request {
    /// A file whose bytes are known and checked.
    pub fn of_size(target: SocketAddr, size: u64, terms: Terms, manner: Manner) -> Request {
        let file = content::name(size);
        Request { target, file, size: Some(size), is_write: false, terms, manner }
    }
}
