//! The fifth screen: clients that ask again and again, and below them those with the most bytes.

use super::format::clock;
use super::grid::{Column, grid};
use crate::api::{ClientRow, Clients};
use crate::cli::table::size;
use crate::cli::top::app::App;
use crate::cli::top::screen::Screen;
use Column::{Numbers, Words};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Table;

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    let Some(clients) = &app.model.clients else { return };
    let heights = [Constraint::Length(1), Constraint::Fill(3), Constraint::Fill(2)];
    let [above, unfinished, talkers] = area.layout(&Layout::vertical(heights));
    frame.render_widget(Line::from(summary(clients)), above);
    let state = &mut app.tables[Screen::Clients as usize];
    let table = self::unfinished(&clients.unfinished, unfinished.width);
    frame.render_stateful_widget(table, unfinished, state);
    frame.render_widget(self::talkers(&clients.talkers, talkers.width), talkers);
}

fn summary(clients: &Clients) -> String {
    let since = clock(clients.since);
    let mut text = format!("requests that ended or were refused since {since} UTC");
    if clients.missed > 0 {
        text += &format!(", up to {} more of a client are missing", clients.missed);
    }
    if clients.missed_bytes > 0 {
        text += &format!(", and up to {}", size(clients.missed_bytes));
    }
    text
}

fn unfinished(rows: &[ClientRow], width: u16) -> Table<'static> {
    let columns = [
        Words("MOST FAILURES"),
        Numbers("NO FILE"),
        Numbers("FAILED"),
        Numbers("REFUSED"),
        Numbers("REPEATS"),
        Words("LAST"),
    ];
    let rows = rows.iter().map(|row| {
        let mut cells: Vec<Span> = vec![row.client.to_string().into()];
        let counts =
            [row.counts.not_found, row.counts.failed, row.counts.refused, row.counts.repeats];
        cells.extend(counts.map(|count| Span::from(count.to_string())));
        // A client chooses the file's name: it is escaped.
        cells.push(row.counts.last.escape_debug().to_string().into());
        cells
    });
    grid(width, &columns, rows.collect())
}

fn talkers(rows: &[ClientRow], width: u16) -> Table<'static> {
    let columns = [Words("MOST BYTES"), Numbers("BYTES"), Numbers("COMPLETED"), Numbers("OTHERS")];
    let rows = rows.iter().map(|row| {
        let others = row.counts.not_found + row.counts.failed + row.counts.refused;
        vec![
            row.client.to_string().into(),
            size(row.counts.bytes).into(),
            row.counts.completed.to_string().into(),
            others.to_string().into(),
        ]
    });
    grid(width, &columns, rows.collect())
}
