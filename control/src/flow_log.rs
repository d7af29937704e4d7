//! The log of transfers: records of workers, each written as one line by a thread of its own, so that a slow disk or a
//! silent journal holds up neither packets nor control. What can't be written is counted.

mod clients;
mod heaviest;
mod loss;
mod merge;
mod names;
mod outcome;
mod output;
mod overrun;
mod recent;
mod record;
mod request;
#[cfg(test)]
mod sample;
mod sink;
mod text;
#[cfg(test)]
mod told;
mod watch;
mod writer;

pub use clients::Ranking;
pub use names::Names;
pub use outcome::Outcome;
pub use output::Outputs;
pub use recent::Recent;
pub use record::{End, Line};
pub use request::Asked;
pub use watch::Watch;
pub use writer::FlowLogger;

use crate::config::{LogOutput, Outcomes};
use engine::snapshot::log_policy::LogPolicy;

/// The records that workers make of a service with this protocol, for all outputs together.
pub fn policy<'a>(
    service: &str,
    is_without_end: bool,
    outputs: impl Iterator<Item = &'a LogOutput> + Clone,
) -> LogPolicy {
    let wanting = || outputs.clone().filter(|output| output.wants_service(service));
    let wanted = wanting().map(|output| output.outcomes_of(is_without_end));
    let Outcomes { ends, refused } = wanted.fold(Outcomes::NONE, |all, one| Outcomes {
        ends: all.ends | one.ends,
        refused: all.refused || one.refused,
    });
    let least = wanting().map(|output| output.sample).min().unwrap_or(1);
    // The others take theirs of these, or of all.
    let is_common = wanting().all(|output| output.sample.is_multiple_of(least));
    LogPolicy { ends, refusals: refused, one_in: if is_common { least } else { 1 } }
}

/// The records that workers make of a service while somebody watches: all that the outputs want, and all that a log has by
/// default.
pub fn watched(policy: LogPolicy) -> LogPolicy {
    LogPolicy { ends: policy.ends | Outcomes::default().ends, refusals: true, one_in: 1 }
}

impl LogOutput {
    /// Whether records of this service are wanted.
    fn wants_service(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFormat, LogTarget, WantedOutcomes};
    use engine::types::end_reason::EndReason;

    fn output(services: &[&str], end: EndReason, sample: u32) -> LogOutput {
        let outcomes = Outcomes { ends: LogPolicy::bit(end), refused: sample == 1 };
        LogOutput {
            to: LogTarget::Stderr,
            format: LogFormat::Text,
            services: services.iter().map(|&name| name.to_owned()).collect(),
            outcomes: WantedOutcomes::These(outcomes),
            sample,
            rate: 2000,
        }
    }

    #[test]
    fn workers_make_what_some_output_wants() {
        let outputs =
            [output(&["pxe"], EndReason::Failed, 1), output(&[], EndReason::Completed, 100)];
        let [pxe, other] = ["pxe", "fw"].map(|service| policy(service, false, outputs.iter()));
        assert!(pxe.wants(EndReason::Failed) && pxe.wants(EndReason::Completed) && pxe.refusals);
        assert!(!other.wants(EndReason::Failed) && other.wants(EndReason::Completed));
        assert!(!other.refusals);
        assert_eq!((pxe.one_in, policy("pxe", false, [].iter())), (1, LogPolicy::default()));
        let outputs = [output(&[], EndReason::Failed, 10), output(&[], EndReason::Failed, 100)];
        assert_eq!(policy("pxe", false, outputs.iter()).one_in, 10);
        let outputs = [output(&[], EndReason::Failed, 10), output(&[], EndReason::Failed, 15)];
        assert_eq!(policy("pxe", false, outputs.iter()).one_in, 1);
    }

    #[test]
    fn whoever_watches_has_everything_and_the_outputs_have_what_they_want() {
        let output = output(&[], EndReason::SizeProbe, 10);
        let probes = policy("pxe", false, [&output].into_iter());
        for (policy, has_probes) in [(probes, true), (LogPolicy::default(), false)] {
            let watched = watched(policy);
            assert_eq!(watched.wants(EndReason::SizeProbe), has_probes);
            assert!(watched.wants(EndReason::Completed) && watched.wants(EndReason::Unanswered));
            assert_eq!((watched.refusals, watched.one_in), (true, 1));
        }
    }
}
