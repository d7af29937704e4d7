//! The repository's documents, taken apart: code blocks, code spans, links and headings, each with its line.

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};
use std::path::{Path, PathBuf};

/// The repository's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A code block: fenced with an info string, or indented without one.
#[derive(Debug, PartialEq)]
pub struct Block {
    pub line: usize,
    /// The words after the fence; none for an indented block.
    pub info: Option<String>,
    pub text: String,
    /// The text of the paragraph before the block.
    pub lead: String,
}

/// A document by its path from the repository's folder.
#[derive(Debug, Default)]
pub struct Document {
    pub name: String,
    pub blocks: Vec<Block>,
    /// Code spans, with their lines.
    pub spans: Vec<(usize, String)>,
    /// Destinations of links and images, with their lines.
    pub links: Vec<(usize, String)>,
    /// The anchors of headings, as GitHub makes them.
    pub anchors: Vec<String>,
}

impl Document {
    /// Reads a document of the repository.
    pub fn read(name: &str) -> Document {
        let text = std::fs::read_to_string(root().join(name)).expect("a document");
        Document::parse(name, &text)
    }

    /// Takes a text apart.
    pub fn parse(name: &str, text: &str) -> Document {
        let mut document = Document { name: name.into(), ..Document::default() };
        let line = |offset: usize| text[..offset].matches('\n').count() + 1;
        let (mut block, mut heading) = (None::<Block>, None::<String>);
        let mut paragraph = String::new();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = line(range.start);
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => Some(info.to_string()),
                        CodeBlockKind::Indented => None,
                    };
                    let lead = std::mem::take(&mut paragraph);
                    block = Some(Block { line, info, text: String::new(), lead });
                }
                Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    document.anchors.extend(heading.take().as_deref().map(anchor));
                }
                Event::Start(Tag::Paragraph | Tag::Item) => paragraph.clear(),
                Event::Start(
                    Tag::Link { dest_url, link_type, .. } | Tag::Image { dest_url, link_type, .. },
                ) if link_type != LinkType::Email => {
                    document.links.push((line, dest_url.to_string()));
                }
                Event::Text(text) => {
                    if let Some(block) = &mut block {
                        block.text += &text;
                    }
                    heading.iter_mut().for_each(|heading| *heading += &text);
                    paragraph += &text;
                }
                Event::Code(text) => {
                    heading.iter_mut().for_each(|heading| *heading += &text);
                    document.spans.push((line, text.to_string()));
                }
                Event::SoftBreak => paragraph.push(' '),
                _ => {}
            }
        }
        document
    }
}

/// The anchor of a heading: small letters, digits, `-` and `_`; blanks become hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Every document of the repository.
pub fn all() -> Vec<Document> {
    let mut names = vec![];
    collect(root(), &mut names);
    names.sort();
    names.iter().map(|name| Document::read(name)).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, names);
            }
        } else if path.extension().is_some_and(|ending| ending == "md") {
            names.push(relative(&path));
        }
    }
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root()).expect("in the repository").into();
    path.to_str().expect("a name").into()
}

#[test]
fn a_document_is_taken_apart() {
    let text = "# What is `here`?\n\nSee [this](a.md#b), an example:\n\n```sh x\nscripts/a\n```\n\n    old\n";
    let document = Document::parse("a.md", text);
    assert_eq!(document.anchors, ["what-is-here"]);
    assert_eq!(document.links, [(3, "a.md#b".into())]);
    assert_eq!(document.spans, [(1, "here".into())]);
    let [fenced, indented] = &document.blocks[..] else { panic!("{:?}", document.blocks) };
    assert_eq!((fenced.line, fenced.info.as_deref()), (5, Some("sh x")));
    assert_eq!((&*fenced.text, &*fenced.lead), ("scripts/a\n", "See this, an example:"));
    assert_eq!((indented.line, indented.info.as_deref()), (9, None));
}

#[test]
fn all_documents_are_found() {
    let names: Vec<_> = all().into_iter().map(|document| document.name).collect();
    for name in ["README.md", "CONTRIBUTING.md", "docs/interop.md", "scripts/pktgen/README.md"] {
        assert!(names.iter().any(|other| other == name), "{name} of {names:?}");
    }
}
