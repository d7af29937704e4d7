//! Hears of the peer's flows, and has the workers take them in. There is one link at a time: a new one takes the place of
//! one that may be dead.

use super::error::PairError;
use super::hello::{greet, hello};
use super::key::Key;
use super::link::{Link, LinkError, Receiver, Sender};
use super::message::Message;
use super::names::{Names, Translation};
use super::record::Record;
use crate::active_config::ActiveConfig;
use crate::config;
use crate::daemon::Daemon;
use engine::net::rss::RssEntry;
use engine::state::sync::Gains;
use engine::state::sync::import::SyncImport;
use engine::state::sync::purge::SyncPurge;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Pause before the next attempt to listen, and after a failed `accept`.
const PAUSE: Duration = Duration::from_secs(1);
/// Time after which a silent peer is given up: it speaks each round.
const SILENCE: Duration = Duration::from_secs(5);
/// Most handshakes at a time.
const MOST: usize = 4;
/// Rounds after which a link has told all flows that there were, also those that could not be told at once.
const SETTLED: u64 = 10;
/// Least time between two lines about strangers.
const QUIET: Duration = Duration::from_secs(10);
/// Most names that a peer can tell.
const MOST_NAMES: usize = 1 << 18;

/// Hears of the peer's flows for as long as the gate runs.
pub async fn hear(daemon: Rc<Daemon>, pair: config::Pair, key: Key) {
    let listener = listen(pair.listen).await;
    let mut handshakes = JoinSet::new();
    let mut link: JoinSet<()> = JoinSet::new();
    let mut strangers = Strangers::default();
    loop {
        tokio::select! {
            accepted = listener.accept(), if handshakes.len() < MOST => match accepted {
                Ok((stream, from)) if from.ip() == pair.peer.ip() => {
                    let key = key.clone();
                    handshakes.spawn_local(async move { (Link::accept(stream, &key).await, from) });
                }
                Ok((_, from)) => strangers.note(from, &"it is not the peer"),
                Err(_) => sleep(PAUSE).await,
            },
            Some(Ok((shaken, from))) = handshakes.join_next() => match shaken {
                Ok(new) => {
                    // The last word of the old one comes before the first of the new one.
                    link.shutdown().await;
                    link.spawn_local(serve(Rc::clone(&daemon), new, from));
                }
                Err(error) => strangers.note(from, &error),
            },
            Some(_) = link.join_next() => {}
        }
    }
}

/// Listens as soon as the address can be had: it may be one of a TAP that is not up yet.
async fn listen(address: SocketAddr) -> TcpListener {
    let mut said = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !said => log::warn!("pair: cannot listen on {address} yet: {error}"),
            Err(_) => {}
        }
        said = true;
        sleep(PAUSE).await;
    }
}

/// Lines about hosts that want to be the peer.
#[derive(Default)]
struct Strangers {
    last: Option<Instant>,
}

impl Strangers {
    fn note(&mut self, from: SocketAddr, why: &dyn std::fmt::Display) {
        if self.last.is_none_or(|last| last.elapsed() > QUIET) {
            self.last = Some(Instant::now());
            log::warn!("pair: {} is refused: {why}", from.ip());
        }
    }
}

/// Hears of flows on this link until it is gone.
async fn serve(daemon: Rc<Daemon>, link: Link, from: SocketAddr) {
    let _gone = Gone(Rc::clone(&daemon));
    let error = Hearing::new(&daemon, link).run(from).await;
    log::info!("pair: {} tells no flows any more: {error}", from.ip());
}

/// Notes the end of a link, however it ends.
struct Gone(Rc<Daemon>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.pair_state().peer_is_gone();
    }
}

/// One link, and what was heard on it.
struct Hearing<'a> {
    daemon: &'a Daemon,
    sender: Sender,
    receiver: Receiver,
    names: Names,
    /// The translation of the names, with the configuration that it was made for.
    translation: Option<(Rc<ActiveConfig>, Translation)>,
    refused: u32,
}

