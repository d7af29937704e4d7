//! Tells the peer the flows of this gate: round after round over all workers' rows, each to its end before the next one
//! begins, so that a slow peer or link gets fewer rounds and loses nothing.

use super::error::PairError;
use super::hello::{greet, hello};
use super::key::Key;
use super::link::{Link, LinkError, MOST, Receiver, Sender};
use super::message::{Message, Station};
use super::names::names;
use super::record::Record;
use crate::active_config::ActiveConfig;
use crate::config;
use crate::daemon::Daemon;
use engine::state::sync::export::SyncExport;
use engine::state::sync::{AddressSet, ROUND};
use engine::types::tick::{PER_SECOND, ticks};
use ipnet::IpNet;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Pause before the next attempt to link.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for a TCP connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time in which a message must be on its way, and the peer must answer a round's end.
const SLOWEST: Duration = Duration::from_secs(120);
/// Time in which a peer that lives acknowledges what was sent, however slow the link is.
const DEAD: Duration = Duration::from_secs(5);
/// The longest pause between attempts, and the least time between two rounds that tell all again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Rows that a worker copies out at a time.
const ROWS: usize = 4096;

/// Tells this gate's flows for as long as it runs.
pub async fn tell(daemon: Rc<Daemon>, pair: config::Pair, key: Key) {
    let mut said = String::new();
    let mut pause = PAUSE;
    loop {
        let begun = Instant::now();
        let (why, was_linked) = match link(&pair, &key).await {
            Ok(link) => (Telling::new(&daemon, &pair, link).run(&mut said).await, true),
            Err(error) => (error, false),
        };
        daemon.pair_state().telling.end();
        let why = why.to_string();
        if why != said {
            log::warn!("pair: flows are not told to {}: {why}", pair.peer);
            said = why;
        }
        // A peer that ends each link at once is not told all flows each second; one that is away may come back any time.
        let is_refusing = was_linked && begun.elapsed() < LONGEST_PAUSE;
        pause = if is_refusing { LONGEST_PAUSE.min(pause * 2) } else { PAUSE };
        sleep(pause).await;
    }
}

/// Links to the peer, from the address that it expects.
async fn link(pair: &config::Pair, key: &Key) -> Result<Link, PairError> {
    let stream = timeout(PATIENCE, connect(pair)).await.map_err(|_| LinkError::TimedOut)??;
    set_tcp_user_timeout(&stream, DEAD.as_millis() as u32).map_err(std::io::Error::from)?;
    Ok(Link::connect(stream, key).await?)
}

async fn connect(pair: &config::Pair) -> std::io::Result<TcpStream> {
    let socket = if pair.peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(SocketAddr::new(pair.listen.ip(), 0))?;
    socket.connect(pair.peer).await
}

/// One link, and what the peer was told on it.
struct Telling<'a> {
    daemon: &'a Daemon,
    pair: &'a config::Pair,
    sender: Sender,
    receiver: Receiver,
    /// The configuration whose names the peer knows.
    named: Option<Rc<ActiveConfig>>,
    /// A round of each worker.
    exports: Vec<Option<Box<SyncExport>>>,
    /// Addresses that this gate has lost, the rest of whose flows this round tells.
    lost: Option<AddressSet>,
    /// Whether this round tells all rows.
    tells_all: bool,
    told_all: Instant,
}

