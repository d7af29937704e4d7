//! The last lines of the log, and the clients in them, for whoever asks.

use super::Daemon;
use crate::api::{ClientCounts, ClientRow, Clients, Error, Few, Log, LogLine, Newer};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::spawn_local;
use tokio::time::sleep;

impl Daemon {
    pub(super) async fn log(self: &Rc<Self>, which: Newer) -> Result<Log, Error> {
        let limit = super::limit(which.limit)?;
        self.watch_log().await;
        let (since, lines) = self.flow_log.watch().lines(which.after, limit);
        let lines = lines.into_iter().map(|line| LogLine {
            seq: line.seq,
            text: line.to_string(),
            time: line.time,
        });
        Ok(Log { since: seconds(since), lines: lines.collect() })
    }

    pub(super) async fn clients(self: &Rc<Self>, few: Few) -> Result<Clients, Error> {
        let limit = super::limit(few.limit)?;
        self.watch_log().await;
        let (since, ranking) = self.flow_log.watch().clients(limit);
        Ok(Clients {
            since: seconds(since),
            unfinished: ranking.unfinished.into_iter().map(row).collect(),
            missed: ranking.missed,
            talkers: ranking.talkers.into_iter().map(row).collect(),
            missed_bytes: ranking.missed_bytes,
        })
    }

    /// Has workers make records of everything, as long as somebody asks for them.
    async fn watch_log(self: &Rc<Self>) {
        if !self.flow_log.look() {
            return;
        }
        self.publish().await;
        let daemon = Rc::clone(self);
        spawn_local(async move {
            while let Some(left) = daemon.flow_log.look_away() {
                sleep(left).await;
            }
            daemon.publish().await;
        });
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn row((client, counts): (IpAddr, ClientCounts)) -> ClientRow {
    ClientRow { client, counts }
}
