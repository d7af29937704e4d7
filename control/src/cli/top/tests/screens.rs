use super::*;
use crate::api::{Newer, Request, Service};
use crate::cli::top::app::Capture;
use std::time::UNIX_EPOCH;

/// The line of a screen that begins with these words.
fn line<'a>(screen: &'a str, start: &str) -> &'a str {
    let mut lines = screen.lines();
    lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no `{start}`:\n{screen}"))
}

/// The words of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn the_document_shows_the_first_screen() {
    let screen = shown(&mut running(), 110, 13);
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let block = format!("```text\n{}\n```\n", screen.trim_end());
    assert!(document.contains(&block), "docs/operations.md must have:\n{block}");
}

#[test]
fn the_overview_has_rates_outcomes_and_states_in_words() {
    let screen = shown(&mut running(), 120, 20);
    assert!(screen.contains("tidegated 0.1.0, up 1h"), "{screen}");
    // 240 requests in two seconds.
    assert_eq!(words(line(&screen, "pxe"))[..4], ["pxe", "live", "120.0", "6"]);
    let bar = "█████████████████▒▒x░ █ 190 ▒ 30 x 1 ░ 2";
    assert!(line(&screen, "pxe").contains(bar), "{screen}");
    assert!(line(&screen, "firmware").contains("partly live"), "{screen}");
    let worker = words(line(&screen, "1 "));
    assert_eq!(worker[..4], ["1", "2", "75.0", "%"]);
    assert_eq!(worker[4..], ["1.20", "M", "5.0", "14.2", "µs", "2.000", "4.000"]);
    assert_eq!(words(line(&screen, "lan"))[..6], ["lan", "up", "10", "Gb/s", "14", "7.0"]);
}

#[test]
fn of_many_services_the_selected_one_is_in_sight() {
    let (mut now, mut app) = (busy(Instant::now(), 0), App::default());
    now.services =
        (0..50).map(|n| Service { name: format!("s{n}"), ..now.services[0].clone() }).collect();
    app.take(now, None);
    let screen = shown(&mut app, 80, 24);
    assert!(
        screen.contains("s0 ") && !screen.contains("s49") && screen.contains("lan"),
        "{screen}"
    );
    press(&mut app, &"↓".repeat(60));
    let screen = shown(&mut app, 80, 24);
    assert!(
        screen.contains("s49 ") && !screen.contains("s0 ") && screen.contains("lan"),
        "{screen}"
    );
}

#[test]
fn backends_have_their_state_with_the_reason() {
    let mut app = running();
    press(&mut app, "2");
    let screen = shown(&mut app, 140, 12);
    let row = words(line(&screen, "pxe       tftp2"));
    let numbers = ["1", "(file:", "3)", "3", "500", "4.0", "1.000", "4"];
    assert_eq!(row[..3], ["pxe", "tftp2", "down"]);
    assert_eq!(row[3..11], numbers);
    assert!(screen.contains("failed 5m: port 69 is closed  10.0.0.31"), "{screen}");
}

#[test]
fn a_name_that_steers_terminals_is_escaped() {
    let mut app = running();
    press(&mut app, "3");
    let screen = shown(&mut app, 140, 12);
    assert!(screen.contains("read \\u{1b}[2Jboot.img"), "{screen}");
    press(&mut app, "\n");
    let details = shown(&mut app, 60, 20);
    assert!(!(screen + &details).contains('\x1b'), "{details}");
}

#[test]
fn transfers_have_age_stall_and_rate() {
    let mut app = running();
    press(&mut app, "3");
    let screen = shown(&mut app, 140, 12);
    assert!(screen.contains("7 now, 3 listed, sorted by age"), "{screen}");
    let row = words(line(&screen, "10.0.0.7:2070"));
    // 200,000 bytes in two seconds.
    assert_eq!(
        row[1..9],
        ["tftp1", "established", "3.0s", "0.1s", "97.7", "KiB/s", "196.3", "KiB"]
    );
    assert_eq!(words(line(&screen, "10.0.0.8:2071"))[3..6], ["1m", "9.5s", "-"]);
    let connection = words(line(&screen, "10.0.0.9:5000"));
    assert_eq!(connection[..4], ["10.0.0.9:5000", "ftp1", "open", "2h"]);
    assert!(screen.contains("tcp client 10.0.0.140:21"), "{screen}");
}

