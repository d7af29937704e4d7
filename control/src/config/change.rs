//! Differences between two files, by sections and keys as they are written, so that no key is left out.

use serde::{Deserialize, Serialize};
use std::fmt;
use toml::{Table, Value};

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The sections around the difference, the outermost first: `service pxe`, `backend tftp1`.
    pub place: Vec<String>,
    /// The kind of the difference.
    #[serde(flatten)]
    pub what: What,
}

/// The kind of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum What {
    /// The section is new.
    Added,
    /// The section was removed.
    Removed,
    /// Sections of this kind are in another order.
    Reordered {
        /// The kind of the sections.
        sections: String,
    },
    /// A key has another value.
    Changed {
        /// The key.
        key: String,
        /// The key's old value; `None`: it was left out.
        old: Option<Value>,
        /// The key's new value; `None`: it is left out.
        new: Option<Value>,
    },
}

/// All differences.
pub fn changes(old: &Table, new: &Table) -> Vec<Change> {
    let mut changes = vec![];
    compare(&[], old, new, &mut changes);
    changes
}

fn compare(place: &[String], old: &Table, new: &Table, changes: &mut Vec<Change>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let (before, now) = (old.get(key), new.get(key));
        let sections = [before, now].map(sections);
        match (before, now, sections) {
            _ if before == now => {}
            (_, _, [Some(before), Some(now)]) => compare_lists(place, key, before, now, changes),
            (Some(Value::Table(before)), Some(Value::Table(now)), _) => {
                compare(&within(place, key.clone()), before, now, changes);
            }
            _ => {
                let what =
                    What::Changed { key: key.clone(), old: before.cloned(), new: now.cloned() };
                changes.push(Change { place: place.to_vec(), what });
            }
        }
    }
}

/// The tables of a list of tables; none if it is left out.
fn sections(value: Option<&Value>) -> Option<Vec<&Table>> {
    match value {
        None => Some(vec![]),
        Some(Value::Array(list)) if !list.is_empty() => list.iter().map(Value::as_table).collect(),
        Some(_) => None,
    }
}

fn compare_lists(
    place: &[String],
    kind: &str,
    old: Vec<&Table>,
    new: Vec<&Table>,
    changes: &mut Vec<Change>,
) {
    let (old, new) = (named(&old), named(&new));
    let find =
        |list: &[(String, &Table)], name: &str| list.iter().position(|(known, _)| known == name);
    let mut order = vec![];
    for (name, before) in &old {
        let place = within(place, format!("{kind} {name}"));
        match find(&new, name) {
            Some(now) => {
                order.push(now);
                compare(&place, before, new[now].1, changes);
            }
            None => changes.push(Change { place, what: What::Removed }),
        }
    }
    for (name, _) in new.iter().filter(|(name, _)| find(&old, name).is_none()) {
        changes.push(Change { place: within(place, format!("{kind} {name}")), what: What::Added });
    }
    if !order.is_sorted() {
        let what = What::Reordered { sections: kind.to_owned() };
        changes.push(Change { place: place.to_vec(), what });
    }
}

/// Each section with its name, or its number from 1.
fn named<'a>(sections: &[&'a Table]) -> Vec<(String, &'a Table)> {
    let name = |place: usize, section: &Table| match section.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => (place + 1).to_string(),
    };
    sections.iter().enumerate().map(|(place, section)| (name(place, section), *section)).collect()
}

fn within(place: &[String], section: String) -> Vec<String> {
    place.iter().cloned().chain([section]).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.join(", ");
        let colon = if place.is_empty() { "" } else { ": " };
        write!(f, "{place}{colon}")?;
        match &self.what {
            What::Added => f.write_str("added"),
            What::Removed => f.write_str("removed"),
            What::Reordered { sections } => write!(f, "each {sections} in another order"),
            What::Changed { key, old, new } => {
                write!(f, "{key} {} → {}", shown(old.as_ref()), shown(new.as_ref()))
            }
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("not set".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The differences, a line each.
    fn lines(old: &str, new: &str) -> Vec<String> {
        let [old, new] = [old, new].map(|text| text.parse().unwrap());
        changes(&old, &new).iter().map(Change::to_string).collect()
    }

    const OLD: &str = r#"
        [dataplane]
        workers = [1]
        [[service]]
        name = "pxe"
        vip = "10.0.0.100"
        [service.health]
        check = "tftp"
        [[service.backend]]
        name = "one"
        weight = 1
        [[service.backend]]
        name = "two"
        [[service.rule]]
        files = ["*.efi"]
    "#;

    #[test]
    fn the_same_is_no_difference_however_it_is_written() {
        assert_eq!(lines(OLD, OLD), [""; 0]);
        let spaced = OLD.replace("= 1", "=   1   # a comment");
        assert_eq!(lines(OLD, &spaced), [""; 0]);
    }

    #[test]
    fn keys_by_their_place() {
        for (this, that, line) in [
            ("weight = 1", "weight = 5", "service pxe, backend one: weight 1 → 5"),
            ("weight = 1", "", "service pxe, backend one: weight 1 → not set"),
            ("vip =", "port = 70\nvip =", "service pxe: port not set → 70"),
            ("\"tftp\"", "\"icmp\"", "service pxe, health: check \"tftp\" → \"icmp\""),
            ("[1]", "[0, 1]", "dataplane: workers [1] → [0, 1]"),
            ("*.efi", "*.0", "service pxe, rule 1: files [\"*.efi\"] → [\"*.0\"]"),
            (
                "= \"10.0.0.100\"",
                "= [\"10.0.0.7\"]",
                "service pxe: vip \"10.0.0.100\" → [\"10.0.0.7\"]",
            ),
        ] {
            assert_eq!(lines(OLD, &OLD.replacen(this, that, 1)), [line]);
        }
    }

    #[test]
    fn sections_that_come_and_go() {
        let more = format!("{OLD}\n[[service]]\nname = \"fw\"\nvip = \"10.0.0.7\"");
        assert_eq!(lines(OLD, &more), ["service fw: added"]);
        assert_eq!(lines(&more, OLD), ["service fw: removed"]);
        assert_eq!(lines("", OLD).last().unwrap(), "service pxe: added");
        let renamed = OLD.replace("\"two\"", "\"three\"");
        assert_eq!(
            lines(OLD, &renamed),
            ["service pxe, backend two: removed", "service pxe, backend three: added"]
        );
        let without = OLD.replace("[[service.rule]]\n        files = [\"*.efi\"]", "");
        assert_eq!(lines(OLD, &without), ["service pxe, rule 1: removed"]);
        let ruled = format!("{OLD}\n[[nat]]\nsource_port = 20");
        assert_eq!(lines(OLD, &ruled), ["nat 1: added"]);
        let other = ruled.replace("= 20", "= 21");
        assert_eq!(lines(&ruled, &other), ["nat 1: source_port 20 → 21"]);
    }

    #[test]
    fn the_order_counts() {
        let [one, two] = ["one", "two"].map(|name| format!("[[interface]]\nname = \"{name}\"\n"));
        assert_eq!(
            lines(&format!("{one}{two}"), &format!("{two}{one}")),
            ["each interface in another order"]
        );
    }
}
