//! Outputs of the log: what each takes of the records, and where it writes them.

use super::loss::Loss;
use super::names::ServiceName;
use super::outcome::Outcome;
use super::policy;
use super::recent::Recent;
use super::record::Line;
use super::sink::{self, Sink};
use crate::config::{LogOutput, WantedOutcomes};
use engine::snapshot::log_policy::LogPolicy;
use engine::types::end_reason::EndReason;
use std::cell::LazyCell;
use std::time::Instant;

/// Facts that outputs choose a record by, before there is a line.
#[derive(Debug, Clone, Copy)]
pub struct Criteria<'a> {
    /// Service.
    pub service: &'a ServiceName,
    /// Outcome.
    pub outcome: Outcome,
    /// Workers have made one record in so many.
    pub one_in: u32,
}

/// The configured outputs.
#[derive(Default)]
pub struct Outputs {
    all: Vec<Output>,
    recent: Recent,
}

/// One output.
struct Output {
    wanted: LogOutput,
    sink: Sink,
    /// The second that `written` counts in.
    second: Option<Instant>,
    written: u32,
    /// Lines that could not be written.
    unwritten: Loss,
    /// Lines above the rate.
    above_rate: Loss,
}

impl Outputs {
    /// Opens all outputs; `recent` is for the web page's.
    ///
    /// # Errors
    ///
    /// A file or socket that can't be had, with its name.
    pub fn open(wanted: &[LogOutput], recent: &Recent) -> Result<Outputs, String> {
        let outputs = wanted.iter().map(|wanted| {
            let sink = Sink::open(&wanted.to, recent)
                .map_err(|error| format!("cannot log to {}: {error}", sink::name(&wanted.to)))?;
            let (unwritten, above_rate) = (Loss::default(), Loss::default());
            let (second, wanted) = (None, wanted.clone());
            Ok(Output { wanted, sink, second, written: 0, unwritten, above_rate })
        });
        let all = outputs.collect::<Result<_, String>>()?;
        Ok(Outputs { all, recent: recent.clone() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Workers make one record in so many of this service.
    pub fn one_in(&self, service: &ServiceName) -> u32 {
        let wanted = self.all.iter().map(|output| &output.wanted);
        policy(&service.name, service.is_without_end, wanted).one_in
    }

    /// The last failures, if the web page is on.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Opens files anew, after they were rotated. One that can't be opened is written on as it is.
    pub fn reopen(&mut self) {
        for output in &mut self.all {
            match Sink::open(&output.wanted.to, &self.recent) {
                Ok(sink) => output.sink = sink,
                Err(error) => {
                    log::error!("cannot reopen {}: {error}", output.name())
                }
            }
        }
    }

    /// Tells losses that are over by now. The end of one that an output's failure made is told by the next line.
    pub fn tell_ends(&mut self, now: Instant) {
        self.all.iter_mut().for_each(|output| output.tell_end(now));
    }

    /// Writes a record to the outputs that take it, which share one line; without any, none is made. Returns how many of them
    /// have lost it.
    pub fn write(&mut self, record: &Criteria, now: Instant, line: impl FnOnce() -> Line) -> u64 {
        let line = LazyCell::new(line);
        self.all.iter_mut().map(|output| output.write(record, now, &line)).sum()
    }
}

impl Output {
    fn write<F: FnOnce() -> Line>(
        &mut self,
        record: &Criteria,
        now: Instant,
        line: &LazyCell<Line, F>,
    ) -> u64 {
        if !self.takes(record) {
            return 0;
        }
        if !self.is_within_rate(now) {
            return self.lose_above_rate(now);
        }
        match self.sink.write(line, self.wanted.format, self.unwritten.is_on()) {
            Ok(()) => {
                if let Some(lost) = self.unwritten.end() {
                    log::info!("the log to {} is written again; lines lost: {lost}", self.name());
                }
                0
            }
            Err(error) => {
                if self.unwritten.add(1, now) {
                    let to = self.name();
                    log::error!("the log to {to} is not written, and lines are lost: {error}");
                }
                1
            }
        }
    }

    fn lose_above_rate(&mut self, now: Instant) -> u64 {
        // On the page, older lines would have made way in any case.
        if self.sink.is_page() {
            return 0;
        }
        if self.above_rate.add(1, now) {
            let (to, rate) = (self.name(), self.wanted.rate);
            log::warn!("the log to {to} has more than {rate} lines a second, and the rest is lost");
        }
        1
    }

    fn tell_end(&mut self, now: Instant) {
        if let Some(lost) = self.above_rate.end_if_over(now) {
            log::info!("the log to {} is within its rate again; lines lost: {lost}", self.name());
        }
    }

    fn name(&self) -> String {
        sink::name(&self.wanted.to)
    }

    /// Whether a record is wanted and in the sample.
    fn takes(&self, record: &Criteria) -> bool {
        let wanted = self.wanted.outcomes_of(record.service.is_without_end);
        let has = |end| wanted.ends & LogPolicy::bit(end) != 0;
        let is_wanted = self.wanted.wants_service(&record.service.name)
            && match record.outcome {
                Outcome::Ended(end) => has(end),
                Outcome::AskedElsewhere => {
                    has(EndReason::Unanswered) && self.wanted.outcomes != WantedOutcomes::Failures
                }
                Outcome::Refused => wanted.refused,
            };
        is_wanted && is_drawn(self.wanted.sample / record.one_in.max(1))
    }

    fn is_within_rate(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.duration_since(second).as_secs() >= 1) {
            (self.second, self.written) = (Some(now), 0);
        }
        self.written += 1;
        self.written <= self.wanted.rate
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for lost in [self.unwritten.end(), self.above_rate.end()].into_iter().flatten() {
            log::info!("the log to {} ends; lines lost: {lost}", self.name());
        }
    }
}

/// Whether this one in so many is written. By turns, clients that ask in turns would all be in the sample, or none.
fn is_drawn(one_in: u32) -> bool {
    one_in <= 1 || fastrand::u32(..one_in) == 0
}

#[cfg(test)]
mod tests;