/// A row that only waits for late packets is none of those now, and comes last, however old it is.
#[test]
fn transfers_that_are_over_are_told_apart() {
    let mut over = transfer("10.0.0.7:2070", 9000.0, 1.0, 9000);
    over["state"] = json!("completed");
    let mut app = App::default();
    let now = busy(Instant::now(), 0);
    app.take(now, Some(listed(&[over, transfer("10.0.0.8:2071", 60.0, 0.2, 10)])));
    assert_eq!(press(&mut app, "3"), Some(Effect::Refresh));
    let screen = shown(&mut app, 120, 20);
    assert!(screen.contains("6 now, 1 over, 3 listed, sorted by age"), "{screen}");
    let place = |client| screen.find(client).expect("its row");
    assert!(place("10.0.0.8:2071") < place("10.0.0.7:2070"), "{screen}");
}

#[test]
fn drops_are_shown_with_their_meaning_and_the_last_minute() {
    let mut app = running();
    press(&mut app, "4↓");
    let screen = shown(&mut app, 120, 20);
    let rows: Vec<_> = screen.lines().skip(2).take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 2, "{screen}");
    assert_eq!(words(rows[0])[..5], ["bad-tftp", "6", "3.0", "0", "6"]);
    assert!(line(&screen, "REASON").contains("CORE 1  CORE 2  MEANING"), "{screen}");
    assert!(
        screen.contains("\nno-backend: No backend can be reached for the request.\n"),
        "{screen}"
    );
    assert!(screen.contains("last minute, at most 2 a second"), "{screen}");
    let bar = screen.lines().rev().nth(1).expect("a line");
    assert!(bar.ends_with('█') && bar.chars().count() == 120, "the newest at the right: {screen}");
    press(&mut app, "a");
    assert!(shown(&mut app, 120, 60).contains("hand-over-full"));
    assert!(!screen.contains("hand-over-full"), "{screen}");
}

#[test]
fn clients_that_get_nothing_come_with_their_last_request() {
    let (start, mut app) = (Instant::now() + Duration::from_secs(60), running());
    press(&mut app, "5");
    shown(&mut app, 120, 20);
    app.take(busy(start, 3), Some(Listed::Clients(clients())));
    let screen = shown(&mut app, 120, 20);
    assert!(
        screen.contains("requests that ended or were refused since 08:14:02 UTC\n"),
        "{screen}"
    );
    let row = words(line(&screen, "10.0.0.8"));
    assert_eq!(row[..5], ["10.0.0.8", "2", "217", "3", "40"]);
    assert!(screen.contains("unanswered \\u{1b}[2Jboot.img"), "{screen}");
    assert!(!screen.contains('\x1b'), "{screen}");
    assert_eq!(words(line(&screen, "10.0.0.7")), ["10.0.0.7", "5.0", "GiB", "1", "5"]);
    let more = Clients { missed: 7, missed_bytes: 2048, ..clients() };
    app.take(busy(start, 4), Some(Listed::Clients(more)));
    let screen = shown(&mut app, 120, 20);
    assert!(screen.contains("up to 7 more of a client are missing, and up to 2.0 KiB"), "{screen}");
}

#[test]
fn the_log_has_the_latest_line_first_and_the_selected_one_in_full() {
    let (start, mut app) = (Instant::now() + Duration::from_secs(60), running());
    press(&mut app, "6");
    shown(&mut app, 60, 20);
    app.take(busy(start, 3), Some(Listed::Log(log(1..=3))));
    app.take(busy(start, 4), Some(Listed::Log(log(3..=4))));
    let screen = shown(&mut app, 60, 20);
    assert!(screen.contains("4 lines, all ends and refusals since 08:14:02 UTC"), "{screen}");
    let clients: Vec<_> = screen.lines().skip(2).take(4).map(|line| words(line)[1]).collect();
    assert_eq!(clients, ["10.0.8.4:2070", "10.0.8.3:2070", "10.0.8.2:2070", "10.0.8.1:2070"]);
    assert_eq!(screen.matches("0.041 s").count(), 1, "the others are cut: {screen}");
    press(&mut app, "/TIMED-out");
    let screen = shown(&mut app, 120, 20);
    assert!(screen.contains("4 lines, 2 contain `TIMED-out`"), "{screen}");
    assert!(!screen.contains("completed") && screen.ends_with("/TIMED-out▏"), "{screen}");
    press(&mut app, "⎋3");
    assert_eq!(app.filter(), "", "each screen has its own");
}

