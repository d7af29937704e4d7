//! A pair of gates: each tells the other one its flows, over an encrypted link, so that they go on when it gets the
//! addresses. Who gets them is not decided here.

mod error;
mod hear;
mod hello;
pub mod key;
pub mod link;
pub mod message;
pub mod names;
pub mod record;
pub mod state;
mod station;
mod tell;

pub use error::PairError;

use crate::config;
use crate::daemon::Daemon;
use key::Key;
use state::list;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// Least time between two changes of what the peer holds.
const PAUSE: Duration = Duration::from_millis(100);

/// Time in which all addresses of a gate move.
const MOVE: Duration = Duration::from_secs(1);

/// Runs the pair for as long as the gate runs. The key was read at the start already.
pub async fn run(daemon: Rc<Daemon>, pair: config::Pair, key: Key) {
    let tell = tell::tell(Rc::clone(&daemon), pair.clone(), key.clone());
    let hear = hear::hear(Rc::clone(&daemon), pair, key);
    let enter = enter_the_peer(Rc::clone(&daemon));
    tokio::join!(tell, hear, enter, watch_role(daemon));
}

/// Has the snapshot follow what the peer holds.
async fn enter_the_peer(daemon: Rc<Daemon>) {
    loop {
        daemon.pair_state().changed.notified().await;
        daemon.publish().await;
        sleep(PAUSE).await;
    }
}

/// Logs each change of this gate's role.
async fn watch_role(daemon: Rc<Daemon>) {
    let mut snapshots = daemon.snapshot.subscribe();
    let mut known = "";
    loop {
        let role = daemon.role();
        if role != known {
            match daemon.held_addresses() {
                held if held.is_empty() => log::info!("pair: this gate is {role}"),
                held => log::info!("pair: this gate is {role}: it holds {}", list(&held)),
            }
            known = role;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
        sleep(MOVE).await;
    }
}
