//! The layers of the crates, read from their source files: no import leads up, no files import each other, and a type's
//! methods stand where the type does. Test code is left out. Beside them, what must hold of the text of all code: doc comments
//! whose first sentences stand alone, and names in the field's words.

mod check;
mod mentions;
mod names;
mod prose;
mod samples;
mod tree;
mod words;

use check::{Floors, faults};
use proc_macro2::TokenStream;
use std::path::Path;

/// The floors of the engine: each may use its own and those below. `lib.rs` is the roof, which may use all.
const ENGINE: &Floors = &[
    ("engine.rs", 10),
    ("stage/", 9),
    ("state.rs", 8),
    ("state/", 8),
    ("choose/", 7),
    ("context.rs", 6),
    ("counters.rs", 6),
    ("counters/", 6),
    ("ip_family.rs", 6),
    ("mode/", 6),
    ("snapshot.rs", 5),
    ("snapshot/", 5),
    ("scheduler/", 4),
    ("flow/", 3),
    ("alg/", 2),
    ("net/", 2),
    ("types/", 1),
];

/// The floors of a crate without layers, where only circles count.
const NONE: &Floors = &[];

/// The root files of crates without layers.
const ROOTS: &[&str] = &[
    "dataplane/wire/src/lib.rs",
    "dataplane/worker/src/lib.rs",
    "dataplane/dpdk/src/lib.rs",
    "control/src/lib.rs",
    "control/bin/tidegate.rs",
    "control/bin/tidegated.rs",
    "docs/man/src/lib.rs",
    "tests/kit/src/lib.rs",
    "tests/storm/src/lib.rs",
    "tests/traces/src/lib.rs",
    "tests/bench/src/main.rs",
];

#[test]
fn the_engine_has_layers() {
    check("dataplane/engine/src/lib.rs", ENGINE);
}

#[test]
fn no_crate_has_circles() {
    ROOTS.iter().for_each(|root| check(root, NONE));
}

#[test]
fn no_fuzz_target_has_circles() {
    let targets = read("tests/fuzz/targets");
    targets.keys().for_each(|target| check(&format!("tests/fuzz/targets/{target}"), NONE));
}

#[test]
fn first_sentences_stand_alone() {
    check_text(&["dataplane", "control", "docs", "tests"], faulty_comments);
}

#[test]
fn names_are_the_field_s() {
    check_text(&["dataplane", "control", "docs", "tests"], words::faults);
}

/// The doc comments of a file whose first sentence does not stand alone, by line.
fn faulty_comments(tokens: TokenStream) -> Vec<(usize, String)> {
    let comments = prose::comments(tokens).into_iter();
    let faulty = comments.filter_map(|one| Some((prose::fault(&one.text)?, one)));
    let shown = |(fault, one): (prose::Fault, prose::Comment)| {
        let sentence = prose::first_sentence(&one.text).unwrap_or(one.text);
        (one.line, format!("{fault}: {}", sentence.trim()))
    };
    faulty.map(shown).collect()
}

/// Fails with all faults of the layers of the crate with this root file.
fn check(root: &str, floors: &Floors) {
    let (folder, file) = root.rsplit_once('/').expect("a file in a folder");
    let faults = faults(&read(folder), file, floors);
    let faults: Vec<_> = faults.iter().map(|fault| format!("{fault}\n")).collect();
    assert!(faults.is_empty(), "{root}: {} faults\n{}", faults.len(), faults.concat());
}

/// Fails with all faults that `judge` finds in the files below these folders, by line.
fn check_text(folders: &[&str], judge: impl Fn(TokenStream) -> Vec<(usize, String)>) {
    let mut faults = vec![];
    for folder in folders {
        for (file, text) in read(folder) {
            let tokens = text.parse().unwrap_or_else(|error| panic!("{folder}/{file}: {error}"));
            let found = judge(tokens).into_iter();
            faults.extend(found.map(|(line, fault)| format!("{folder}/{file}:{line}: {fault}\n")));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.concat());
}

/// The source files below a folder of the project.
fn read(folder: &str) -> tree::Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let files = tree::read(&root).expect("source files");
    assert!(!files.is_empty(), "no files in {}", root.display());
    files
}
