//! Documents name types, layers and parts of tests that there are.

use crate::commands::array;
use crate::markdown::{Document, root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The crates that the glossary has terms of.
const PRODUCTS: [&str; 2] = ["dataplane", "control"];

/// Whether a code span is the name of a type.
fn is_type(span: &str) -> bool {
    span.starts_with(|c: char| c.is_ascii_uppercase()) && span.chars().all(char::is_alphanumeric)
}

/// Every Rust source below a folder, as one text.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            *text += &std::fs::read_to_string(&path).expect("a source");
        }
    }
}

/// Whether a source defines the type.
fn defines(sources: &str, name: &str) -> bool {
    ["struct", "enum", "type", "trait"].iter().any(|kind| {
        let defined = format!("{kind} {name}");
        let mut places = sources.match_indices(&defined).map(|(at, _)| at + defined.len());
        places.any(|end| !sources[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// The types in a document that no source defines.
fn undefined<'a>(document: &'a Document, sources: &str) -> Vec<&'a str> {
    let spans = document.spans.iter().map(|(_, span)| &**span);
    spans.filter(|span| is_type(span) && !defines(sources, span)).collect()
}

/// The folders and files that lines of the figure of layers begin with, from the top down.
fn layers(document: &Document) -> Vec<&str> {
    let figure = document.blocks.iter().find(|block| block.text.starts_with("engine.rs"));
    let lines = figure.expect("the figure of layers").text.lines();
    let is_name = |word: &&str| word.ends_with('/') || word.ends_with(".rs");
    lines.flat_map(|line| line.split_whitespace().take_while(is_name)).collect()
}

/// The rows of the layer test's table: folders and files of the engine, each with the number of its floor.
fn floors(test: &str) -> BTreeMap<&str, u8> {
    let (_, behind) = test.split_once("const ENGINE: &Floors = &[").expect("the table of floors");
    let (table, _) = behind.split_once("];").expect("its end");
    let rows = table.lines().filter_map(|row| row.trim().strip_prefix("(\"")?.split_once("\", "));
    rows.map(|(name, floor)| (name, floor.trim_end_matches("),").parse().expect("a floor")))
        .collect()
}

/// The layers that stand below one of a lower floor, or that the table does not have.
fn misplaced<'a>(layers: &[&'a str], floors: &BTreeMap<&str, u8>) -> Vec<&'a str> {
    let mut lowest = u8::MAX;
    let mut is_misplaced = |layer: &&str| match floors.get(layer) {
        Some(floor) if *floor <= lowest => {
            lowest = *floor;
            false
        }
        _ => true,
    };
    layers.iter().copied().filter(|layer| is_misplaced(layer)).collect()
}

/// The folders of the engine, and its files that are no folder's.
fn engine() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("dataplane/engine/src")).expect("the engine");
    let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let is_file = |path: &&PathBuf| {
        !path.is_dir() && !path.ends_with("lib.rs") && !path.with_extension("").is_dir()
    };
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folders = paths.iter().filter(|path| path.is_dir()).filter_map(name);
    let folders = folders.map(|name| name + "/");
    let mut names: Vec<_> = folders.chain(paths.iter().filter(is_file).filter_map(name)).collect();
    names.sort_unstable();
    names
}

/// The parts that the table of a document describes, each with what it needs.
fn described(text: &str) -> Vec<(&str, &str)> {
    let (_, table) = text.split_once("| part |").expect("a table of parts");
    let rows = table.lines().take_while(|line| line.ends_with('|'));
    let cells = rows.map(|row| row.trim_end_matches('|').split('|').map(str::trim));
    let cells = cells.filter_map(|mut row| Some((row.nth(1)?, row.next_back()?)));
    cells
        .filter_map(|(part, needs)| Some((part.strip_prefix('`')?.strip_suffix('`')?, needs)))
        .collect()
}

/// The parts of a document's table.
fn parts(text: &str) -> Vec<&str> {
    described(text).into_iter().map(|(part, _)| part).collect()
}

/// The parts that need root by a document's table.
fn privileged(text: &str) -> Vec<&str> {
    let is_root = |needs: &str| needs.split("; ").any(|need| need == "root");
    described(text).into_iter().filter(|(_, needs)| is_root(needs)).map(|(part, _)| part).collect()
}

#[test]
fn the_glossary_s_types_are_defined() {
    let mut text = String::new();
    PRODUCTS.iter().for_each(|product| sources(&root().join(product), &mut text));
    let glossary = Document::read("docs/glossary.md");
    assert_eq!(undefined(&glossary, &text), Vec::<&str>::new());
    assert!(glossary.spans.iter().filter(|(_, span)| is_type(span)).count() > 10);
}

#[test]
fn a_type_that_is_not_defined_is_found() {
    let document = Document::parse("a.md", "`WorkerState`, `Command`, `Env`, `nat`, `AND more`");
    let sources = "pub struct WorkerStates;\nenum Command {}\ntype Env = u8;";
    assert_eq!(undefined(&document, sources), ["WorkerState"]);
}

#[test]
fn the_engine_s_layers_are_there() {
    let document = Document::read("docs/design/architecture.md");
    let mut layers = layers(&document);
    layers.sort_unstable();
    assert_eq!(layers, engine());
}

#[test]
fn the_engine_s_layers_are_in_order() {
    let test = std::fs::read_to_string(root().join("dataplane/engine/tests/layers/main.rs"));
    let test = test.expect("the layer test");
    let document = Document::read("docs/design/architecture.md");
    assert_eq!(misplaced(&layers(&document), &floors(&test)), Vec::<&str>::new());
}

#[test]
fn a_layer_in_the_wrong_place_is_found() {
    let test = "const ENGINE: &Floors = &[\n    (\"top.rs\", 10),\n    (\"mid/\", 2),\n    (\"low/\", 1),\n];\n\
        const NONE: &Floors = &[];\n";
    let floors = floors(test);
    assert_eq!(misplaced(&["top.rs", "mid/", "low/"], &floors), Vec::<&str>::new());
    assert_eq!(misplaced(&["top.rs", "low/", "mid/"], &floors), ["mid/"]);
    assert_eq!(misplaced(&["mid/", "top.rs", "low/", "none/"], &floors), ["top.rs", "none/"]);
}

#[test]
fn layers_are_what_lines_begin_with() {
    let document = Document::parse("a.md", "```text\nengine.rs  a flow/\nflow/ key.rs  c\n```\n");
    assert_eq!(layers(&document), ["engine.rs", "flow/", "key.rs"]);
    assert!(!engine().contains(&"snapshot.rs".into()) && !engine().contains(&"lib.rs".into()));
}

#[test]
fn every_part_of_the_tests_is_described() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("a file");
    let (document, script) = (read("CONTRIBUTING.md"), read("scripts/test"));
    assert_eq!(parts(&document), array(&script, "parts"));
    assert_eq!(privileged(&document), array(&script, "privileged"));
}

#[test]
fn a_part_that_is_not_described_is_found() {
    let text = "| part | what | needs |\n| --- | --- | --- |\n| `lint` | a | roots |\n| `unit` | b |  |\n\
        | `netns` | c | root; QEMU |\n\n| `x` | d | root |\n";
    assert_eq!(parts(text), array("a\nparts=(lint unit netns)\n", "parts"));
    assert_ne!(parts(text), array("a\nparts=(lint unit netns fuzz)\n", "parts"));
    assert_eq!(privileged(text), ["netns"]);
}
