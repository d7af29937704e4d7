//! The fourth screen: dropped packets by reason and worker, and the selected reason's last minute.

use super::format::rate;
use super::grid::{Column, grid};
use crate::cli::top::app::App;
use crate::cli::top::rows::DropRow;
use crate::cli::top::screen::Screen;
use Column::{Numbers, Words};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline, Wrap};

/// Height of the part about the selected reason.
const DETAILS: u16 = 5;

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    let is_shown = |row: &&DropRow| app.shows_all_drops || row.total > 0;
    let shown: Vec<_> = app.model.drops.iter().filter(is_shown).collect();
    if shown.is_empty() {
        frame.render_widget("no packet was dropped", area);
        return;
    }
    let below = if area.height > 2 * DETAILS { DETAILS } else { 0 };
    let areas = [Constraint::Fill(1), Constraint::Length(below)];
    let [above, below] = area.layout(&Layout::vertical(areas));
    let table = &mut app.tables[Screen::Drops as usize];
    let selected = shown[table.selected().unwrap_or(0).min(shown.len() - 1)];
    frame.render_stateful_widget(self::table(&shown, above.width), above, table);
    details(frame, below, selected);
}

fn table(shown: &[&DropRow], width: u16) -> ratatui::widgets::Table<'static> {
    let cores: Vec<_> = shown[0].workers.iter().map(|(core, _)| format!("CORE {core}")).collect();
    let mut columns = vec![Words("REASON"), Numbers("TOTAL"), Numbers("PER SECOND")];
    columns.extend(cores.iter().map(|core| Numbers(core)));
    columns.push(Words("MEANING"));
    let rows = shown.iter().map(|row| {
        let mut cells: Vec<Span> =
            vec![row.reason.name().into(), row.total.to_string().into(), rate(row.rate).into()];
        cells.extend(row.workers.iter().map(|(_, count)| Span::from(count.to_string())));
        cells.push(row.reason.meaning().into());
        cells
    });
    grid(width, &columns, rows.collect())
}

/// Draws what a reason means, and its rate over the last minute.
fn details(frame: &mut Frame, area: Rect, row: &DropRow) {
    let heights = [2, 1, 2].map(Constraint::Length);
    let [meaning, title, line] = area.layout(&Layout::vertical(heights));
    let text = format!("{}: {}", row.reason.name(), row.reason.meaning());
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), meaning);
    let most = row.minute.iter().max().unwrap_or(&0);
    frame.render_widget(Line::from(format!("last minute, at most {most} a second")), title);
    let newest_first = row.minute.iter().rev().copied();
    let bars = Sparkline::default().data(newest_first).direction(RenderDirection::RightToLeft);
    frame.render_widget(bars, line);
}
