//! The page of the configuration, made of `conf/full.toml`: each key with its value there and the comment behind it.

use crate::page::{self, CONFIGURATION, Page};
use roff::{Roff, bold, roman};

const FULL: &str = include_str!("../../../conf/full.toml");
const MINIMAL: &str = include_str!("../../../conf/minimal.toml");

/// A part of the reference.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    /// A comment on lines of its own.
    Prose(String),
    /// A section, with its brackets.
    Section(String),
    /// A key. One that is commented out has no default.
    Key { name: String, value: String, comment: String },
}

/// The page `tidegate.toml(5)`.
pub fn page() -> Page {
    let mut roff = page::begin("tidegate.toml", 5, "configuration of tidegated");
    roff.control("SH", ["DESCRIPTION"]);
    let (mut prose, mut is_first) = (vec![], true);
    for item in items(FULL) {
        match item {
            Item::Prose(text) => prose.push(text),
            Item::Section(name) => {
                // Prose before the first section is about the file.
                if std::mem::take(&mut is_first) {
                    paragraphs(&mut roff, &mut prose);
                }
                roff.control("SS", [&*name]);
                paragraphs(&mut roff, &mut prose);
            }
            Item::Key { name, value, comment } => {
                paragraphs(&mut roff, &mut prose);
                roff.control("TP", []);
                roff.text([bold(name), roman(format!(" = {value}"))]);
                roff.text(page::text(&comment));
            }
        }
    }
    roff.control("SH", ["EXAMPLE"]);
    page::verbatim(&mut roff, MINIMAL.lines());
    let see = ["tidegated(8)", "tidegate(1)", "tidegate-bind-nic(8)", "tidegate-hugepages(8)"];
    page::end(&mut roff, &[CONFIGURATION], &see);
    Page { file: "tidegate.toml.5".into(), text: roff.render() }
}

fn paragraphs(roff: &mut Roff, prose: &mut Vec<String>) {
    for text in prose.drain(..) {
        roff.control("PP", []);
        roff.text(page::text(&text));
    }
}

/// The items of a configuration, in its order.
fn items(file: &str) -> Vec<Item> {
    let mut items = vec![];
    let mut goes_on = false;
    for line in file.lines() {
        // A comment that begins further right goes on with the one above it.
        if let Some(more) = line.trim_start().strip_prefix("# ")
            && line.starts_with(' ')
            && let Some(Item::Key { comment, .. }) = items.last_mut()
        {
            *comment = format!("{comment} {}", more.trim());
            continue;
        }
        let bare = line.strip_prefix("# ").filter(|rest| is_entry(rest)).unwrap_or(line);
        let is_prose = bare.starts_with('#');
        match (bare.strip_prefix("# "), items.last_mut()) {
            _ if bare.is_empty() => {}
            (Some(more), Some(Item::Prose(text))) if goes_on => *text = format!("{text} {more}"),
            (Some(text), _) => items.push(Item::Prose(text.into())),
            (None, _) => items.push(entry(bare)),
        }
        goes_on = is_prose;
    }
    items
}

/// Whether a line, or one that is commented out, is a section or a key.
fn is_entry(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default().trim_end();
    let is_word = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    line.starts_with('[') || line.contains('=') && is_word && !key.is_empty()
}

fn entry(line: &str) -> Item {
    let (code, comment) = split_comment(line);
    match code.split_once('=') {
        Some((name, value)) if !code.starts_with('[') => Item::Key {
            name: name.trim().into(),
            value: value.trim().into(),
            comment: comment.into(),
        },
        _ => Item::Section(code.into()),
    }
}

/// A line's content and its comment, which begins at the first `#` outside quotes.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let at = line.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    let (code, comment) = line.split_at(at.unwrap_or(line.len()));
    (code.trim(), comment.trim_start_matches('#').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, value: &str, comment: &str) -> Item {
        Item::Key { name: name.into(), value: value.into(), comment: comment.into() }
    }

    #[test]
    fn keys_have_the_comments_behind_and_below_them() {
        let file = "# All\n# keys.\n\n# More.\n[a]\nb = \"#1\"  # one,\n           # two\n# c = 2 # off\n\n# [d]\ne = []\n";
        let expected = [
            Item::Prose("All keys.".into()),
            Item::Prose("More.".into()),
            Item::Section("[a]".into()),
            key("b", "\"#1\"", "one, two"),
            key("c", "2", "off"),
            Item::Section("[d]".into()),
            key("e", "[]", ""),
        ];
        assert_eq!(items(file), expected);
    }
}
