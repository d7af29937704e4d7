//! The second screen: backends.

use super::format::{gigabits, rate, state};
use super::grid::{Column, grid};
use crate::cli::table;
use crate::cli::top::app::App;
use crate::cli::top::rows::BackendRow;
use crate::cli::top::screen::Screen;
use Column::{Numbers, Words};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Draws the screen.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    let columns = [
        Words("SERVICE"),
        Words("BACKEND"),
        Words("STATE"),
        Numbers("WEIGHT"),
        Numbers("NOW"),
        Numbers("MAX"),
        Numbers("REQUESTS/s"),
        Numbers("Gb/s OUT"),
        Numbers("SILENT"),
        Words("CHECK"),
        Words("ADDRESS"),
    ];
    let rows = app.model.backends.iter().map(row);
    let table = grid(area.width, &columns, rows.collect());
    frame.render_stateful_widget(table, area, &mut app.tables[Screen::Backends as usize]);
}

fn row(row: &BackendRow) -> Vec<Span<'static>> {
    let BackendRow { backend, requests, bytes_out, silent } = row;
    vec![
        backend.service.clone().into(),
        backend.name.clone().into(),
        state(&backend.state),
        table::weight(backend).into(),
        backend.transfers.to_string().into(),
        backend.max_transfers.map_or("-".to_owned(), |most| most.to_string()).into(),
        rate(*requests).into(),
        gigabits(*bytes_out).into(),
        silent.to_string().into(),
        backend.check.as_ref().map_or("-".to_owned(), table::check).into(),
        backend.address.to_string().into(),
    ]
}
