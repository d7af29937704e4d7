//! Which backend a new transfer goes to: who may be chosen, by which rule, one file a rule; and the memory of
//! who went where and of how often somebody asks.

pub mod candidates;
pub mod cap;
pub mod choice;
pub mod least_transfers;
pub mod look;
pub mod maglev;
pub mod rate;
pub mod rota;
pub mod round_robin;
pub mod silence;
pub mod slow_start;
pub mod sticky;
