//! Links and paths in documents lead somewhere.

use crate::markdown::{self, Document, root};
use std::path::{Component, Path, PathBuf};

/// Folders of the repository that paths in documents begin with.
const FOLDERS: [&str; 7] =
    ["conf/", "control/", "dataplane/", "docs/", "scripts/", "tests/", ".ci/"];

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a link of the document leads to a file, and to a heading in it.
fn leads(document: &Document, link: &str) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(p, a)| (p, Some(a)));
    let folder = Path::new(&document.name).parent().unwrap_or(Path::new(""));
    let file = plain(&folder.join(path));
    let Some(anchor) = anchor else { return root().join(file).exists() };
    let has = |document: &Document| document.anchors.iter().any(|other| other == anchor);
    if path.is_empty() {
        return has(document);
    }
    let name = file.to_str().unwrap_or_default();
    root().join(name).is_file() && has(&Document::read(name))
}

/// Words of a code span or block that are paths of the repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "()\"',;".contains(c));
    let words = words.map(|word| word.trim_end_matches(['.', ':']));
    words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

/// Whether there is such a path. A `*` stands for any rest of a name.
fn is_there(path: &str) -> bool {
    let Some((before, behind)) = path.split_once('*') else { return root().join(path).exists() };
    let (folder, start) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let fits = match behind.strip_prefix('/') {
            Some(below) => entry.path().join(below).exists(),
            None => name.ends_with(behind),
        };
        fits && name.starts_with(start)
    })
}

/// A source file is named by its path from the repository's folder.
fn is_bare_source(span: &str) -> bool {
    let is_file = span.ends_with(".rs") && !span.contains(' ');
    is_file && !FOLDERS.iter().any(|folder| span.starts_with(folder))
}

fn faults(document: &Document) -> Vec<String> {
    let links = document.links.iter().filter(|(_, link)| !leads(document, link));
    let spans = document.spans.iter().map(|(line, span)| (*line, span));
    let blocks = document.blocks.iter().map(|block| (block.line, &block.text));
    let named =
        spans.clone().chain(blocks).flat_map(|(line, text)| paths(text).map(move |p| (line, p)));
    let missing = named.filter(|(_, path)| !is_there(path));
    let bare = spans.filter(|(_, span)| is_bare_source(span));
    let links = links.map(|(line, link)| format!("{}:{line}: link {link}", document.name));
    let missing = missing.map(|(line, path)| format!("{}:{line}: path {path}", document.name));
    let bare = bare.map(|(line, span)| format!("{}:{line}: file {span}", document.name));
    links.chain(missing).chain(bare).collect()
}

#[test]
fn links_and_paths_in_documents_lead_somewhere() {
    let all = markdown::all();
    let faults: Vec<_> = all.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let links: usize = all.iter().map(|document| document.links.len()).sum();
    assert!(links > 3, "{links} links");
}

/// The documents that no chain of links leads to from the README.
fn unreachable(all: &[Document]) -> Vec<&str> {
    let mut reached = vec!["README.md"];
    let mut next = 0;
    while let Some(name) = reached.get(next).copied() {
        let document = all.iter().find(|document| document.name == name);
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        for (_, link) in document.iter().flat_map(|document| &document.links) {
            let path = link.split('#').next().unwrap_or_default();
            let file = plain(&folder.join(path));
            let found = all.iter().find(|other| Path::new(&other.name) == file);
            if let Some(found) = found.filter(|found| !reached.contains(&&*found.name)) {
                reached.push(&found.name);
            }
        }
        next += 1;
    }
    let names = all.iter().map(|document| &*document.name);
    names.filter(|name| !reached.contains(name)).collect()
}

#[test]
fn the_readme_leads_to_every_document() {
    assert_eq!(unreachable(&markdown::all()), Vec::<&str>::new());
}

#[test]
fn a_document_that_nothing_leads_to_is_found() {
    let all = [
        Document::parse("README.md", "[a](docs/a.md)"),
        Document::parse("docs/a.md", "[b](x/b.md#there)"),
        Document::parse("docs/x/b.md", "[a](../a.md)"),
        Document::parse("docs/b.md", "[a](a.md)"),
    ];
    assert_eq!(unreachable(&all), ["docs/b.md"]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "# Here\n\n[a](b.md) [a](../README.md#no-such-heading) [a](#there) [a](https://example.org/x)\n\
        [a](../README.md) [a](#here) [a](../README.md#try-it)\n";
    assert_eq!(faults(&Document::parse("docs/a.md", text)).len(), 3);
}

#[test]
fn a_path_that_is_not_there_is_found() {
    let text = "`scripts/tset`, `conf/none.toml`, `wheel.rs`, `scripts/test lint`, `dataplane/*/src`, `tests/conf/*.rs`, \
        `tests/none/*`\n\n```sh\ncat conf/absent.toml\n```\n";
    assert_eq!(faults(&Document::parse("a.md", text)).len(), 5);
}
