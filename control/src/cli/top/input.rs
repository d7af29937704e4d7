//! Keys become actions.

use super::action::Action;
use super::app::{App, Mode};
use super::screen::Screen;
use crate::backend_status::AdminState;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Rows of a page, for the keys that move by one.
const PAGE: i16 = 10;

/// The keys and what they do, for the list of keys.
pub const KEYS: [(&str, &str); 11] = [
    ("1 to 6, Tab", "show a screen"),
    ("↑ ↓, j k", "select a row; PgUp, PgDn, Home and End too"),
    ("d", "Backends: drain the selected one"),
    ("e", "Backends: enable it"),
    ("x", "Backends: disable it"),
    ("s", "Transfers: sort by age, rate or stall"),
    ("/", "Transfers, Log: filter; Esc removes it"),
    ("Enter", "Transfers: details of the selected one"),
    ("c", "Transfers, Clients: capture the selected client; again: end"),
    ("a", "Drops: reasons with none, too"),
    ("?, q", "this list, and the end"),
];

/// The action of a key.
pub fn action(app: &App, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    match &app.mode {
        Mode::Browse => {
            browse(key.code).or_else(|| on(app.screen, key.code)).or_else(|| capture(key.code))
        }
        Mode::Filter => filter(key.code),
        Mode::Confirm(_) => confirm(key.code),
        Mode::Help => close(key.code),
        Mode::Details(_) => close(key.code).or_else(|| capture(key.code)),
    }
}

fn browse(key: KeyCode) -> Option<Action> {
    Some(match key {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Char(digit @ '1'..='6') => {
            Action::Show(Screen::ALL[usize::from(digit as u8 - b'1')])
        }
        KeyCode::Tab | KeyCode::Right => Action::Turn(1),
        KeyCode::BackTab | KeyCode::Left => Action::Turn(Screen::ALL.len() - 1),
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Move(-PAGE),
        KeyCode::PageDown => Action::Move(PAGE),
        KeyCode::Home => Action::First,
        KeyCode::End => Action::Last,
        _ => return None,
    })
}

/// The action of a key that only this screen has.
fn on(screen: Screen, key: KeyCode) -> Option<Action> {
    Some(match (screen, key) {
        (Screen::Backends, KeyCode::Char('d')) => Action::Order(AdminState::Draining),
        (Screen::Backends, KeyCode::Char('e')) => Action::Order(AdminState::Enabled),
        (Screen::Backends, KeyCode::Char('x')) => Action::Order(AdminState::Disabled),
        (Screen::Transfers, KeyCode::Char('s')) => Action::Sort,
        (Screen::Transfers | Screen::Log, KeyCode::Char('/')) => Action::Filter,
        (Screen::Transfers, KeyCode::Enter) => Action::Details,
        (Screen::Drops, KeyCode::Char('a')) => Action::AllDrops,
        _ => return None,
    })
}

fn capture(key: KeyCode) -> Option<Action> {
    (key == KeyCode::Char('c')).then_some(Action::Capture)
}

fn filter(key: KeyCode) -> Option<Action> {
    match key {
        KeyCode::Char(c) => Some(Action::Type(c)),
        KeyCode::Backspace => Some(Action::Erase),
        KeyCode::Enter => Some(Action::Accept),
        KeyCode::Esc => Some(Action::Cancel),
        _ => None,
    }
}

fn confirm(key: KeyCode) -> Option<Action> {
    match key {
        KeyCode::Char('y') => Some(Action::Accept),
        KeyCode::Char('n' | 'q') | KeyCode::Esc => Some(Action::Cancel),
        _ => None,
    }
}

fn close(key: KeyCode) -> Option<Action> {
    match key {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?') => Some(Action::Cancel),
        _ => None,
    }
}
