//! Services of the snapshot: those of the configuration, and removed ones.

use crate::config;
use crate::registry::{self, Means, Numbered};
use engine::flow::ftp_session_table::FtpSessionTable;
use engine::scheduler::persistence::Persistence;
use engine::snapshot::Protocol;
use engine::snapshot::access::Access;
use engine::snapshot::log_policy::LogPolicy;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::service::Service;
use engine::types::id::GroupId;
use engine::types::mode::Mode;
use engine::types::tick::ticks;

pub fn configured(service: &config::Service, numbers: &Numbered, max_flows: u32) -> Service {
    let rules = service.rules.iter().zip(&numbers.rules);
    Service {
        protocol: service.protocol,
        port: service.port,
        mode: match service.mode {
            config::Mode::Dsr => Mode::Dsr,
            config::Mode::Nat => Mode::Nat,
            config::Mode::Snat(_) => Mode::Snat(numbers.pool.clone()),
        },
        idle_timeout: ticks(service.idle_timeout),
        transitory_timeout: ticks(service.transitory_timeout),
        persistence: service.persistence.map(persistence),
        failover: service.failover,
        access: Access {
            max_connections: max_connections(service, max_flows),
            ..service.access.clone()
        },
        options: service.options.clone(),
        log: LogPolicy::default(),
        rules: rules.map(|((rule, _), &group)| (rule.clone(), group)).collect(),
        group: numbers.group,
    }
}

/// The most connections of a client to this service. FTP sessions are few and live long: without a limit in the
/// configuration a client has at most an eighth of the sessions of a worker.
fn max_connections(service: &config::Service, max_flows: u32) -> Option<u32> {
    let eighth = || FtpSessionTable::most(max_flows as usize) as u32 / 8;
    let is_ftp = matches!(service.protocol, Protocol::Ftp(_));
    service.access.max_connections.or_else(|| is_ftp.then(eighth))
}

/// A removed service, for its remaining transfers.
pub fn leaving(service: &registry::Service, group: GroupId) -> Service {
    Service {
        protocol: service.protocol,
        port: service.port,
        mode: match service.means {
            Means::Dsr => Mode::Dsr,
            Means::Nat => Mode::Nat,
            Means::Snat => Mode::Snat(vec![]),
        },
        idle_timeout: ticks(service.idle_timeout),
        transitory_timeout: ticks(service.transitory_timeout),
        persistence: None,
        failover: false,
        access: Access { allow_clients: service.allow_clients.clone(), ..Access::default() },
        options: OptionLimits::default(),
        log: LogPolicy::default(),
        rules: vec![],
        group,
    }
}

fn persistence(written: config::Persistence) -> Persistence {
    Persistence { ticks: ticks(written.length), prefixes: written.prefixes }
}
