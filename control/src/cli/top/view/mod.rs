//! The screens, drawn from the program's state.

mod backends;
mod clients;
mod drops;
mod format;
mod grid;
mod log;
mod overview;
mod transfers;

use super::app::{App, Capture, Mode};
use super::input::KEYS;
use super::screen::Screen;
use crate::backend_status::AdminState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The width of all screens' names.
const ALL_NAMES: u16 = 66;

/// Draws everything.
pub fn draw(frame: &mut Frame, app: &mut App) {
    let optional = [app.model.lost.is_some(), app.capture.is_some()];
    let [lost, capture] = optional.map(|is_there| Constraint::Length(is_there.into()));
    let areas = [Constraint::Length(1), lost, capture, Constraint::Fill(1), Constraint::Length(1)];
    let [head, warning, notice, body, foot] = frame.area().layout(&Layout::vertical(areas));
    frame.render_widget(header(app, head.width), head);
    if let Some(lost) = &app.model.lost {
        let since = humantime::format_rfc3339_seconds(lost.since);
        let line = format!("the daemon does not answer since {since}: {}", lost.why);
        frame.render_widget(Line::from(line).style(alarm()), warning);
    }
    if let Some(Capture { client, file, frames, lost }) = &app.capture {
        let line = format!("capturing {client} into {file}: {frames} frames, {lost} lost; c ends");
        frame.render_widget(Line::from(line).bold(), notice);
    }
    match &app.mode {
        Mode::Help => help(frame, body),
        Mode::Details(transfer) => transfers::details(frame, body, transfer, &app.model),
        _ => screen(frame, body, app),
    }
    frame.render_widget(footer(app), foot);
}

fn screen(frame: &mut Frame, area: Rect, app: &mut App) {
    match app.screen {
        Screen::Overview => overview::draw(frame, area, app),
        Screen::Backends => backends::draw(frame, area, app),
        Screen::Transfers => transfers::draw(frame, area, app),
        Screen::Drops => drops::draw(frame, area, app),
        Screen::Clients => clients::draw(frame, area, app),
        Screen::Log => log::draw(frame, area, app),
    }
}

/// The screens' names, and the daemon. Where there is little room, only this screen has its name.
fn header(app: &App, width: u16) -> Line<'static> {
    let mut spans = vec![];
    for (number, screen) in Screen::ALL.into_iter().enumerate() {
        let is_named = screen == app.screen || width >= ALL_NAMES;
        let name = if is_named { format!("{} ", screen.name()) } else { String::new() };
        let name = format!(" {} {name}", number + 1);
        let style = if screen == app.screen { Modifier::REVERSED } else { Modifier::empty() };
        spans.push(Span::styled(name, style));
    }
    let daemon =
        if app.model.daemon.is_empty() { "waiting for the daemon" } else { &app.model.daemon };
    spans.push(Span::from(format!("  {daemon}")));
    Line::from(spans)
}

/// The question, the filter, the outcome of the last order, or the keys.
fn footer(app: &App) -> Line<'_> {
    match &app.mode {
        Mode::Confirm(order) => {
            let verb = match order.order {
                AdminState::Enabled => "Enable",
                AdminState::Draining => "Drain",
                AdminState::Disabled => "Disable",
            };
            let line = format!("{verb} backend {} of {}? y/n", order.backend, order.service);
            Line::from(line).style(alarm())
        }
        Mode::Filter => Line::from(format!("/{}▏", app.filter())),
        Mode::Help => Line::from("Esc back").dim(),
        Mode::Details(_) if !app.message.is_empty() => Line::from(&*app.message).bold(),
        Mode::Details(_) => Line::from("Esc back  c capture").dim(),
        Mode::Browse if !app.message.is_empty() => Line::from(&*app.message).bold(),
        Mode::Browse => Line::from(hint(app.screen)).dim(),
    }
}

fn hint(screen: Screen) -> &'static str {
    match screen {
        Screen::Overview => "q quit  ? keys  Tab next screen",
        Screen::Backends => "q quit  ? keys  d drain  e enable  x disable",
        Screen::Transfers => "q quit  ? keys  s sort  / filter  Enter details  c capture",
        Screen::Drops => "q quit  ? keys  a all reasons",
        Screen::Clients => "q quit  ? keys  c capture",
        Screen::Log => "q quit  ? keys  / filter",
    }
}

fn help(frame: &mut Frame, area: Rect) {
    let lines = KEYS.iter().map(|(keys, what)| Line::from(format!("{keys:<14}{what}")));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// The style of lines that ask for attention.
fn alarm() -> Style {
    Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
}
