use super::*;
use crate::api::{Check, LastReload};
use crate::cli::fixture;
use std::path::PathBuf;
use std::time::Instant;

/// A change of a sample.
type Change = fn(&mut Sample);

/// Two samples of a farm in which all is well, two seconds apart.
fn well() -> (Sample, Sample) {
    let at = Instant::now();
    let before = Sample {
        at,
        status: fixture::status(),
        services: fixture::services(),
        backends: fixture::backends(),
        stats: fixture::stats(),
    };
    let now = Sample { at: at + Duration::from_secs(2), ..before.clone() };
    (before, now)
}

/// The report's text after this change of the second sample.
fn after(change: impl FnOnce(&mut Sample)) -> (Level, String) {
    let (before, mut now) = well();
    change(&mut now);
    let report = judge(&before, &now);
    (report.level, report.to_string())
}

#[test]
fn all_is_well_in_one_line() {
    let (level, text) = after(|now| {
        now.stats.transfers.insert("started".into(), 25.into());
        now.stats.drops.insert("bad-tftp".into(), 3.into());
    });
    let line = "TIDEGATE OK - services: 2, backends available: 4 of 4, transfers: 12 | \
                transfers=12;;;0 backends_available=4;;;0;4 requests_per_second=12.5;;;0 \
                drops_per_second=1.5;;;0";
    assert_eq!((level, text.as_str()), (Level::Ok, line));
}

#[test]
fn what_clients_lose_is_critical() {
    let changes: [(Change, &str); 7] = [
        (|now| now.status.pair_conflicts = 2, "both gates of the pair hold 2 addresses"),
        (|now| now.services[0].state = "vip down".into(), "service pxe: no VIP is live"),
        (
            |now| now.services[0].state = "pool down".into(),
            "service pxe: the kernel holds no address of its SNAT pool",
        ),
        (|now| now.services[1].state = "partly live".into(), "service firmware: a VIP is down"),
        (
            |now| pxe(now, |one| one.state = "disabled".into()),
            "service pxe: no backend is available",
        ),
        (|now| pxe(now, |one| one.weight = 0), "service pxe: no backend is available"),
        (
            |now| now.backends.retain(|one| one.service != "pxe"),
            "service pxe: no backend is available",
        ),
    ];
    for (change, words) in changes {
        let (level, text) = after(change);
        assert_eq!(level, Level::Critical, "{text}");
        assert!(text.starts_with(&format!("TIDEGATE CRITICAL - {words} | ")), "{text}");
        assert!(text.ends_with(&format!("\nCRITICAL: {words}")), "{text}");
    }
}

fn pxe(now: &mut Sample, change: fn(&mut Backend)) {
    now.backends.iter_mut().filter(|one| one.service == "pxe").for_each(change);
}

#[test]
fn what_somebody_should_look_at_is_a_warning() {
    let changes: [(Change, &str); 7] = [
        (|now| now.backends[0].state = "unresolved".into(), "backend tftp1 of pxe is unresolved"),
        (|now| now.backends[0].state = "suspected".into(), "backend tftp1 of pxe is suspected"),
        (
            |now| {
                let last = "says \"500 | no\"".into();
                let check = Check { verdict: "failed".into(), since: Some(1), last };
                (now.backends[1].state, now.backends[1].check) = ("down".into(), Some(check));
            },
            "backend tftp2 of pxe is down: says \"500 / no\"",
        ),
        (
            |now| drop(now.stats.drops.insert("snat-pool-empty".into(), 1.into())),
            "1 packets dropped in 2.0 s: snat-pool-empty",
        ),
        (
            |now| now.status.interfaces[0].lost.no_buffer = 7,
            "interface lan has lost 7 frames in 2.0 s",
        ),
        (|now| now.status.drained = true, "the gate is drained"),
        (
            |now| now.status.last_reload = Some(LastReload { successful: false, at: 86_400 }),
            "the last reload was refused at 1970-01-02T00:00:00Z; `tidegate reload --check` says why",
        ),
    ];
    for (change, words) in changes {
        let (level, text) = after(change);
        assert_eq!(level, Level::Warning, "{text}");
        assert!(text.starts_with(&format!("TIDEGATE WARNING - {words} | ")), "{text}");
    }
}

#[test]
fn orders_old_drops_and_a_restart_are_fine() {
    let changes: [Change; 6] = [
        |now| now.backends[0].state = "draining".into(),
        |now| now.backends[0].state = "disabled".into(),
        |now| now.status.last_reload = Some(LastReload { successful: true, at: 0 }),
        |now| drop(now.stats.drops.insert("foreign-mac".into(), 9.into())),
        |now| now.services[0].state = "elsewhere".into(),
        |now| {
            now.services[0].state = "partly live".into();
            now.services[0].addresses = "elsewhere".into();
        },
    ];
    for change in changes {
        let (level, text) = after(change);
        assert_eq!(level, Level::Ok, "{text}");
    }
    let (mut before, now) = well();
    before.stats.drops.insert("no-backend".into(), 5.into());
    assert_eq!(judge(&before, &now).level, Level::Ok, "the counters began again");
    assert_eq!(judge(&before, &before.clone()).level, Level::Ok, "dropped earlier");
}

#[test]
fn the_worst_comes_first() {
    let (level, text) = after(|now| {
        now.backends[0].state = "down".into();
        now.services[1].state = "vip down".into();
    });
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(level, Level::Critical);
    assert!(
        lines[0].contains("CRITICAL - service firmware: no VIP is live (and 1 more) | "),
        "{text}"
    );
    assert_eq!(lines[1], "CRITICAL: service firmware: no VIP is live");
    assert_eq!(lines[2], "WARNING: backend tftp1 of pxe is down");
}

#[test]
fn a_daemon_that_is_away_is_critical_and_one_that_may_not_be_asked_unknown() {
    let no_daemon = |kind: io::ErrorKind| Failure::NoDaemon(PathBuf::from("x"), kind.into());
    for (failure, level) in [
        (no_daemon(io::ErrorKind::ConnectionRefused), Level::Critical),
        (no_daemon(io::ErrorKind::NotFound), Level::Critical),
        (no_daemon(io::ErrorKind::WouldBlock), Level::Critical),
        (no_daemon(io::ErrorKind::PermissionDenied), Level::Unknown),
        (Failure::Refused("more than 64 connections".into()), Level::Unknown),
        (Failure::Strange("{}".into()), Level::Unknown),
    ] {
        let report = no_answer(&failure);
        assert_eq!(report.level, level, "{failure}");
        assert!(report.to_string().starts_with(&format!("TIDEGATE {level} - ")), "{report}");
    }
}
