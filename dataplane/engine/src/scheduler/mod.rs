//! Schedulers, one file per algorithm; and per-client memory: persistence, request rates, unanswered clients.

pub mod backend_group;
pub mod maglev;
pub mod member;
pub mod persistence;
pub mod rate_limit;
pub mod round_robin;
pub mod silence;
pub mod slow_start;
pub mod transfer_limit;