#[test]
fn the_log_is_asked_for_from_its_newest_line() {
    let (start, mut app) = (Instant::now() + Duration::from_secs(60), running());
    press(&mut app, "6");
    let after = |app: &App| match app.list() {
        Some(Request::Log(Newer { after, .. })) => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after(&app), 0);
    app.take(busy(start, 3), Some(Listed::Log(log(1..=9000))));
    assert_eq!((after(&app), app.lines().len()), (9000, 5000));
    // The numbers of another daemon begin again.
    let mut now = busy(start, 4);
    now.status.uptime = 0;
    app.take(now, Some(Listed::Log(log(1..=2))));
    assert_eq!((after(&app), app.lines().len()), (2, 2));
}

#[test]
fn a_capture_is_shown_on_every_screen() {
    let mut app = running();
    app.capture = Some(Capture {
        client: "10.0.0.7".parse().expect("an address"),
        file: "tidegate-10.0.0.7-20260301T081402Z.pcapng".into(),
        frames: 12,
        lost: 3,
    });
    let words = "capturing 10.0.0.7 into tidegate-10.0.0.7-20260301T081402Z.pcapng: 12 frames, 3 lost; c ends";
    for key in ["1", "2", "3", "4", "5", "6", "3\n", "?"] {
        press(&mut app, key);
        assert_eq!(shown(&mut app, 120, 20).lines().nth(1), Some(words), "{key}");
    }
}

#[test]
fn a_minute_s_drops_are_as_many_bars() {
    let (start, mut app) = (Instant::now(), App::default());
    for seconds in 0..200 {
        let mut now = sample(start, seconds);
        now.stats.drops.insert("bad-tftp".into(), (seconds * 3).into());
        app.take(now, None);
    }
    let row = app.model.drops.iter().find(|row| row.total > 0).expect("drops");
    assert_eq!(row.minute, [3; 60]);
}

#[test]
fn nothing_is_known_before_the_first_sample_and_no_rate_before_the_second() {
    let mut app = App::default();
    assert!(shown(&mut app, 100, 10).contains("waiting for the daemon"));
    app.take(busy(Instant::now(), 0), None);
    assert_eq!(words(line(&shown(&mut app, 100, 10), "pxe"))[2..5], ["-", "6", "-"]);
}

#[test]
fn a_restarted_daemon_begins_again() {
    let (start, mut app) = (Instant::now(), App::default());
    app.take(busy(start, 0), None);
    let mut now = sample(start, 1);
    now.status.uptime = 0;
    app.take(now, None);
    assert_eq!(words(line(&shown(&mut app, 100, 10), "pxe"))[2..5], ["-", "6", "-"]);
}

#[test]
fn a_lost_daemon_is_shown_until_it_answers() {
    let mut app = running();
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    app.model.lose(at(10), "first".into());
    app.model.lose(at(20), "no tidegated answers on /run/x".into());
    let screen = shown(&mut app, 120, 20);
    let line =
        "the daemon does not answer since 1970-01-01T00:00:10Z: no tidegated answers on /run/x";
    assert_eq!(screen.lines().nth(1), Some(line));
    assert!(screen.contains("pxe"), "what it said last stays: {screen}");
    let later = Instant::now() + Duration::from_secs(9);
    app.take(busy(later, 0), None);
    assert!(!shown(&mut app, 120, 20).contains("does not answer"));
}

#[test]
fn small_terminals_do_not_matter() {
    for (width, height) in [(1, 1), (2, 5), (12, 3), (40, 10), (40, 2), (300, 4)] {
        let mut app = running();
        app.model.clients = Some(clients());
        app.model.log.take(log(1..=50));
        for keys in ["", "?", "⎋2", "d", "n3", "/x", "⎋\n", "⎋4", "a", "5", "6", "/x"] {
            press(&mut app, keys);
            shown(&mut app, width, height);
            app.model.lose(UNIX_EPOCH, "gone".into());
        }
    }
    let mut app = running();
    let screen = shown(&mut app, 40, 10);
    assert!(line(&screen, "pxe").contains("live"), "{screen}");
    assert!(screen.contains("q quit"), "{screen}");
    press(&mut app, "4");
    assert!(shown(&mut app, 40, 10).starts_with(" 1  2  3  4 Drops  5  6 "));
}
