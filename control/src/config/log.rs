//! Checks of the outputs of the log of transfers.

use super::check::Checker;
use super::file::{self, Maybe};
use super::types::{LogFormat, LogOutput, LogTarget, Outcomes, Service, WantedOutcomes};
use std::path::PathBuf;
use toml::Spanned;

const TARGETS: &str = "\"journald\", \"syslog\", \"stderr\" or \"file:/an/absolute/path\"";
/// Records a second by default: journald takes 10,000 in 30 s.
const RATE: u64 = 2000;

impl Checker {
    pub fn logs(&mut self, written: &[Spanned<file::Log>], services: &[Service]) -> Vec<LogOutput> {
        let logs: Vec<_> = written.iter().map(|log| self.log(log.as_ref(), services)).collect();
        let targets: Vec<_> = logs.iter().map(|log| &log.to).collect();
        for (place, log) in written.iter().enumerate() {
            if targets[..place].contains(&targets[place]) {
                self.fault(log.as_ref().to.span(), "two logs to the same place", "one for each");
            }
        }
        logs
    }

    fn log(&mut self, written: &file::Log, services: &[Service]) -> LogOutput {
        let to = self.target(&written.to);
        LogOutput {
            format: self.format(&written.format, &to),
            to,
            services: self.logged_services(&written.services, services),
            outcomes: WantedOutcomes::These(self.outcomes(&written.outcomes)),
            sample: self.number(&written.sample, 1, 1..=1_000_000) as u32,
            rate: self.number(&written.rate, RATE, 1..=1_000_000) as u32,
        }
    }

    fn target(&mut self, written: &Spanned<String>) -> LogTarget {
        match written.as_ref().as_str() {
            "journald" => LogTarget::Journald,
            "syslog" => LogTarget::Syslog,
            "stderr" => LogTarget::Stderr,
            other => match other.strip_prefix("file:").filter(|path| path.starts_with('/')) {
                Some(path) => LogTarget::File(PathBuf::from(path)),
                None => {
                    self.fault(written.span(), format!("no log goes to `{other}`"), TARGETS);
                    LogTarget::Stderr
                }
            },
        }
    }

    fn format(&mut self, written: &Maybe<String>, to: &LogTarget) -> LogFormat {
        let usual = match to {
            LogTarget::File(_) => LogFormat::Json,
            LogTarget::Journald | LogTarget::Syslog | LogTarget::Stderr | LogTarget::WebPage => {
                LogFormat::Text
            }
        };
        let Some(written) = written else { return usual };
        match written.as_ref().as_str() {
            "json" => LogFormat::Json,
            "text" => LogFormat::Text,
            other => {
                self.fault(written.span(), format!("no format `{other}`"), "\"json\" or \"text\"");
                usual
            }
        }
    }

    fn logged_services(
        &mut self,
        written: &Maybe<Vec<Spanned<String>>>,
        services: &[Service],
    ) -> Vec<String> {
        let written = written.iter().flat_map(|list| list.as_ref());
        let mut names = vec![];
        for name in written {
            if !services.iter().any(|service| service.name == *name.as_ref()) {
                let what = format!("no service `{}`", name.as_ref());
                self.fault(name.span(), what, "name one of the file's services");
            }
            names.push(name.as_ref().clone());
        }
        names
    }

    fn outcomes(&mut self, written: &Maybe<Vec<Spanned<String>>>) -> Outcomes {
        let Some(list) = written else { return Outcomes::default() };
        let mut outcomes = Outcomes::NONE;
        for name in list.as_ref() {
            if !outcomes.add(name.as_ref()) {
                let known: Vec<_> = Outcomes::names().collect();
                let what = format!("no outcome `{}`", name.as_ref());
                self.fault(name.span(), what, format!("one of {}", known.join(", ")));
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::config::sample::{SOUND, parsed};
    use engine::snapshot::log_policy::LogPolicy;
    use engine::types::end_reason::EndReason;

    fn log(keys: &str) -> LogOutput {
        parsed(&format!("{SOUND}\n[[log]]\n{keys}\n")).logs.remove(0)
    }

    #[test]
    fn each_target_has_its_usual_format() {
        let path = LogTarget::File("/var/log/tidegate/transfers.jsonl".into());
        for (to, target, format) in [
            ("journald", LogTarget::Journald, LogFormat::Text),
            ("syslog", LogTarget::Syslog, LogFormat::Text),
            ("stderr", LogTarget::Stderr, LogFormat::Text),
            ("file:/var/log/tidegate/transfers.jsonl", path, LogFormat::Json),
        ] {
            let log = log(&format!("to = \"{to}\""));
            assert_eq!((log.to, log.format), (target, format));
            assert_eq!((log.sample, log.rate, log.services.len()), (1, 2000, 0));
        }
        assert_eq!(log("to = \"stderr\"\nformat = \"json\"").format, LogFormat::Json);
        assert!(parsed(SOUND).logs.is_empty());
    }

    #[test]
    fn outcomes_are_named_as_in_the_records() {
        let usual = log("to = \"stderr\"").outcomes_of(false);
        for (end, is_usual) in [
            (EndReason::Completed, true),
            (EndReason::Lost, true),
            (EndReason::SizeProbe, false),
            (EndReason::Replaced, false),
        ] {
            assert_eq!(usual.ends & LogPolicy::bit(end) != 0, is_usual, "{}", end.name());
        }
        let some = log("to = \"stderr\"\noutcomes = [\"not-found\", \"refused\"]");
        let named = Outcomes { ends: LogPolicy::bit(EndReason::NotFound), refused: true };
        assert_eq!(some.outcomes, WantedOutcomes::These(named));
    }

    #[test]
    fn the_page_s_failures_are_those_of_the_service_s_protocol() {
        let page = LogOutput::web_page();
        for (end, is_wanted) in [
            (EndReason::Completed, [false, false]),
            (EndReason::Failed, [true, true]),
            (EndReason::TimedOut, [true, false]),
            (EndReason::Unanswered, [true, true]),
            (EndReason::Drained, [false, false]),
            (EndReason::FailedOver, [false, false]),
        ] {
            let outcomes = [false, true].map(|is_without_end| page.outcomes_of(is_without_end));
            let wanted = outcomes.map(|all| all.ends & LogPolicy::bit(end) != 0);
            assert_eq!(wanted, is_wanted, "{}", end.name());
            assert!(outcomes.iter().all(|all| all.refused));
        }
    }

    #[test]
    fn faults_are_told_with_what_would_be_right() {
        for (keys, what) in [
            ("to = \"/var/log/x\"", "no log goes to `/var/log/x`"),
            ("to = \"file:x\"", "no log goes to `file:x`"),
            ("to = \"stderr\"\nformat = \"xml\"", "no format `xml`"),
            ("to = \"stderr\"\nservices = [\"no\"]", "no service `no`"),
            ("to = \"stderr\"\noutcomes = [\"bad\"]", "one of completed, size-probe"),
            ("to = \"stderr\"\nsample = 0", "0 is out of range"),
            ("to = \"stderr\"\n[[log]]\nto = \"stderr\"", "two logs to the same place"),
            ("format = \"json\"", "missing key `to`"),
        ] {
            let text = format!("{SOUND}\n[[log]]\n{keys}\n");
            let faults = parse("test.toml", &text).expect_err(keys).to_string();
            assert!(faults.contains(what), "{keys}: {faults}");
        }
    }
}
