//! Tables whose columns are as wide as their contents. Columns that do not fit are left out, the last ones first.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

/// The space between two columns.
const GAP: usize = 2;
/// The least width of a column that is cut off at the edge.
const LEAST: usize = 4;

/// A column's title. Numbers stand at the right.
pub enum Column<'a> {
    /// A column of words.
    Words(&'a str),
    /// A column of numbers.
    Numbers(&'a str),
}

impl Column<'_> {
    fn parts(&self) -> (&str, Alignment) {
        match self {
            Column::Words(title) => (title, Alignment::Left),
            Column::Numbers(title) => (title, Alignment::Right),
        }
    }
}

/// Makes a table of this width.
pub fn grid(width: u16, columns: &[Column], rows: Vec<Vec<Span<'static>>>) -> Table<'static> {
    let widths = widths(width.into(), columns, &rows);
    let titles = columns.iter().take(widths.len()).map(|column| {
        let (title, alignment) = column.parts();
        Cell::from(Line::from(title.to_owned()).alignment(alignment))
    });
    let header = Row::new(titles.collect::<Vec<_>>()).style(Modifier::BOLD);
    let rows = rows.into_iter().map(|row| {
        let cells = row.into_iter().zip(columns).take(widths.len());
        Row::new(
            cells.map(|(span, column)| Cell::from(Line::from(span).alignment(column.parts().1))),
        )
    });
    Table::new(rows.collect::<Vec<_>>(), widths.iter().map(|&width| Constraint::Length(width)))
        .header(header)
        .column_spacing(GAP as u16)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

fn widths(room: usize, columns: &[Column], rows: &[Vec<Span>]) -> Vec<u16> {
    let (mut widths, mut left) = (vec![], room);
    for (place, column) in columns.iter().enumerate() {
        let title = Span::from(column.parts().0).width();
        let cells = rows.iter().filter_map(|row| row.get(place)).map(Span::width);
        let width = cells.chain([title]).max().unwrap_or(0);
        if left < width.min(LEAST) {
            break;
        }
        widths.push(width.min(left) as u16);
        left = left.saturating_sub(width + GAP);
    }
    widths
}
