//! The page of a script, made of the comment at its top: what it does, and behind an empty line how it is called.

use crate::page::{self, CONFIGURATION, Page};
use roff::roman;

/// The page of an installed script; the comment calls it by its name in `scripts`.
pub fn page(name: &str, script: &str) -> Page {
    let comment = script.lines().skip(1).map_while(|line| line.strip_prefix('#'));
    let lines: Vec<_> = comment.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let mut parts = lines.split(|line| line.is_empty());
    let about = parts.next().unwrap_or_default().join(" ");
    let first = about.split_once(". ").map_or(&*about, |(first, _)| first).trim_end_matches('.');
    let mut roff = page::begin(name, 8, first);
    roff.control("SH", ["SYNOPSIS"]);
    let calls = parts.next().unwrap_or_default().iter();
    let calls: Vec<_> = calls.map(|line| line.trim().replace(&in_tree(name), name)).collect();
    page::verbatim(&mut roff, calls.iter().map(String::as_str));
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(about)]);
    page::end(&mut roff, &[CONFIGURATION], &["tidegated(8)", "tidegate.toml(5)"]);
    Page { file: format!("{name}.8"), text: roff.render() }
}

/// The script's path in the source tree.
fn in_tree(name: &str) -> String {
    name.replace("tidegate-", "scripts/")
}
