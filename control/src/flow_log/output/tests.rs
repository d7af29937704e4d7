use super::*;
use crate::config::{LogFormat, LogTarget, Outcomes, WantedOutcomes};
use crate::flow_log::told;
use engine::types::end_reason::EndReason;
use std::slice;
use std::time::Duration;
use tempfile::TempDir;

const COMPLETED: Outcome = Outcome::Ended(EndReason::Completed);

fn wanted(folder: &TempDir, sample: u32, rate: u32) -> LogOutput {
    let to = LogTarget::File(folder.path().join("log"));
    let outcomes = WantedOutcomes::These(Outcomes::default());
    let format = LogFormat::Json;
    LogOutput { to, format, services: vec!["pxe".into()], outcomes, sample, rate }
}

fn outputs(folder: &TempDir, sample: u32, rate: u32) -> Outputs {
    let wanted = wanted(folder, sample, rate);
    Outputs::open(&[wanted], &Recent::default()).expect("the file can be made")
}

fn service(name: &str, is_without_end: bool) -> ServiceName {
    ServiceName { name: name.into(), protocol: "made up", is_without_end, mode: "nat" }
}

/// A record of a service, of which workers have made one in so many.
struct Offered(&'static str, Outcome, u32);

impl Offered {
    /// Writes the record, with this number in its line.
    fn write(&self, outputs: &mut Outputs, seq: u64, now: Instant) -> u64 {
        let &Offered(name, outcome, one_in) = self;
        let service = &service(name, false);
        let line = || Line { service: name.into(), seq, ..Line::default() };
        outputs.write(&Criteria { service, outcome, one_in }, now, line)
    }
}

const OFFERED: Offered = Offered("pxe", COMPLETED, 1);

fn seqs(folder: &TempDir) -> Vec<u64> {
    let text = std::fs::read_to_string(folder.path().join("log")).expect("the file");
    let seq = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64();
    text.lines().filter_map(seq).collect()
}

#[test]
fn lines_of_wanted_services_and_outcomes_are_written() {
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 1, 100), Instant::now());
    let size_probe = Outcome::Ended(EndReason::SizeProbe);
    let offered = [("pxe", COMPLETED), ("fw", COMPLETED), ("pxe", size_probe)];
    for (seq, (service, outcome)) in
        (1..).zip(offered.into_iter().chain([("pxe", Outcome::Refused)]))
    {
        assert_eq!(Offered(service, outcome, 1).write(&mut outputs, seq, now), 0);
    }
    assert_eq!(seqs(&folder), [1, 4]);
}

#[test]
fn no_line_is_made_that_no_output_takes() {
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 1, 1), Instant::now());
    OFFERED.write(&mut outputs, 1, now);
    let [pxe, fw] = ["pxe", "fw"].map(|name| service(name, false));
    let size_probe = Outcome::Ended(EndReason::SizeProbe);
    for (service, outcome) in [(&fw, COMPLETED), (&pxe, size_probe), (&pxe, COMPLETED)] {
        let criteria = Criteria { service, outcome, one_in: 1 };
        outputs.write(&criteria, now, || panic!("{criteria:?} is not written"));
    }
}

#[test]
fn a_sample_is_drawn_of_what_workers_have_sampled() {
    fastrand::seed(1350);
    for (one_in, expected) in [(1, 150..=250), (5, 900..=1100), (10, 2000..=2000)] {
        let folder = TempDir::new().expect("a folder");
        let (mut outputs, now) = (outputs(&folder, 10, 10_000), Instant::now());
        for seq in 1..=2000 {
            assert_eq!(Offered("pxe", COMPLETED, one_in).write(&mut outputs, seq, now), 0);
        }
        assert!(expected.contains(&seqs(&folder).len()), "{one_in}: {}", seqs(&folder).len());
    }
}

/// Two clients that ask in turns are both in the sample.
#[test]
fn a_sample_does_not_follow_the_rhythm_of_clients() {
    fastrand::seed(1350);
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 2, 10_000), Instant::now());
    for seq in 1..=200 {
        OFFERED.write(&mut outputs, seq, now);
    }
    let seqs = seqs(&folder);
    let odd = seqs.iter().filter(|seq| *seq % 2 == 1).count();
    assert!(odd > 20 && seqs.len() - odd > 20, "{odd} of {}", seqs.len());
}

#[test]
fn lines_above_the_rate_are_lost_and_counted() {
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 1, 2), Instant::now());
    assert_eq!([1, 2, 3, 4].map(|seq| OFFERED.write(&mut outputs, seq, now)), [0, 0, 1, 1]);
    assert_eq!(OFFERED.write(&mut outputs, 5, now + Duration::from_secs(1)), 0);
    assert_eq!(seqs(&folder), [1, 2, 5]);
}

