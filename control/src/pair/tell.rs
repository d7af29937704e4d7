//! Tells the peer the flows of this gate: round after round over all workers' rows, each to its end before the next one
//! begins, so that a slow peer or link gets fewer rounds and loses nothing.

use super::error::PairError;
use super::hello::{greet, hello};
use super::key::Key;
use super::link::{Link, LinkError, MOST, Receiver, Sender};
use super::message::Message;
use super::names::Names;
use super::record::Record;
use crate::config;
use crate::daemon::Daemon;
use engine::state::sync::ROUND;
use engine::state::sync::export::SyncExport;
use engine::types::tick::{PER_SECOND, ticks};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Pause before the next attempt to link.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for a TCP connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time in which the peer must have taken in a round.
const SLOWEST: Duration = Duration::from_secs(60);
/// Rows that a worker copies out at a time.
const ROWS: usize = 4096;
/// Room for a record in a message.
const LONGEST: usize = 512;

/// Tells this gate's flows for as long as it runs.
pub async fn tell(daemon: Rc<Daemon>, pair: config::Pair, key: Key) {
    let mut said = String::new();
    loop {
        let outcome = match link(&pair, &key).await {
            Ok(link) => Telling::new(&daemon, &pair, link).run(&mut said).await,
            Err(error) => error,
        };
        daemon.pair_state().telling.end();
        let why = outcome.to_string();
        if why != said {
            log::warn!("pair: flows are not told to {}: {why}", pair.peer);
            said = why;
        }
        sleep(PAUSE).await;
    }
}

/// Links to the peer, from the address that it expects.
async fn link(pair: &config::Pair, key: &Key) -> Result<Link, PairError> {
    let stream = timeout(PATIENCE, connect(pair)).await.map_err(|_| LinkError::TimedOut)??;
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
    names: Names,
    /// A round of each worker.
    exports: Vec<Option<Box<SyncExport>>>,
}

impl<'a> Telling<'a> {
    fn new(daemon: &'a Daemon, pair: &'a config::Pair, link: Link) -> Telling<'a> {
        let (sender, receiver) = link.split();
        let rows = daemon.active().config().dataplane.max_flows as usize;
        // A flow must be told before it has lasted for so long.
        let min_age = ticks(pair.sync_after).saturating_sub(ROUND);
        let export = |_| Some(Box::new(SyncExport::new(rows, ROWS, min_age)));
        let exports = (0..daemon.channels.workers()).map(export).collect();
        Telling { daemon, pair, sender, receiver, names: Names::default(), exports }
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
            match timeout(SLOWEST, self.round()).await {
                Ok(Ok(())) => sleep_until(next).await,
                Ok(Err(error)) => return error,
                Err(_) => return LinkError::TimedOut.into(),
            }
        }
    }

    async fn begin(&mut self) -> Result<String, PairError> {
        self.sender.send(&hello().encode()).await?;
        greet(timeout(PATIENCE, self.hear()).await.map_err(|_| LinkError::TimedOut)??)
    }

    async fn round(&mut self) -> Result<(), PairError> {
        let names = self.daemon.pair_names();
        if names != self.names {
            for message in names.messages() {
                self.sender.send(&message.encode()).await?;
            }
            self.names = names;
        }
        for worker in 0..self.exports.len() {
            self.tell_worker(worker).await?;
        }
        let round = self.daemon.pair_state().telling.rounds.get();
        let held = self.daemon.held_addresses().into_iter().collect();
        self.sender.send(&Message::RoundEnd { round, held }.encode()).await?;
        match self.hear().await? {
            Message::Done { round: done, .. } if done == round => {}
            _ => return Err(PairError::Order),
        }
        self.daemon.pair_state().telling.round();
        Ok(())
    }

    async fn tell_worker(&mut self, worker: usize) -> Result<(), PairError> {
        let Some(mut export) = self.exports[worker].take() else { return Err(PairError::Silent) };
        export.begin();
        while !export.is_whole() {
            let asked = self.daemon.channels.export(worker as u16, export).await;
            export = asked.map_err(|_| PairError::Silent)?;
            let transfers = export.transfers.drain(..).map(Record::Transfer);
            let records = transfers.chain(export.connections.drain(..).map(Record::Connection));
            let mut bytes = vec![];
            let mut messages = vec![];
            let mut count = 0;
            for record in records {
                record.encode(&mut bytes);
                count += 1;
                if bytes.len() > MOST - LONGEST {
                    messages.push(std::mem::take(&mut bytes));
                }
            }
            messages.push(bytes);
            for rows in messages.into_iter().filter(|rows| !rows.is_empty()) {
                self.sender.send(&Message::Rows(rows).encode()).await?;
            }
            self.daemon.pair_state().telling.count(count);
        }
        self.exports[worker] = Some(export);
        Ok(())
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
