use super::*;
use crate::config::{LogFormat, LogOutput, LogTarget, Outcomes, WantedOutcomes};
use crate::flow_log::sample;
use engine::counters::{Counters, Room};
use engine::types::end_reason::EndReason;
use kit::lab::until;
use std::path::Path;
use std::slice;
use tempfile::TempDir;

/// A worker whose ring holds one record.
fn worker() -> WorkerChannel {
    let worker = WorkerChannel::new(Arc::new(Counters::new(Room::default())));
    worker.records.push(sample::completed()).expect("there is room");
    worker
}

fn output(file: &Path) -> LogOutput {
    LogOutput {
        to: LogTarget::File(file.to_owned()),
        format: LogFormat::Text,
        services: vec![],
        outcomes: WantedOutcomes::These(Outcomes::default()),
        sample: 1,
        rate: 2000,
    }
}

fn outputs(file: &Path) -> Outputs {
    Outputs::open(&[output(file)], &Recent::default()).expect("the file can be made")
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).expect("the file")
}

#[test]
fn records_of_before_the_start_are_written_by_their_names() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("log");
    let (worker, now) = (worker(), Instant::now());
    let logger = FlowLogger::start(&[worker], now, sample::names(), outputs(&file));
    logger.expect("a thread").stop();
    assert!(text(&file).contains(" pxe/one read pxelinux.0 completed "), "{}", text(&file));
}

/// Workers know of a new log before the thread does.
#[test]
fn records_wait_for_a_log_that_is_turned_on() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("log");
    let (worker, now) = (worker(), Instant::now());
    let none = Outputs::default();
    let logger = FlowLogger::start(slice::from_ref(&worker), now, Names::default(), none);
    let logger = logger.expect("a thread");
    logger.rename(sample::names());
    logger.reopen();
    logger.write_to(outputs(&file));
    logger.stop();
    assert!(text(&file).contains(" pxe/one read pxelinux.0 completed "), "{}", text(&file));
    assert!(worker.records.is_empty());
}

/// The records of the only client so far.
fn counted(logger: &FlowLogger) -> u64 {
    let (_, ranking) = logger.watch().clients(1);
    ranking.unfinished.first().map_or(0, |(_, counts)| counts.failed)
}

/// Workers make all records then, and an output that wants one in ten of them must take its sample itself.
#[test]
fn an_output_has_its_sample_while_somebody_watches() {
    const RECORDS: usize = 1000;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("log");
    let wanted = LogOutput { sample: 10, rate: u32::MAX, ..output(&file) };
    let outputs = Outputs::open(&[wanted], &Recent::default()).expect("the file can be made");
    let worker = WorkerChannel::new(Arc::new(Counters::new(Room::default())));
    let workers = slice::from_ref(&worker);
    let logger = FlowLogger::start(workers, Instant::now(), sample::names(), outputs);
    let logger = logger.expect("a thread");
    let add = || worker.records.push(sample::ended(EndReason::TimedOut)).expect("room");
    assert!(!logger.is_watched() && logger.look() && !logger.look() && logger.is_watched());
    // Records from before the thread knows are not kept.
    until("the thread knows", || {
        add();
        !logger.watch().lines(0, 1).1.is_empty()
    });
    let before = counted(&logger);
    (0..RECORDS).for_each(|_| add());
    until("all are counted", || counted(&logger) >= before + RECORDS as u64);
    logger.stop();
    let written = text(&file).lines().count();
    assert!((1..RECORDS / 2).contains(&written), "{written}");
    assert!(logger.look_away().is_some(), "somebody has just looked");
}
