//! One client's transfer, from its request on.

use crate::content;
use crate::link::{Failure, Link, Manner, Tally};
use crate::message;
use crate::terms::Terms;
use crate::transfer::{self, Receipt};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use wire::tftp::Message;

/// What clients ask for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where requests go.
    pub target: SocketAddr,
    /// The file.
    pub file: String,
    /// Its size in bytes, where its bytes are known.
    pub size: Option<u64>,
    /// Whether clients send it.
    pub is_write: bool,
    /// The options they ask for.
    pub terms: Terms,
    /// How they send again, and what gets lost.
    pub manner: Manner,
}

/// How a transfer went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Bytes of file, or why there are none.
    pub result: Result<u64, Failure>,
    /// From the request to the end.
    pub time: Duration,
    /// Who answered.
    pub server: Option<SocketAddr>,
    /// What went on besides.
    pub tally: Tally,
}

/// What came first.
enum Answer {
    /// Options; what else the request gets is asked for by an ACK.
    Granted(Terms),
    /// A first block, in the link's buffer: no options.
    Block(usize),
    /// A go-ahead for a file of ours: no options.
    GoAhead,
}

/// Carries out one transfer from the address `source`.
pub async fn transfer(wish: &Wish, source: IpAddr) -> Outcome {
    let start = Instant::now();
    let socket = match UdpSocket::bind(SocketAddr::new(source, 0)).await {
        Ok(socket) => socket,
        Err(error) => {
            let (result, tally) = (Err(error.into()), Tally::default());
            return Outcome { result, time: start.elapsed(), server: None, tally };
        }
    };
    let mut link = Link::new(socket, wish.target, wish.terms.blksize, wish.manner);
    let result = run(&mut link, wish).await;
    Outcome { result, time: start.elapsed(), server: link.peer(), tally: link.tally }
}

async fn run(link: &mut Link, wish: &Wish) -> Result<u64, Failure> {
    let request = message::request(wish.is_write, &wish.file, &wish.terms.asked());
    let answer = ask(link, &request).await?;
    if wish.is_write {
        let terms = match answer {
            Answer::Granted(terms) => terms,
            Answer::GoAhead => Terms::PLAIN,
            Answer::Block(_) => return Err(Failure::Protocol),
        };
        let size = wish.size.unwrap_or(0);
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
    let receipt = Receipt { opening, first, check: wish.size.is_some() };
    let received = transfer::receive(link, terms, receipt).await?;
    match wish.size {
        Some(size) if size != received => Err(Failure::WrongData),
        Some(_) | None => Ok(received),
    }
}

/// Sends the request until somebody answers.
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

impl Wish {
    /// A file whose every byte is known and checked.
    pub fn of_size(target: SocketAddr, size: u64, terms: Terms, manner: Manner) -> Wish {
        let file = content::name(size);
        Wish { target, file, size: Some(size), is_write: false, terms, manner }
    }
}
