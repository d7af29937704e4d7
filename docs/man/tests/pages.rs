//! Pages of the manual say all that they are made of.

use manual::{Page, pages};
use std::collections::BTreeSet;
use toml::Value;

fn page(file: &str) -> Page {
    let all = pages().expect("pages");
    all.into_iter().find(|page| page.file == file).unwrap_or_else(|| panic!("no page {file}"))
}

/// The names of all keys at and below a value, sections' too.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => table.iter().for_each(|(key, below)| {
            found.insert(key.clone());
            names(below, found);
        }),
        Value::Array(values) => values.iter().for_each(|below| names(below, found)),
        _ => {}
    }
}

#[test]
fn the_configuration_s_page_has_every_key_of_the_reference() {
    let full: Value =
        toml::from_str(include_str!("../../../conf/full.toml")).expect("a configuration");
    let mut keys = BTreeSet::new();
    names(&full, &mut keys);
    assert!(keys.len() > 70, "{} keys", keys.len());
    // Keys that are commented out there.
    keys.extend(
        ["metrics", "web", "allow", "token", "listen", "peer", "key", "sync_after"].map(Into::into),
    );
    let page = page("tidegate.toml.5").text;
    let has = |key: &str| {
        page.contains(&format!("\\fB{key}\\fR"))
            || page.lines().any(|line| line.starts_with(".SS") && line.contains(key))
    };
    let missing: Vec<_> = keys.iter().filter(|key| !has(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_configuration_s_page_has_the_comments_of_the_reference() {
    let page = page("tidegate.toml.5").text.replace("\\fB", "").replace("\\fR", "");
    for line in include_str!("../../../conf/full.toml").lines() {
        let Some((_, comment)) = line.rsplit_once("# ") else { continue };
        let longest = comment.split(['`', '-', '\\', '.', '\'']).max_by_key(|part| part.len());
        let words = longest.expect("a part").trim();
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn every_command_has_a_page() {
    let files: Vec<_> = pages().expect("pages").into_iter().map(|page| page.file).collect();
    for file in [
        "tidegate.1",
        "tidegate-backend-drain.1",
        "tidegate-pair-key.1",
        "tidegate-top.1",
        "tidegated.8",
        "tidegate-storm.1",
        "tidegate-storm-serve.1",
        "tidegate-traces.1",
        "tidegate-hugepages.8",
        "tidegate-bind-nic.8",
    ] {
        assert!(files.iter().any(|other| other == file), "{file}");
    }
    let unique: BTreeSet<_> = files.iter().collect();
    assert_eq!(unique.len(), files.len());
}

#[test]
fn a_script_s_page_has_its_calls() {
    let page = page("tidegate-bind-nic.8").text;
    for line in ["tidegate\\-bind\\-nic \\-\\-back 0000:03:00.0", "Hands a network card"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(!page.contains("scripts/"), "{page}");
}
