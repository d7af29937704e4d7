//! States and rates as the screens show them.

use crate::api::Link;
use crate::cli::table;
use ratatui::style::Color;
use ratatui::text::Span;
use std::time::{Duration, UNIX_EPOCH};

/// The colour of a state, which is a word as well.
pub fn state(word: &str) -> Span<'static> {
    let color = match word {
        "up" | "live" => Color::Green,
        "down" | "vip down" | "pool down" | "withdrawn" | "ejected" | "unresolved" => Color::Red,
        "suspected" | "partly live" | "draining" => Color::Yellow,
        _ => Color::Reset,
    };
    Span::styled(word.to_owned(), color)
}

/// A link with its speed, in the colour of its state.
pub fn link(link: Link) -> Span<'static> {
    let word = if link.is_up { "up" } else { "down" };
    Span { content: table::link(link).into(), ..state(word) }
}

/// The time of the day, in UTC, of a time in seconds since 1970.
pub fn clock(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let time = humantime::format_rfc3339_seconds(time).to_string();
    time.get(11..19).unwrap_or(&time).to_owned()
}

/// A rate with its unit of thousand, million or more.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate < 1000.0 => format!("{rate:.1}"),
        Some(rate) if rate < 1e6 => format!("{:.1} k", rate / 1e3),
        Some(rate) => format!("{:.2} M", rate / 1e6),
    }
}

/// A rate of bytes as Gb/s.
pub fn gigabits(bytes: Option<f64>) -> String {
    bytes.map_or("-".to_owned(), |bytes| format!("{:.3}", bytes * 8.0 / 1e9))
}