#[test]
fn a_loss_by_the_rate_is_told_when_it_begins_and_when_it_ends() {
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 1, 1), Instant::now());
    let at = |seconds| now + Duration::from_secs(seconds);
    let told = told::by(|| {
        for second in 0..3 {
            for (seq, lost) in (0..5).zip([0, 1, 1, 1, 1]) {
                assert_eq!(OFFERED.write(&mut outputs, seq, at(second)), lost);
            }
            outputs.tell_ends(at(second));
        }
    });
    let to = folder.path().join("log").display().to_string();
    let begun = format!("the log to {to} has more than 1 lines a second, and the rest is lost");
    assert_eq!(told, slice::from_ref(&begun));
    let told = told::by(|| outputs.tell_ends(at(10)));
    assert_eq!(told, [format!("the log to {to} is within its rate again; lines lost: 12")]);
    let told = told::by(|| {
        for (seq, lost) in (0..3).zip([0, 1, 1]) {
            assert_eq!(OFFERED.write(&mut outputs, seq, at(20)), lost);
        }
        drop(outputs);
    });
    assert_eq!(told, [begun, format!("the log to {to} ends; lines lost: 2")]);
}

/// A failed output is written again without a restart; a torn line is closed first.
#[test]
fn an_output_that_failed_goes_on() {
    let folder = TempDir::new().expect("a folder");
    let (mut outputs, now) = (outputs(&folder, 1, 100), Instant::now());
    let full = LogTarget::File("/dev/full".into());
    outputs.all[0].sink = Sink::open(&full, &Recent::default()).expect("it opens");
    let told = told::by(|| {
        assert_eq!([1, 2].map(|seq| OFFERED.write(&mut outputs, seq, now)), [1, 1]);
        outputs.reopen();
        assert_eq!([3, 4].map(|seq| OFFERED.write(&mut outputs, seq, now)), [0, 0]);
    });
    assert!(told.len() == 2 && told[0].contains("is not written, and lines are lost"), "{told:?}");
    assert!(told[1].ends_with(" is written again; lines lost: 2"), "{told:?}");
    let text = std::fs::read_to_string(folder.path().join("log")).expect("the file");
    assert!(text.starts_with("\n{") && text.lines().count() == 3, "{text:?}");
}

#[test]
fn a_file_that_can_t_be_had_is_named() {
    let to = LogTarget::File("/not/there".into());
    let wanted = LogOutput { to, ..wanted(&TempDir::new().unwrap(), 1, 1) };
    let error = Outputs::open(&[wanted], &Recent::default()).err().expect("it is not there");
    assert!(error.starts_with("cannot log to /not/there: No such file"), "{error}");
}

#[test]
fn the_web_page_gets_failures_alone() {
    let recent = Recent::default();
    let mut outputs = Outputs::open(&[LogOutput::web_page()], &recent).expect("no file");
    let ends =
        [EndReason::NotFound, EndReason::Completed, EndReason::SizeProbe, EndReason::TimedOut];
    let outcomes = ends.into_iter().map(Outcome::Ended).chain([Outcome::Refused]);
    for (seq, outcome) in (1..).zip(outcomes) {
        Offered("pxe", outcome, 1).write(&mut outputs, seq, Instant::now());
    }
    outputs.reopen();
    assert!(recent.all().iter().map(|line| line.seq).eq([5, 4, 1]));
}

#[test]
fn a_healthy_service_over_udp_has_no_failures() {
    let recent = Recent::default();
    let mut outputs = Outputs::open(&[LogOutput::web_page()], &recent).expect("no file");
    let outcome = Outcome::Ended(EndReason::TimedOut);
    for (name, is_without_end) in [("dns", true), ("ssh", false)] {
        let service = &service(name, is_without_end);
        let line = || Line { service: name.into(), ..Line::default() };
        outputs.write(&Criteria { service, outcome, one_in: 1 }, Instant::now(), line);
    }
    assert!(recent.all().iter().map(|line| &*line.service).eq(["ssh"]));
}

/// Nobody makes control format more failures than the page shows; what it does not show is not lost.
#[test]
fn the_web_page_gets_a_hundred_failures_a_second() {
    let recent = Recent::default();
    let mut outputs = Outputs::open(&[LogOutput::web_page()], &recent).expect("no file");
    let now = Instant::now();
    let failed = Offered("pxe", Outcome::Ended(EndReason::Failed), 1);
    for seq in 1..=300 {
        assert_eq!(failed.write(&mut outputs, seq, now), 0);
    }
    assert_eq!(recent.all().first().map(|line| line.seq), Some(100));
    failed.write(&mut outputs, 301, now + Duration::from_secs(1));
    assert_eq!(recent.all().first().map(|line| line.seq), Some(301));
}
