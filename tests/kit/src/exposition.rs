//! Pages of metrics in Prometheus' text format 0.0.4, taken apart and checked.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The type of each metric, by its name.
    pub types: BTreeMap<String, String>,
    /// All series.
    pub series: Vec<Series>,
}

/// One series of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name: that of the metric; of a histogram with the suffix `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A metric as the documents have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documented {
    /// The type.
    pub kind: String,
    /// The labels, in order.
    pub labels: BTreeSet<String>,
}

/// The metrics that `docs/metrics.md` lists, by name.
///
/// # Panics
///
/// The list cannot be read.
pub fn documented() -> BTreeMap<String, Documented> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let rows = text.lines().filter(|line| line.starts_with("| `tidegate_"));
    let metric = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else { panic!("{row}") };
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (name.trim_matches('`').to_owned(), Documented { kind: kind.to_owned(), labels })
    };
    rows.map(metric).collect()
}

impl Exposition {
    /// Parses a page.
    ///
    /// # Panics
    ///
    /// A line that is no series, a series without a metric or twice, a histogram that is not cumulative.
    pub fn parse(text: &str) -> Exposition {
        let mut page = Exposition::default();
        let mut seen = HashSet::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("# TYPE ") {
                let (name, kind) = words.split_once(' ').expect("a type");
                let before = page.types.insert(name.into(), kind.into());
                assert!(before.is_none(), "{name} is there twice");
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                assert!(seen.insert(series.to_owned()), "{series} is there twice");
                let series = Series::parse(series, value);
                let is_of = |name: &str| page.types.contains_key(name);
                let bare = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| series.name.strip_suffix(end));
                assert!(is_of(&series.name) || bare.is_some_and(is_of), "{line}: no metric");
                page.series.push(series);
            }
        }
        page.are_cumulative();
        page
    }

    /// The value of the one series with this name and at least these labels; 0 is a value, too.
    ///
    /// # Panics
    ///
    /// There are none, or several.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.all(name, labels);
        assert_eq!(found.len(), 1, "{name} with {labels:?}: {found:?}");
        found[0].value
    }

    /// All series with this name and at least these labels.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Series> {
        let has = |series: &Series| {
            let mut labels = labels.iter();
            labels.all(|&(key, value)| series.labels.get(key).is_some_and(|known| known == value))
        };
        self.series.iter().filter(|series| series.name == name && has(series)).collect()
    }

    /// Asserts that the buckets of each histogram grow, in the order of the page, up to its count.
    fn are_cumulative(&self) {
        for count in self.series.iter().filter(|series| series.name.ends_with("_count")) {
            let name = count.name.replace("_count", "_bucket");
            let labels: Vec<_> =
                count.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let values: Vec<_> = self.all(&name, &labels).iter().map(|one| one.value).collect();
            assert!(values.is_sorted(), "{name}: {values:?}");
            assert_eq!(values.last(), Some(&count.value), "{name}: {values:?}");
        }
    }
}

impl Series {
    fn parse(series: &str, value: &str) -> Series {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut rest = labels.strip_suffix('}').expect("an end of labels");
        let mut labels = BTreeMap::new();
        while let Some((key, behind)) = rest.split_once("=\"") {
            let (value, behind) = unquoted(behind);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{series}: `{key}` twice");
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        assert_eq!(rest, "", "{series}: labels");
        let value = value.parse().unwrap_or_else(|_| panic!("{series}: `{value}`"));
        Series { name: name.to_owned(), labels, value }
    }
}

/// A label's value up to its quote, and what is behind that.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return (value, &text[place + 1..]),
            '\\' => match chars.next().expect("an escaped character").1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end of `{text}`");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Exposition::parse(
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\",y=\"a \\\"b\\\\\\n\"} 7\na_total{x=\"2\"} 0\n\
             # TYPE b gauge\nb 1.5\n\
             # TYPE h histogram\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n",
        );
        assert_eq!(page.value("a_total", &[("x", "1"), ("y", "a \"b\\\n")]), 7.0);
        assert_eq!((page.value("b", &[]), page.all("a_total", &[]).len()), (1.5, 2));
        assert_eq!(page.types.keys().collect::<Vec<_>>(), ["a_total", "b", "h"]);
    }

    #[test]
    #[should_panic(expected = "is there twice")]
    fn a_series_is_not_there_twice() {
        Exposition::parse("# TYPE a gauge\na{x=\"1\"} 7\na{x=\"1\"} 8\n");
    }

    #[test]
    #[should_panic(expected = "no metric")]
    fn a_series_has_a_metric() {
        Exposition::parse("# TYPE a gauge\nb 8\n");
    }

    #[test]
    #[should_panic(expected = "h_bucket")]
    fn a_histogram_is_cumulative() {
        Exposition::parse(
            "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
        );
    }
}
