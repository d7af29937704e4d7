//! The documents' form, by which the other tests find what is shown in them.

use crate::markdown::{self, Block, Document, root};

/// The README says what a newcomer needs, and leads to the rest.
const README_LINES: usize = 120;

/// The kinds of code blocks.
const KINDS: [&str; 5] = ["toml", "sh", "console", "text", "ini"];

/// Whether a line of a figure or listing is a command or a section that would have to be checked.
fn is_shown(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("$ ");
    ["tidegate ", "tidegated ", "scripts/", "cargo ", "[["]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Judges a block's form.
fn fault(block: &Block) -> Option<&'static str> {
    let Some(info) = &block.info else { return Some("is indented: fence it and say what it is") };
    let kind = info.split(' ').next().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Some("is none of toml, sh, console, text and ini");
    }
    if kind == "text" && block.text.lines().any(is_shown) {
        return Some("shows commands or sections as text");
    }
    let has_output = block.text.lines().any(|line| !line.starts_with("$ "));
    if kind == "console" && has_output && !block.lead.to_lowercase().contains("example") {
        return Some("shows output, and nothing before it says that it is an example");
    }
    None
}

fn faults(document: &Document) -> Vec<String> {
    let faults = document.blocks.iter().filter_map(|block| Some((block.line, fault(block)?)));
    faults.map(|(line, fault)| format!("{}:{line}: the block {fault}", document.name)).collect()
}

fn is_short(readme: &str) -> bool {
    readme.lines().count() <= README_LINES
}

#[test]
fn blocks_say_what_they_are() {
    let faults: Vec<_> = markdown::all().iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a decision says context, decision and consequences, under its number.
fn is_decision(document: &Document) -> bool {
    let number = document.name.rsplit('/').next().and_then(|name| name.split('-').next());
    let [title, sections @ ..] = &document.anchors[..] else { return false };
    number.is_some_and(|number| title.starts_with(&format!("{number}-")))
        && sections == ["context", "decision", "consequences"]
}

#[test]
fn decisions_have_their_sections() {
    let all = markdown::all();
    let decisions =
        all.iter().filter(|document| document.name.starts_with("docs/design/decisions/0"));
    let (whole, broken): (Vec<_>, Vec<_>) = decisions.partition(|decision| is_decision(decision));
    let broken: Vec<_> = broken.iter().map(|decision| &decision.name).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert!(whole.len() > 20, "{} decisions", whole.len());
}

#[test]
fn a_decision_without_its_sections_is_found() {
    let text = "# 0001 Owners\n\n## Context\n\n## Decision\n\n## Consequences\n";
    assert!(is_decision(&Document::parse("docs/0001-owners.md", text)));
    assert!(!is_decision(&Document::parse("docs/0002-owners.md", text)));
    assert!(!is_decision(&Document::parse("docs/0001-owners.md", &text.replace("Context", "Why"))));
}

/// Whether a decision says where it is in the source.
fn has_place(decision: &str) -> bool {
    decision.lines().any(|line| line.starts_with("Where: `") && line.contains(".rs`"))
}

#[test]
fn decisions_name_source_files() {
    let all = markdown::all();
    let names = all.iter().map(|document| &document.name);
    let decisions = names.filter(|name| name.starts_with("docs/design/decisions/0"));
    let text = |name: &&String| std::fs::read_to_string(root().join(name)).expect("a decision");
    let placeless: Vec<_> = decisions.filter(|name| !has_place(&text(name))).collect();
    assert!(placeless.is_empty(), "{placeless:?}");
}

#[test]
fn a_decision_without_source_files_is_found() {
    assert!(has_place("Owners.\n\nWhere: `control/src/snapshot.rs`, `control/src`.\n"));
    for text in
        ["`control/src/snapshot.rs`\n", "Where: in the source.\n", "Where: `control/src`.\n"]
    {
        assert!(!has_place(text), "{text}");
    }
}

#[test]
fn the_readme_is_short() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    assert!(is_short(&readme), "{} lines", readme.lines().count());
}

#[test]
fn a_long_readme_is_found() {
    assert!(is_short(&"line\n".repeat(README_LINES)));
    assert!(!is_short(&"line\n".repeat(README_LINES + 1)));
}

#[test]
fn a_block_of_no_kind_is_found() {
    let wrong = [
        "Text\n\n    indented\n",
        "```\nnothing said\n```\n",
        "```bash\nls\n```\n",
        "```text\ntidegate status\n```\n",
        "```text\n[[service]]\n```\n",
        "Said:\n\n```console\n$ tidegate reload\nreloaded\n```\n",
    ];
    for text in wrong {
        assert_eq!(faults(&Document::parse("a.md", text)).len(), 1, "{text}");
    }
    let right = [
        "```text\na figure\n```\n",
        "```console\n$ tidegate status\n```\n",
        "For example:\n\n```console\n$ tidegate reload\nreloaded\n```\n",
        "```toml fragment service\nport = 69\n```\n",
    ];
    for text in right {
        assert_eq!(faults(&Document::parse("a.md", text)), Vec::<String>::new(), "{text}");
    }
}
