//! The first screen: services, workers and interfaces.

use super::format::{gigabits, link, rate, state};
use super::grid::{Column, grid};
use crate::cli::table::percent;
use crate::cli::top::app::App;
use crate::cli::top::history::Outcomes;
use crate::cli::top::model::Model;
use crate::cli::top::screen::Screen;
use Column::{Numbers, Words};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;
use ratatui::widgets::Table;

/// Cells of a bar.
const BAR: u64 = 20;
/// A character for each kind of outcome.
const MARKS: [char; 4] = ['█', '▒', 'x', '░'];

/// Draws the screen. Services may be many: the selected one is in sight.
pub fn draw(frame: &mut Frame, area: Rect, app: &mut App) {
    // A table has a header, and a space below.
    let lines = |rows: usize| rows as u16 + 2;
    let model = &app.model;
    let others = [lines(model.workers.len()), lines(model.interfaces.len())];
    let room = area.height.saturating_sub(others[0] + others[1]).max(3);
    let heights = [lines(model.services.len()).min(room), others[0], others[1]];
    let areas = Layout::vertical(heights.map(Constraint::Length));
    let [services, workers, interfaces] = area.layout(&areas);
    let table = self::services(model, services.width);
    frame.render_widget(self::workers(model, workers.width), workers);
    frame.render_widget(self::interfaces(model, interfaces.width), interfaces);
    let selected = &mut app.tables[Screen::Overview as usize];
    frame.render_stateful_widget(table, services, selected);
}

fn services(model: &Model, width: u16) -> Table<'static> {
    let columns = [
        Words("SERVICE"),
        Words("STATE"),
        Numbers("REQUESTS/s"),
        Numbers("NOW"),
        Words("LAST MINUTE █ done ▒ no file x failed ░ silent"),
        Words("VIP"),
    ];
    let rows = model.services.iter().map(|one| {
        vec![
            one.name.clone().into(),
            state(&one.state),
            rate(one.requests).into(),
            one.now.to_string().into(),
            outcomes(one.outcomes).into(),
            one.vips.clone().into(),
        ]
    });
    grid(width, &columns, rows.collect())
}

/// A bar of outcomes, with their numbers where there are any.
fn outcomes(outcomes: Outcomes) -> String {
    let total: u64 = outcomes.iter().sum();
    if total == 0 {
        return "-".to_owned();
    }
    let (mut bar, mut sum) = (String::new(), 0);
    for (count, mark) in outcomes.into_iter().zip(MARKS) {
        sum += count;
        // What happened is seen, however rare it is.
        let end = (sum * BAR / total) as usize;
        let cells = end.saturating_sub(bar.chars().count()).max(usize::from(count > 0));
        bar.extend(std::iter::repeat_n(mark, cells));
    }
    let numbers = outcomes.into_iter().zip(MARKS).filter(|(count, _)| *count > 0);
    let numbers: Vec<_> = numbers.map(|(count, mark)| format!("{mark} {count}")).collect();
    format!("{bar} {}", numbers.join(" "))
}

fn workers(model: &Model, width: u16) -> Table<'static> {
    let columns = [
        Words("WORKER"),
        Numbers("CORE"),
        Numbers("BUSY"),
        Numbers("PACKETS/s"),
        Numbers("DROPS/s"),
        Numbers("P99"),
        Numbers("Gb/s IN"),
        Numbers("Gb/s OUT"),
    ];
    let rows = model.workers.iter().enumerate().map(|(number, one)| {
        vec![
            number.to_string().into(),
            one.core.to_string().into(),
            one.busy.map_or("-".to_owned(), percent).into(),
            rate(one.received).into(),
            rate(one.drops).into(),
            format!("{:.1} µs", one.p99 as f64 / 1000.0).into(),
            gigabits(one.bytes_received).into(),
            gigabits(one.bytes_transmitted).into(),
        ]
    });
    grid(width, &columns, rows.collect())
}

fn interfaces(model: &Model, width: u16) -> Table<'static> {
    let columns = [
        Words("INTERFACE"),
        Words("LINK"),
        Numbers("LOST"),
        Numbers("LOST/s"),
        Numbers("TO KERNEL/s"),
        Numbers("FROM KERNEL/s"),
        Words("DEVICE"),
    ];
    let rows = model.interfaces.iter().map(|one| {
        vec![
            one.name.clone().into(),
            link(one.link),
            one.lost.to_string().into(),
            rate(one.losing).into(),
            rate(one.to_kernel).into(),
            rate(one.from_kernel).into(),
            Span::from(one.device.clone()),
        ]
    });
    grid(width, &columns, rows.collect())
}
