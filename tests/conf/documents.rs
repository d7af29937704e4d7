//! The documents name tests that there are.

use std::path::{Path, PathBuf};

/// A suite's folder.
fn folder(suite: &str) -> Option<PathBuf> {
    let below = match suite {
        "packets" => "dataplane/engine/tests/packets",
        "netns" => "tests/netns",
        "attack" => "tests/attack",
        "kernel" => "tests/kernel",
        _ => return None,
    };
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(below))
}

/// The texts between backticks in the last column of tables' rows.
fn named(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let columns = rows.map(|row| row.trim_end_matches(" |").rsplit_once(" | ").expect("columns"));
    columns.flat_map(|(_, last)| last.split('`').skip(1).step_by(2)).collect()
}

/// Whether the suite has this test, or tests of this module.
fn is_there(name: &str) -> bool {
    let (suite, path) = name.split_once(' ').unwrap_or((name, ""));
    let Some(folder) = folder(suite) else { return false };
    let Some((module, test)) = path.split_once("::") else { return path.is_empty() };
    let source = std::fs::read_to_string(folder.join(format!("{module}.rs")));
    source.is_ok_and(|source| source.contains(&format!("fn {test}")))
}

#[test]
fn what_is_known_to_work_is_shown_by_tests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let all = named(&document);
    let missing: Vec<_> = all.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(all.len() > 30, "{} tests", all.len());
}

#[test]
fn a_test_that_is_not_there_is_missed() {
    let document =
        "| habit | `netns link::no_such_test` |\n| other | `packets last_hop::`, `kernel` |";
    let there: Vec<_> = named(document).iter().map(|name| is_there(name)).collect();
    assert_eq!(there, [false, true, true]);
}
