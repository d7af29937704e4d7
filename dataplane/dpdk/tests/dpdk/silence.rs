//! A start that fails prints nothing: the error has DPDK's words.

use crate::alone::alone;
use crate::support::arguments;
use dpdk::{Eal, Error, Log};

/// Starts DPDK, which must fail, in a process that may print nothing but the test's own lines.
fn silent(test: &str, args: &[String], check: impl FnOnce(Error)) {
    let output = alone(test, || check(Eal::init(args, Log::Quiet).unwrap_err()));
    let Some(output) = output else { return };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let is_expected =
            line.is_empty() || line.starts_with("running 1") || line.starts_with("test ");
        assert!(is_expected, "printed {line:?}");
    }
}

fn says(error: &Error, words: &str) {
    let text = error.to_string();
    assert!(text.contains(words) && !text.contains('\n'), "{text}");
}

#[test]
fn an_unknown_option() {
    let args = arguments(&["--no-such".into()]);
    silent("silence::an_unknown_option", &args, |error| {
        says(&error, "unrecognized option '--no-such'");
    });
}

#[test]
fn a_word_that_is_no_option() {
    let args = arguments(&["stray".into()]);
    silent("silence::a_word_that_is_no_option", &args, |error| {
        says(&error, "no argument \"stray\"");
    });
}

#[test]
fn a_call_for_help() {
    let args = arguments(&["--help".into()]);
    silent("silence::a_call_for_help", &args, |error| says(&error, "no argument \"--help\""));
}

#[test]
fn an_unknown_driver() {
    let args = arguments(&["--vdev=net_nonesuch0".into()]);
    silent("silence::an_unknown_driver", &args, |error| says(&error, "net_nonesuch0"));
}

#[test]
fn a_core_that_is_not_there() {
    let args = arguments(&["--lcores=0@0,1@1000".into()]);
    silent("silence::a_core_that_is_not_there", &args, |error| says(&error, "--lcores"));
}

#[test]
fn a_broken_device_is_silent_too() {
    let test = "silence::a_broken_device_is_silent_too";
    let output = alone(test, || {
        let args = arguments(&["--vdev=net_pcap0,rx_pcap=/nonesuch".into()]);
        let eal = Eal::init(&args, Log::Quiet).unwrap();
        let error = dpdk::Port::find(&eal, "net_pcap0").unwrap_err();
        says(&error, "/nonesuch: No such file or directory");
    });
    if let Some(output) = output {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn the_log_is_shown_when_asked_for() {
    let output = alone("silence::the_log_is_shown_when_asked_for", || {
        Eal::init(&arguments(&["--vdev=net_nonesuch0".into()]), Log::Shown).unwrap_err();
    });
    if let Some(output) = output {
        assert!(String::from_utf8_lossy(&output.stderr).contains("EAL: "));
    }
}

#[test]
fn a_second_start() {
    let output = alone("silence::a_second_start", || {
        let _first = Eal::init(&arguments(&[]), Log::Quiet).unwrap();
        let error = Eal::init(&arguments(&[]), Log::Quiet).unwrap_err();
        says(&error, "already called");
    });
    if let Some(output) = output {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
