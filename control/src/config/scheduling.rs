//! Checks of a service's scheduler and persistence.

use super::check::Checker;
use super::file::{self, Maybe};
use super::types::Persistence;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence;
use engine::snapshot::Protocol;

impl Checker {
    pub fn scheduler(&mut self, written: &Maybe<String>, protocol: Protocol) -> Scheduler {
        let Some(written) = written else { return Scheduler::default() };
        match written.as_ref().as_str() {
            "round-robin" => Scheduler::RoundRobin,
            "least-transfers" => Scheduler::LeastTransfers,
            "source-hash" => Scheduler::SourceHash,
            "file-hash" => {
                if protocol != Protocol::Tftp {
                    let name = protocol.name();
                    let what = format!("`file-hash` does not go with `protocol = \"{name}\"`");
                    self.fault(written.span(), what, "only TFTP's requests name a file");
                }
                Scheduler::FileHash
            }
            other => {
                let hint = "\"round-robin\", \"least-transfers\", \"source-hash\" or \"file-hash\"";
                self.fault(written.span(), format!("no such scheduler: `{other}`"), hint);
                Scheduler::default()
            }
        }
    }

    pub fn persistence(
        &mut self,
        written: &file::Service,
        scheduler: Scheduler,
    ) -> Option<Persistence> {
        let prefixes = [&written.persistence_prefix, &written.persistence_prefix_v6];
        if written.persistence.is_none() {
            for prefix in prefixes.into_iter().flatten() {
                let what = "a prefix without `persistence`";
                self.fault(prefix.span(), what, "say how long, or leave it out");
            }
        }
        let [v4, v6] = [0, 1].map(|place| {
            let whole = u64::from(persistence::WHOLE[place]);
            self.number(prefixes[place], whole, 1..=whole) as u8
        });
        let length = self.duration(&written.persistence, 1..=86_400)?;
        let persistence = Persistence { length, prefixes: [v4, v6] };
        if let (Some(word), true) = (&written.scheduler, scheduler != Scheduler::SourceHash)
            && [false, true].iter().any(|&v6| persistence.is_of_networks(v6))
        {
            let what = format!("`{}` does not go with a network's persistence", word.as_ref());
            let hint = "all workers choose by \"source-hash\" then: say so, or leave it out";
            self.fault(word.span(), what, hint);
        }
        Some(persistence)
    }
}
