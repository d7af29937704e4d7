//! Pictures of the last hour, in SVG, each with its numbers as a table.

use super::history::{SPAN, Second};
use super::words::{grouped, rate};
use maud::{Markup, html};

/// Columns of a picture.
const COLUMNS: usize = 60;
/// The picture's size: its width is that of the columns and of the gaps between them.
const WIDTH: usize = COLUMNS * 10;
const HEIGHT: usize = 100;
/// Columns that the table makes a row of.
const ROW: usize = 5;

/// Columns of the time that has passed, each the sum of some seconds.
struct Columns {
    /// Seconds of a column.
    seconds: usize,
    /// The youngest column comes last.
    columns: Vec<Second>,
}

impl Columns {
    /// Sums up seconds in the shortest time span that has room for them: five minutes, a quarter of an hour, an hour.
    fn of(hour: &[Second]) -> Columns {
        let span = [300, 900].into_iter().find(|&span| hour.len() <= span).unwrap_or(SPAN);
        let seconds = span / COLUMNS;
        // The youngest column is always whole: it is the present rate.
        let mut columns: Vec<_> = hour.rchunks(seconds).map(sum).collect();
        columns.reverse();
        Columns { seconds, columns }
    }

    fn minutes(&self) -> usize {
        self.seconds * COLUMNS / 60
    }

    /// The place of a column from the left; the youngest is at the right edge.
    fn x(&self, column: usize) -> usize {
        (COLUMNS - self.columns.len() + column) * 10
    }

    fn most(&self, of: impl Fn(&Second) -> u64) -> u64 {
        self.columns.iter().map(of).max().unwrap_or_default()
    }
}

fn sum(seconds: &[Second]) -> Second {
    seconds.iter().fold(Second::default(), |sum, one| Second {
        requests: sum.requests.saturating_add(one.requests),
        outcomes: std::array::from_fn(|kind| sum.outcomes[kind].saturating_add(one.outcomes[kind])),
    })
}

fn ends(second: &Second) -> u64 {
    second.outcomes.iter().copied().map(u64::from).sum()
}

/// Requests and outcomes of a service, as two pictures and a table.
pub fn hour(service: &str, number: usize, hour: &[Second]) -> Markup {
    let columns = Columns::of(hour);
    if columns.most(|column| ends(column) + u64::from(column.requests)) == 0 {
        return html! { p.about { "No request within " (columns.minutes()) " minutes." } };
    }
    html! {
        div.charts {
            (requests(service, &columns))
            (outcomes(service, &columns))
        }
        details id={ "numbers-" (number) } {
            summary { "The pictures in numbers" }
            (table(service, &columns))
        }
    }
}

fn requests(service: &str, all: &Columns) -> Markup {
    let most = all.most(|column| column.requests.into());
    let per_second = |count: u64| rate(count as f64 / all.seconds as f64);
    let now = all.columns.last().map_or(0, |column| column.requests.into());
    let bars: String = all
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| bar(all.x(place), 0, column.requests.into(), most))
        .collect();
    let about = format!(
        "Requests per second to {service} in {} minutes: at most {}, now {}.",
        all.minutes(),
        per_second(most),
        per_second(now)
    );
    let caption = html! { "Requests per second: " b { (per_second(now)) } " now, at most " (per_second(most)) };
    figure(all, &caption, &about, html! { path.requests d=(bars) {} })
}

