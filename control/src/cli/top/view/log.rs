//! The sixth screen: the last lines of the log, and the whole of the selected one.

use super::format::clock;
use crate::api::LogLine;
use crate::cli::top::app::App;
use crate::cli::top::screen::Screen;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, Wrap};

/// Height of the part about the selected line.
const DETAILS: u16 = 4;

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    let Some(since) = app.model.log.since else { return };
    let below = if area.height > 3 * DETAILS { DETAILS } else { 0 };
    let heights = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(below)];
    let [head, body, foot] = area.layout(&Layout::vertical(heights));
    let lines = app.lines();
    frame.render_widget(Line::from(summary(app, since, lines.len())), head);
    let state = app.tables[Screen::Log as usize];
    let selected = lines.get(state.selected().unwrap_or(0).min(lines.len().saturating_sub(1)));
    if let Some(line) = selected {
        frame.render_widget(Paragraph::new(text(line)).wrap(Wrap { trim: true }), foot);
    }
    let rows = lines.iter().map(|line| Row::new([Line::from(text(line))]));
    let table = Table::new(rows.collect::<Vec<_>>(), [Constraint::Fill(1)])
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, body, &mut app.tables[Screen::Log as usize]);
}

fn summary(app: &App, since: u64, shown: usize) -> String {
    let since = clock(since);
    let filter = match app.filter() {
        "" => String::new(),
        filter => format!(", {shown} contain `{filter}`"),
    };
    format!("{} lines{filter}, all ends and refusals since {since} UTC", app.model.log.len())
}

/// The line as a log has it, with its time of the day.
fn text(LogLine { time, text, .. }: &LogLine) -> String {
    let time = time.split_once('T').map_or(&**time, |(_, time)| time.trim_end_matches('Z'));
    format!("{time} {text}")
}
