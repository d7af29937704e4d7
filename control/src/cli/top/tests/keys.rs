use super::*;
use crate::api::{Order, Request};
use crate::backend_status::AdminState;
use crate::cli::top::app::{Capture, Mode};
use crate::cli::top::screen::Screen;
use crossterm::event::KeyModifiers;

/// The clients of the transfers that are shown.
fn clients(app: &App) -> Vec<&str> {
    app.transfers().iter().map(|one| one.client.as_str()).collect()
}

#[test]
fn numbers_and_tab_show_screens() {
    let mut app = running();
    for (key, screen) in [
        ("4", Screen::Drops),
        ("\t", Screen::Clients),
        ("\t", Screen::Log),
        ("\t", Screen::Overview),
        ("\t", Screen::Backends),
        ("3", Screen::Transfers),
        ("1", Screen::Overview),
    ] {
        // These lists are made only while they are shown.
        let is_listed = [Screen::Transfers, Screen::Clients, Screen::Log].contains(&screen);
        let refresh = is_listed.then_some(Effect::Refresh);
        assert_eq!((press(&mut app, key), app.screen), (refresh, screen), "{key}");
    }
    let back = KeyEvent::from(KeyCode::BackTab);
    let action = input::action(&app, back).expect("an action");
    app.perform(action);
    assert_eq!(app.screen, Screen::Log);
}

#[test]
fn c_captures_the_selected_client_and_ends_it() {
    let capture = |client: &str| Some(Effect::Capture(client.parse().expect("an address")));
    let mut app = running();
    app.model.clients = Some(super::clients());
    assert_eq!(press(&mut app, "c"), None, "no client is selected");
    assert_eq!(press(&mut app, "3c"), capture("10.0.0.9"));
    assert_eq!(press(&mut app, "↓c"), capture("10.0.0.8"));
    assert_eq!(press(&mut app, "\nc"), capture("10.0.0.8"), "of the details");
    assert_eq!(press(&mut app, "⎋/nobody\nc"), None);
    assert_eq!(press(&mut app, "5↓c"), capture("fd00::9"));
    let (client, file) = ("10.0.0.9".parse().expect("an address"), "a.pcapng".to_owned());
    app.capture = Some(Capture { client, file, frames: 1, lost: 0 });
    for screen in ["1", "2", "3", "4", "5", "6"] {
        assert_eq!(press(&mut app, &format!("{screen}c")), Some(Effect::EndCapture), "{screen}");
    }
    app.captured(Ok("a.pcapng: 1 frames captured, 0 lost".into()));
    assert!(shown(&mut app, 80, 10).ends_with("a.pcapng: 1 frames captured, 0 lost"));
    app.captured(Err("cannot create a.pcapng: File exists".into()));
    assert!(shown(&mut app, 80, 10).ends_with("no capture: cannot create a.pcapng: File exists"));
    assert_eq!(press(&mut app, "5c"), capture("fd00::9"), "the other one is over");
}

#[test]
fn q_and_control_c_end_it() {
    let mut app = running();
    assert_eq!(press(&mut app, "q"), Some(Effect::Quit));
    for keys in ["3/", "⎋2d", "n?"] {
        press(&mut app, keys);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let action = input::action(&app, key).expect("an action");
        assert_eq!(app.perform(action), Some(Effect::Quit), "{:?}", app.mode);
    }
}

#[test]
fn an_order_is_sent_after_a_yes_and_only_then() {
    for (key, verb, order) in [
        ("d", "Drain", AdminState::Draining),
        ("e", "Enable", AdminState::Enabled),
        ("x", "Disable", AdminState::Disabled),
    ] {
        let mut app = running();
        assert_eq!(press(&mut app, key), None, "no screen but Backends has it");
        assert_eq!(app.mode, Mode::Browse);
        press(&mut app, "2↓");
        assert_eq!(press(&mut app, key), None);
        let screen = shown(&mut app, 80, 10);
        let question = format!("{verb} backend tftp2 of pxe? y/n");
        assert_eq!(screen.lines().last(), Some(&*question));
        assert_eq!(press(&mut app, "1↓\nd"), None);
        assert!(matches!(app.mode, Mode::Confirm(_)), "other keys are no answer");
        // The selection is of another backend by now: the question was about this one.
        app.model.backends.remove(1);
        let order = Order { service: "pxe".into(), backend: "tftp2".into(), order };
        assert_eq!(press(&mut app, "y"), Some(Effect::Send(Request::Order(order))));
        assert_eq!(press(&mut app, "y"), None, "once");
    }
    for no in ["n", "⎋", "q"] {
        let mut app = running();
        assert_eq!(press(&mut app, &format!("2d{no}y")), None);
        assert_eq!(app.mode, Mode::Browse);
    }
}