fn outcomes(service: &str, all: &Columns) -> Markup {
    let most = all.most(ends);
    let paths: [String; 4] = std::array::from_fn(|kind| {
        let columns = all.columns.iter().enumerate();
        let bars = columns.map(|(place, column)| {
            let below: u32 = column.outcomes[..kind].iter().sum();
            bar(all.x(place), below.into(), column.outcomes[kind].into(), most)
        });
        bars.collect()
    });
    let sums = sum(&all.columns).outcomes;
    let words = Second::KINDS.iter().zip(sums).map(|(kind, count)| format!("{kind} {count}"));
    let words = words.collect::<Vec<_>>().join(", ");
    let about = format!("Ends of transfers of {service} in {} minutes: {words}.", all.minutes());
    let caption = html! {
        "Ends: "
        @for (number, (kind, count)) in Second::KINDS.iter().zip(sums).enumerate() {
            span.key { span class={ "swatch kind" (number) } aria-hidden="true" {} (kind) " " b { (grouped(count.into())) } }
            " "
        }
    };
    let paths = html! {
        @for (number, path) in paths.iter().enumerate() { path class={ "kind" (number) } d=(path) {} }
    };
    figure(all, &caption, &about, paths)
}

fn figure(all: &Columns, caption: &Markup, about: &str, content: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            svg role="img" aria-label=(about) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                title { (about) }
                line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
                (content)
            }
            div.axis aria-hidden="true" { span { (all.minutes()) " min ago" } span { "now" } }
        }
    }
}

/// A bar of a path: `count` of `most`, on top of `below`.
fn bar(x: usize, below: u64, count: u64, most: u64) -> String {
    if count == 0 {
        return String::new();
    }
    let scale = |count: u64| HEIGHT as f64 * count as f64 / most.max(1) as f64;
    let (bottom, height) = (HEIGHT as f64 - scale(below), scale(count).max(1.0));
    format!("M{} {bottom:.1}v-{height:.1}h8v{height:.1}z", x + 1)
}

fn table(service: &str, all: &Columns) -> Markup {
    let rows: Vec<_> =
        all.columns.rchunks(ROW).map(|columns| (columns.len(), sum(columns))).collect();
    let title = |ago: usize, columns: usize| {
        let minutes = |columns: usize| columns as f64 * all.seconds as f64 / 60.0;
        format!("{:.1} to {:.1}", minutes(ago + columns), minutes(ago))
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Requests and ends of " (service) } {
            table {
                caption { "Requests and ends of " (service) ", the latest first" }
                thead {
                    tr {
                        th scope="col" { "minutes ago" }
                        th.number scope="col" { "requests" }
                        @for kind in Second::KINDS { th.number scope="col" { (kind) } }
                    }
                }
                tbody {
                    @for (place, (columns, row)) in rows.iter().enumerate() {
                        tr {
                            th scope="row" { (title(place * ROW, *columns)) }
                            td.number { (grouped(row.requests.into())) }
                            @for count in row.outcomes { td.number { (grouped(count.into())) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: usize) -> Vec<Second> {
        vec![Second { requests: 2, outcomes: [1, 0, 1, 0] }; count]
    }

    #[test]
    fn columns_lose_no_request() {
        for (count, minutes, columns) in
            [(0, 5, 0), (1, 5, 1), (299, 5, 60), (301, 15, 21), (901, 60, 16), (3600, 60, 60)]
        {
            let all = Columns::of(&seconds(count));
            assert_eq!((all.minutes(), all.columns.len()), (minutes, columns), "{count}");
            assert_eq!(sum(&all.columns).requests as usize, 2 * count);
            if columns > 0 {
                assert_eq!(all.x(columns - 1), WIDTH - 10, "the youngest is at the edge");
            }
        }
    }

    #[test]
    fn nothing_has_no_picture() {
        let page = hour("pxe", 0, &[Second::default(); 600]).into_string();
        assert_eq!(page, "<p class=\"about\">No request within 15 minutes.</p>");
    }

    #[test]
    fn a_picture_has_its_numbers_as_text() {
        let page = hour("pxe", 0, &seconds(10)).into_string();
        for text in [
            "Requests per second to pxe in 5 minutes: at most 2.0, now 2.0.",
            "completed 10, no such file 0, failed 10, silent 0.",
            "<th scope=\"row\">0.2 to 0.0</th><td class=\"number\">20</td>",
            "d=\"M581 100.0v-100.0h8v100.0zM591 100.0v-100.0h8v100.0z\"",
            "d=\"M581 50.0v-50.0h8v50.0z",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
}
