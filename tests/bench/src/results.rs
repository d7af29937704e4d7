//! Figures and their presentation.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Results {
    machine: String,
    figures: Vec<Figure>,
}

/// A figure.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The reference figure, measured in the same run.
    against: Option<(String, f64)>,
    ratio: Option<f64>,
    /// The limit for the ratio, or for the value without reference.
    reach: Option<Reach>,
}

/// A limit.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Reach {
    /// A lower limit.
    AtLeast(f64),
    /// An upper limit.
    AtMost(f64),
}

impl Results {
    pub fn new(machine: String) -> Results {
        Results { machine, figures: vec![] }
    }

    /// A figure by itself.
    pub fn add(&mut self, what: &str, value: f64, unit: &'static str, reach: Option<Reach>) {
        self.push(Figure { what: what.to_owned(), value, unit, against: None, ratio: None, reach });
    }

    /// A figure beside another one, and their ratio.
    pub fn compare(
        &mut self,
        what: &str,
        value: f64,
        unit: &'static str,
        (other, against): (&str, f64),
        reach: Option<Reach>,
    ) {
        let ratio = Some(value / against);
        let against = Some((other.to_owned(), against));
        self.push(Figure { what: what.to_owned(), value, unit, against, ratio, reach });
    }

    fn push(&mut self, figure: Figure) {
        eprintln!("{}", figure.cells().join("  "));
        self.figures.push(figure);
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("figures are JSON") + "\n"
    }

    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["what", "measured", "against", "ratio", "to reach", ""]);
        for figure in &self.figures {
            table.add_row(figure.cells());
        }
        for column in [1, 3, 4] {
            let column = table.column_mut(column).expect("there are six");
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n\n{table}", self.machine)
    }
}

impl Figure {
    fn cells(&self) -> [String; 6] {
        let Figure { value, unit, .. } = self;
        let against = self.against.as_ref();
        let sign = self.reach.map(|reach| match reach {
            Reach::AtLeast(limit) => format!("≥ {limit}"),
            Reach::AtMost(limit) => format!("≤ {limit}"),
        });
        let verdict = self.reach.map(|reach| if self.reaches(reach) { "" } else { "missed" });
        [
            self.what.clone(),
            format!("{} {unit}", short(*value)),
            against.map_or(String::new(), |(name, other)| format!("{name}: {}", short(*other))),
            self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            sign.unwrap_or_default(),
            verdict.unwrap_or_default().to_owned(),
        ]
    }

    fn reaches(&self, reach: Reach) -> bool {
        let measured = self.ratio.unwrap_or(self.value);
        match reach {
            Reach::AtLeast(limit) => measured >= limit,
            Reach::AtMost(limit) => measured <= limit,
        }
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