#[test]
fn the_outcome_of_an_order_is_shown() {
    let mut app = running();
    press(&mut app, "2");
    let mut row = fixture::backends().remove(0);
    row.state = "draining".into();
    app.ordered(Ok(row));
    assert!(shown(&mut app, 80, 10).ends_with("backend tftp1 of pxe is draining"));
    app.ordered(Err("there is no service `pxe`".into()));
    assert!(shown(&mut app, 80, 10).ends_with("there is no service `pxe`"));
}

#[test]
fn an_order_without_backends_is_none() {
    let mut app = App::default();
    press(&mut app, "2d");
    assert_eq!(app.mode, Mode::Browse);
}

#[test]
fn s_sorts_transfers() {
    let mut app = running();
    press(&mut app, "3");
    let (seven, eight, nine) = ("10.0.0.7:2070", "10.0.0.8:2071", "10.0.0.9:5000");
    for order in [[nine, eight, seven], [seven, eight, nine], [eight, nine, seven]] {
        assert_eq!(clients(&app), order, "{:?}", app.sort);
        press(&mut app, "s");
    }
    assert_eq!(clients(&app)[0], nine, "by age again");
}

#[test]
fn a_filter_keeps_what_contains_it() {
    let mut app = running();
    press(&mut app, "3");
    for (keys, left) in [
        ("/BOOT", 2),
        ("x", 0),
        ("←", 2),
        ("\n", 2),
        ("/⎋", 3),
        ("/ftp1\n", 3),
        ("/⎋/open", 1),
        ("⎋/0.8:", 1),
        ("⎋/files", 1),
    ] {
        press(&mut app, keys);
        assert_eq!(clients(&app).len(), left, "{keys}: {}", app.filter());
    }
    assert!(shown(&mut app, 100, 10).contains("1 contain `files`, sorted by age"));
    assert!(shown(&mut app, 100, 10).ends_with("/files▏"));
}

#[test]
fn keys_in_a_filter_are_text() {
    let mut app = running();
    assert_eq!(press(&mut app, "3/qd1"), None);
    assert_eq!((app.filter(), app.screen), ("qd1", Screen::Transfers));
}

#[test]
fn details_follow_a_transfer_to_its_end() {
    let (start, mut app) = (Instant::now() + Duration::from_secs(60), running());
    press(&mut app, "3/0.8:\n\n");
    let details = shown(&mut app, 60, 20);
    for fact in [
        "client        10.0.0.8:2071",
        "server's TID  40000",
        "chosen by     asked-elsewhere",
        "first answer  0.004s",
        "moves         1, the first backend was tftp2",
        "repeats       2 by the client",
        "blocks        9",
        "options       blksize=1428 windowsize=4",
        "file's size   10.0 KiB",
        "established",
    ] {
        assert!(details.contains(fact), "{details}");
    }
    let mut later = transfer("10.0.0.8:2071", 70.0, 0.2, 9000);
    later["state"] = json!("closing");
    app.take(busy(start, 3), Some(listed(&[later])));
    assert!(shown(&mut app, 60, 20).contains("state         closing"));
    app.take(busy(start, 4), Some(listed(&[])));
    let details = shown(&mut app, 60, 20);
    assert!(details.contains("over, seen last as:") && details.contains("8.8 KiB"), "{details}");
    press(&mut app, "⎋");
    assert_eq!((&app.mode, app.filter()), (&Mode::Browse, "0.8:"));
}

#[test]
fn a_question_mark_lists_the_keys() {
    let mut app = running();
    press(&mut app, "?");
    let screen = shown(&mut app, 80, 14);
    assert!(screen.contains("d             Backends: drain the selected one"), "{screen}");
    press(&mut app, "?");
    assert!(shown(&mut app, 80, 14).contains("SERVICE"));
}