impl<'a> Telling<'a> {
    fn new(daemon: &'a Daemon, pair: &'a config::Pair, link: Link) -> Telling<'a> {
        let (sender, receiver) = link.split();
        let rows = daemon.active().config().dataplane.max_flows as usize;
        let export = |_| Some(Box::new(SyncExport::new(rows, ROWS)));
        let exports = (0..daemon.channels.workers()).map(export).collect();
        Telling {
            daemon,
            pair,
            sender,
            receiver,
            named: None,
            exports,
            lost: None,
            tells_all: true,
            told_all: Instant::now(),
        }
    }

    /// Tells one round after the other, until the link is gone.
    async fn run(&mut self, said: &mut String) -> PairError {
        match self.begin().await {
            Ok(version) => {
                log::info!("pair: flows are told to {} (tidegate {version})", self.pair.peer);
                said.clear();
                self.daemon.pair_state().telling.begin(version);
            }
            Err(error) => return error,
        }
        loop {
            let next = Instant::now() + Duration::from_millis(u64::from(1000 * ROUND / PER_SECOND));
            match self.round().await {
                Ok(()) => sleep_until(next).await,
                Err(error) => return error,
            }
        }
    }

    async fn begin(&mut self) -> Result<String, PairError> {
        self.send(&hello()).await?;
        greet(timeout(PATIENCE, self.hear()).await.map_err(|_| LinkError::TimedOut)??)
    }

    async fn round(&mut self) -> Result<(), PairError> {
        let active = self.daemon.active();
        if self.named.as_ref().is_none_or(|named| !Rc::ptr_eq(named, &active)) {
            for message in names(&active).messages() {
                self.send(&message).await?;
            }
            self.send(&Message::Stations(stations(self.daemon))).await?;
            self.named = Some(active);
        }
        self.lost = self.daemon.pair_state().rest(self.daemon.now());
        for worker in 0..self.exports.len() {
            self.tell_worker(worker).await?;
        }
        let round = self.daemon.pair_state().telling.rounds.get();
        let held = self.daemon.held_addresses().into_iter().collect();
        self.send(&Message::RoundEnd { round, held }).await?;
        match timeout(SLOWEST, self.hear()).await.map_err(|_| LinkError::TimedOut)?? {
            Message::Done { round: done, refused } if done == round => self.heed(refused),
            _ => return Err(PairError::Order),
        }
        if self.lost.is_some() {
            self.daemon.pair_state().rest_is_told();
        }
        self.daemon.pair_state().telling.round();
        Ok(())
    }

    /// The age of flows that are told: before they have lasted for `sync_after`, and of all before a drained gate is left.
    fn min_age(&self) -> u32 {
        match *self.daemon.drained.borrow() {
            true => 0,
            false => ticks(self.pair.sync_after).saturating_sub(ROUND),
        }
    }

    async fn tell_worker(&mut self, worker: usize) -> Result<(), PairError> {
        let Some(mut export) = self.exports[worker].take() else { return Err(PairError::Silent) };
        match self.lost.clone() {
            Some(lost) => export.begin_last(lost, self.daemon.now()),
            None => export.begin(self.min_age(), self.daemon.now()),
        }
        while !export.is_whole() {
            let asked = self.daemon.channels.export(worker as u16, export).await;
            export = asked.map_err(|_| PairError::Silent)?;
            let transfers = export.transfers.drain(..).map(Record::Transfer);
            let records = transfers.chain(export.connections.drain(..).map(Record::Connection));
            let count = records.size_hint().0;
            for rows in Record::encode_all(records, MOST - 1) {
                let message =
                    if self.lost.is_some() { Message::LastRows(rows) } else { Message::Rows(rows) };
                self.send(&message).await?;
            }
            self.daemon.pair_state().telling.count(count);
        }
        self.exports[worker] = Some(export);
        Ok(())
    }

    /// Notes whether the peer refuses rows, and has all be told again after a while: it may take them by then.
    fn heed(&mut self, refused: u32) {
        let telling = &self.daemon.pair_state().telling;
        if refused > 0 && !telling.is_refused.get() {
            log::warn!(
                "pair: {} refuses {refused} rows, and does not go on with them",
                self.pair.peer
            );
        }
        let tells_all = std::mem::take(&mut self.tells_all);
        telling.is_refused.set(refused > 0 || (!tells_all && telling.is_refused.get()));
        if telling.is_refused.get() && self.told_all.elapsed() > LONGEST_PAUSE {
            self.exports.iter_mut().flatten().for_each(|export| export.forget());
            (self.tells_all, self.told_all) = (true, Instant::now());
        }
    }

    async fn send(&mut self, message: &Message) -> Result<(), PairError> {
        let bytes = message.encode();
        let sent = timeout(SLOWEST, self.sender.send(&bytes)).await;
        Ok(sent.map_err(|_| LinkError::TimedOut)??)
    }

    /// The peer's next message of a kind that is known.
    async fn hear(&mut self) -> Result<Message, PairError> {
        loop {
            let bytes = self.receiver.receive().await?.ok_or(PairError::Closed)?;
            if let Some(message) = Message::decode(&bytes)? {
                return Ok(message);
            }
        }
    }
}

/// The stations of this gate.
fn stations(daemon: &Daemon) -> Vec<Station> {
    let active = daemon.active();
    let both = active.config().interfaces.iter().zip(&daemon.interfaces);
    both.map(|(interface, facts)| Station {
        interface: interface.name.clone(),
        mac: facts.mac.0,
        addresses: interface.addresses.iter().map(IpNet::addr).collect(),
    })
    .collect()
}
