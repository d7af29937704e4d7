//! The third screen: transfers and connections, and the details of one.

use super::format::state;
use super::grid::{Column, grid};
use crate::cli::table::{size, time};
use crate::cli::top::app::App;
use crate::cli::top::model::Model;
use crate::cli::top::screen::Screen;
use crate::cli::top::transfers::Transfer;
use Column::{Numbers, Words};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    let [above, below] =
        area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    let columns = [
        Words("CLIENT"),
        Words("BACKEND"),
        Words("STATE"),
        Numbers("AGE"),
        Numbers("STALL"),
        Numbers("RATE"),
        Numbers("BYTES"),
        Words("WHAT"),
        Words("SERVICE"),
    ];
    let transfers = app.transfers();
    let table = grid(area.width, &columns, transfers.iter().map(|one| row(one)).collect());
    let line = summary(app, transfers.len());
    frame.render_widget(Line::from(line), above);
    frame.render_stateful_widget(table, below, &mut app.tables[Screen::Transfers as usize]);
}

fn summary(app: &App, shown: usize) -> String {
    let (listed, all) = (app.model.transfers.len(), app.model.matching);
    // Of tables with more rows than were asked for, these are not the youngest ones.
    let part = if listed < all { format!(", {listed} listed") } else { String::new() };
    let filter = match app.filter() {
        "" => String::new(),
        filter => format!(", {shown} contain `{filter}`"),
    };
    // Those that are not listed are counted as if they ran.
    let over = app.model.transfers.iter().filter(|one| one.is_over).count();
    let now = all.saturating_sub(over);
    let over = if over > 0 { format!(", {over} over") } else { String::new() };
    format!("{now} now{over}{part}{filter}, sorted by {}", app.sort.name())
}

fn row(one: &Transfer) -> Vec<Span<'static>> {
    vec![
        one.client.clone().into(),
        one.backend.clone().into(),
        state(&one.state),
        time(one.age).into(),
        time(one.idle).into(),
        rate(one).into(),
        size(one.bytes).into(),
        one.what.clone().into(),
        one.service.clone().into(),
    ]
}

fn rate(one: &Transfer) -> String {
    one.rate.map_or("-".to_owned(), |rate| format!("{}/s", size(rate as u64)))
}

/// Draws one transfer, as it was last seen.
pub fn details(frame: &mut Frame, area: Rect, one: &Transfer, model: &Model) {
    let is_over = !model.transfers.iter().any(|other| other.is(one));
    let facts = [
        ("client", one.client.clone()),
        ("service", one.service.clone()),
        ("backend", one.backend.clone()),
        ("what", one.what.clone()),
        ("state", if is_over { "over, seen last as:".to_owned() } else { one.state.clone() }),
        ("age", time(one.age)),
        ("stall", time(one.idle)),
        ("bytes", size(one.bytes)),
        ("rate", rate(one)),
    ];
    let facts = facts.into_iter().chain(one.more.iter().cloned());
    let lines = facts.map(|(name, value)| {
        Line::from(vec![Span::from(format!("{name:<14}")).bold(), Span::from(value)])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
