//! Metrics of the pair.

use super::page::{NO_LABELS, Page};
use engine::state::sync::import::SyncRefusal;
use std::fmt;

/// The pair, as this gate sees it.
#[derive(Debug)]
pub struct Pair {
    /// The link on which this gate tells its flows.
    pub telling: PairLink,
    /// The link on which it hears of the peer's.
    pub hearing: PairLink,
    /// Rows refused, by [`SyncRefusal`].
    pub refused: [u64; SyncRefusal::ALL.len()],
    /// Addresses that both gates hold.
    pub conflicts: u64,
}

/// One direction of the link.
#[derive(Debug)]
pub struct PairLink {
    /// Whether there is a link.
    pub is_linked: bool,
    /// Links since the start.
    pub links: u64,
    /// Rows since the start.
    pub rows: u64,
    /// Seconds since the last whole round.
    pub lag: Option<f64>,
}

pub(super) fn encode(pair: Option<&Pair>, page: &mut Page) -> fmt::Result {
    let links = pair.into_iter().flat_map(|it| [("out", &it.telling), ("in", &it.hearing)]);
    let links = links.map(|(name, it)| ([("direction", name)], it));
    let each = |of: fn(&PairLink) -> u64| links.clone().map(move |(labels, it)| (labels, of(it)));
    let help = "Whether there is a link on which flows are told (out) or heard of (in)";
    page.gauge("sync_connected", help, each(|it| it.is_linked.into()))?;
    let help = "Links since the start; each begins with all flows";
    page.counter("sync_links", help, each(|it| it.links))?;
    page.counter("sync_rows", "Rows told (out) and heard of (in)", each(|it| it.rows))?;
    let lags = links.clone().filter_map(|(labels, it)| Some((labels, it.lag?)));
    page.gauge_of_seconds("sync_lag_seconds", "Time since the last whole round", lags)?;
    let refused = pair.into_iter().flat_map(|it| {
        SyncRefusal::ALL.map(|why| [("reason", why.name())]).into_iter().zip(it.refused)
    });
    page.counter("sync_refused_rows", "Rows of the peer that were refused", refused)?;
    let conflicts = pair.map(|it| (NO_LABELS, it.conflicts));
    page.gauge("pair_conflicts", "Addresses that both gates of the pair hold", conflicts)
}
