//! Elements that sections of the page share: headings, states, tables.

use crate::foreign_text::escaped;
use maud::{Markup, html};

/// The title of a section.
pub fn title_of(section: &str) -> &'static str {
    match section {
        "services" => "Services",
        "running" => "Running",
        "failed" => "Failed",
        "drops" => "Drops",
        "workers" => "Workers",
        _ => "Links",
    }
}

/// A time by RFC 3339, which is in UTC, in a form that is read more easily.
pub fn utc(time: &str) -> String {
    time.replace('T', " ").replace('Z', " UTC")
}

/// A sign for a state, beside the word for it.
pub fn mark(state: &str) -> Markup {
    let (class, sign) = match state {
        "up" | "live" => ("good", "●"),
        "down" | "unresolved" | "ejected" => ("bad", "✖"),
        _ => ("warn", "▲"),
    };
    html! { span.mark.(class) aria-hidden="true" { (sign) } " " }
}

/// A state: its sign and its word.
pub fn state(word: &str) -> Markup {
    html! { span.state { (mark(word)) (word) } }
}

/// A section with a heading.
pub fn section(id: &'static str, content: Markup) -> Markup {
    html! {
        section aria-labelledby={ (id) "-title" } id=(id) {
            h2 id={ (id) "-title" } { (title_of(id)) }
            (content)
        }
    }
}

/// A column of a table.
pub enum Column {
    /// Words.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

/// A table that scrolls in itself where it is wider than the screen. Each row has a cell for each column; the first one
/// is the row's heading.
pub fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            @match column {
                                Column::Text(name) => th scope="col" { (name) },
                                Column::Number(name) => th.number scope="col" { (name) },
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (place, (column, cell)) in columns.iter().zip(row).enumerate() {
                                @match (place, column) {
                                    (0, _) => th scope="row" { (cell) },
                                    (_, Column::Text(_)) => td { (cell) },
                                    (_, Column::Number(_)) => td.number { (cell) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Foreign text in a cell.
pub fn text(text: &str) -> Markup {
    html! { (escaped(text)) }
}