impl<'a> Hearing<'a> {
    fn new(daemon: &'a Daemon, link: Link) -> Hearing<'a> {
        let (sender, receiver) = link.split();
        Hearing { daemon, sender, receiver, names: Names::default(), translation: None, refused: 0 }
    }

    async fn run(&mut self, from: SocketAddr) -> PairError {
        match self.begin().await {
            Ok(version) => {
                log::info!("pair: {} tells its flows (tidegate {version})", from.ip());
                self.daemon.pair_state().hearing.begin(version);
            }
            Err(error) => return error,
        }
        loop {
            let outcome = match self.hear().await {
                Ok(message) => self.take(message).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return error;
            }
        }
    }

    async fn begin(&mut self) -> Result<String, PairError> {
        let first = self.hear().await?;
        self.sender.send(&hello().encode()).await?;
        greet(first)
    }

    async fn take(&mut self, message: Message) -> Result<(), PairError> {
        match message {
            Message::Names { is_first, backends, vips, interfaces } => {
                self.names.hear(is_first, Names::from_message(backends, vips, interfaces));
                self.translation = None;
                if self.names.count() > MOST_NAMES { Err(PairError::Order) } else { Ok(()) }
            }
            Message::Stations(stations) => {
                self.daemon.pair_state().hear_of_stations(stations);
                Ok(())
            }
            Message::Rows(bytes) => self.take_in(&bytes, &Gains::default()).await,
            Message::LastRows(bytes) => {
                let gains = self.daemon.pair_state().gains(self.daemon.now());
                self.take_in(&bytes, &gains).await
            }
            Message::RoundEnd { round, held } => {
                let held: BTreeSet<IpAddr> = held.into_iter().collect();
                let state = self.daemon.pair_state();
                state.hearing.round();
                if state.hearing.rounds.get() == SETTLED {
                    self.purge(&held).await?;
                }
                state.hear_of(held, &self.daemon.held_alone());
                let refused = std::mem::take(&mut self.refused);
                self.sender.send(&Message::Done { round, refused }.encode()).await?;
                Ok(())
            }
            Message::Hello { .. } | Message::Done { .. } => Err(PairError::Order),
        }
    }

    /// Has the workers take in records, each those of its clients. `gains`: of addresses that this gate has just got, too.
    async fn take_in(&mut self, bytes: &[u8], gains: &Gains) -> Result<(), PairError> {
        let mut records = Record::decode_all(bytes).map_err(|_| PairError::Record)?;
        self.translate(&mut records);
        let workers = self.daemon.channels.workers();
        let of_worker = |_| SyncImport::new(vec![], vec![], self.epoch()).with(gains.clone());
        let mut rows: Vec<SyncImport> = (0..workers).map(of_worker).collect();
        self.daemon.pair_state().hearing.count(records.len());
        for record in records {
            let rows = &mut rows[usize::from(RssEntry::of(record.client()).worker(workers))];
            match record {
                Record::Transfer(transfer) => rows.transfers.push(transfer),
                Record::Connection(connection) => rows.connections.push(connection),
            }
        }
        for (worker, rows) in (0..).zip(rows).filter(|(_, rows)| !rows.is_empty()) {
            let rows = self.daemon.channels.import(worker, rows).await;
            let refused = rows.map_err(|_| PairError::Silent)?.refused;
            self.daemon.pair_state().refuse(&refused);
            self.refused += refused.iter().sum::<u32>();
        }
        Ok(())
    }

    /// The number of this link, which rows are marked with.
    fn epoch(&self) -> u8 {
        (self.daemon.pair_state().hearing.links.get() % u64::from(u8::MAX)) as u8 + 1
    }

    /// Ends flows that the peer, who holds these addresses, does not have any more.
    async fn purge(&self, held: &BTreeSet<IpAddr>) -> Result<(), PairError> {
        let peers = self.daemon.within(held);
        let mut ended = 0;
        for worker in 0..self.daemon.channels.workers() {
            let purge = SyncPurge::new(self.epoch(), peers.clone());
            ended +=
                self.daemon.channels.purge(worker, purge).await.map_err(|_| PairError::Silent)?;
        }
        if ended > 0 {
            log::info!("pair: {ended} flows are over that the peer has not any more");
        }
        Ok(())
    }

    /// Gives the records ids of this gate.
    fn translate(&mut self, records: &mut [Record]) {
        let active = self.daemon.active();
        let known = self.translation.take().filter(|(of, _)| Rc::ptr_eq(of, &active));
        let (of, translation) = known.unwrap_or_else(|| {
            let translation = Translation::new(&self.names, &active);
            let unknown = translation.unknown(&self.names);
            if !unknown.is_empty() {
                let few: Vec<_> = unknown.iter().take(3).map(String::as_str).collect();
                let all = unknown.len();
                log::warn!("pair: {all} names of the peer are unknown here: {}", few.join(", "));
            }
            (active, translation)
        });
        records.iter_mut().for_each(|record| translation.translate(record));
        self.translation = Some((of, translation));
    }

    /// The peer's next message of a kind that is known.
    async fn hear(&mut self) -> Result<Message, PairError> {
        loop {
            let received = timeout(SILENCE, self.receiver.receive()).await;
            let bytes = received.map_err(|_| LinkError::TimedOut)??.ok_or(PairError::Closed)?;
            if let Some(message) = Message::decode(&bytes)? {
                return Ok(message);
            }
        }
    }
}
