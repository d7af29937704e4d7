//! Faults of a crate's layers: imports that lead up, circles of files, and methods far above their type.

use crate::mentions::{Mention, Mentions};
use crate::names::{Import, Names, Target};
use crate::tree::{Files, Module, modules};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// The floors of a crate: folders (`state/`) and files (`engine.rs`) with their numbers. A crate without layers has none.
pub type Floors = [(&'static str, u8)];

/// The first mention of one file in another.
#[derive(Clone)]
pub struct Edge {
    line: usize,
    path: String,
}

/// Edges by the files that they lead from and to.
pub type Edges = BTreeMap<(String, String), Edge>;

/// A fault of a crate's layers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A file without a row in the table.
    Unknown { file: String },
    /// A row of the table without a file.
    Idle { row: &'static str },
    /// A path within the crate that does not resolve: the check would be blind to it.
    Lost { place: String, path: String },
    /// An import from a higher floor.
    Upward { place: String, floor: u8, path: String, to: String, above: u8 },
    /// Methods on another floor than their type.
    Impl { place: String, floor: u8, of: String, home: String, other: u8 },
    /// Files that import each other, in order, each with the place of the import.
    Circle { places: Vec<String> },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unknown { file } => write!(f, "{file}: on no floor: add it to the table"),
            Fault::Idle { row } => write!(f, "{row}: a row of the table, but no file"),
            Fault::Lost { place, path } => write!(f, "{place}: {path} leads nowhere"),
            Fault::Upward { place, floor, path, to, above } => {
                write!(f, "{place}: floor {floor} imports {path} of {to}, floor {above}")
            }
            Fault::Impl { place, floor, of, home, other } => {
                write!(f, "{place}: floor {floor} has an impl of {of} of {home}, floor {other}")
            }
            Fault::Circle { places } => write!(f, "circle: {}", places.join(", ")),
        }
    }
}

/// All faults of the crate with this root file.
pub fn faults(files: &Files, root: &str, floors: &Floors) -> Vec<Fault> {
    let mut study = Study::new(files, root);
    study.find_edges();
    study.check_floors(floors);
    let mut faults = study.faults;
    faults.extend(circles(&study.edges));
    faults.sort();
    faults
}

struct Study {
    modules: Vec<Module>,
    mentions: Vec<Mentions>,
    names: Names,
    edges: Edges,
    faults: Vec<Fault>,
}

impl Study {
    fn new(files: &Files, root: &str) -> Study {
        let modules = modules(files, root);
        let mentions: Vec<_> = modules.iter().map(Mentions::of).collect();
        let imports: Vec<&[Import]> = mentions.iter().map(|of| of.imports.as_slice()).collect();
        let names = Names::new(&modules, &imports);
        Study { modules, mentions, names, edges: Edges::new(), faults: vec![] }
    }

    fn find_edges(&mut self) {
        for module in 0..self.modules.len() {
            for import in std::mem::take(&mut self.mentions[module].imports) {
                self.connect(module, &import.path, import.line, import.is_reexport);
            }
            for Mention { path, line } in std::mem::take(&mut self.mentions[module].paths) {
                self.connect(module, &path, line, false);
            }
        }
    }

    /// Notes the files that a path leads to. A parent that re-exports its child does not import it.
    fn connect(&mut self, module: usize, path: &[String], line: usize, is_reexport: bool) {
        let targets = self.names.resolve(module, path);
        let from = &self.modules[module];
        let is_ours = ["crate", "super", "self"].contains(&path[0].as_str());
        if targets.is_empty() && is_ours {
            let place = format!("{}:{line}", from.file);
            self.faults.push(Fault::Lost { place, path: path.join("::") });
        }
        for target in targets {
            let Target::Item(at) = target else { continue };
            let to = &self.modules[at];
            let is_child = to.path.starts_with(&from.path);
            if to.file != from.file && !(is_reexport && is_child) {
                let edge = Edge { line, path: path.join("::") };
                self.edges.entry((from.file.clone(), to.file.clone())).or_insert(edge);
            }
        }
    }

    /// The root is the roof: it may use and re-export everything.
    fn check_floors(&mut self, floors: &Floors) {
        if floors.is_empty() {
            return;
        }
        let files: BTreeSet<_> = self.modules.iter().map(|module| module.file.clone()).collect();
        let unknown =
            files.iter().filter(|file| *file != "lib.rs" && floor(floors, file).is_none());
        self.faults.extend(unknown.map(|file| Fault::Unknown { file: file.clone() }));
        let idle = floors.iter().filter(|(row, _)| !files.iter().any(|file| is_under(file, row)));
        self.faults.extend(idle.map(|(row, _)| Fault::Idle { row }));
        for ((from, to), edge) in &self.edges {
            let (Some(floor), Some(above)) = (floor(floors, from), floor(floors, to)) else {
                continue;
            };
            if above > floor {
                let (place, path, to) =
                    (format!("{from}:{}", edge.line), edge.path.clone(), to.clone());
                self.faults.push(Fault::Upward { place, floor, path, to, above });
            }
        }
        self.check_impls(floors);
    }

    fn check_impls(&mut self, floors: &Floors) {
        for (at, module) in self.modules.iter().enumerate() {
            for Mention { path, line } in &self.mentions[at].impls {
                for target in self.names.resolve(at, path) {
                    let Target::Item(home) = target else { continue };
                    let home = &self.modules[home].file;
                    let both = (floor(floors, &module.file), floor(floors, home));
                    let (Some(floor), Some(other)) = both else { continue };
                    if floor != other {
                        let place = format!("{}:{line}", module.file);
                        let (of, home) = (path.join("::"), home.clone());
                        self.faults.push(Fault::Impl { place, floor, of, home, other });
                    }
                }
            }
        }
    }
}

/// The number of the longest row that a file falls under.
fn floor(floors: &Floors, file: &str) -> Option<u8> {
    let rows = floors.iter().filter(|(row, _)| is_under(file, row));
    rows.max_by_key(|(row, _)| row.len()).map(|(_, floor)| *floor)
}

/// A folder's row covers `folder.rs` too, the other form of `folder/mod.rs`.
fn is_under(file: &str, row: &str) -> bool {
    let folder = row.strip_suffix('/');
    file == row
        || folder
            .is_some_and(|name| file.starts_with(row) || file.strip_suffix(".rs") == Some(name))
}

/// The shortest circle through each file that is in one, each circle once.
fn circles(edges: &Edges) -> BTreeSet<Fault> {
    let files: BTreeSet<&String> = edges.keys().map(|(from, _)| from).collect();
    files.into_iter().filter_map(|file| circle(edges, file)).collect()
}

/// Searches in breadth for the way from a file back to itself.
fn circle(edges: &Edges, start: &String) -> Option<Fault> {
    let mut before: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for (_, to) in edges.keys().filter(|(from, _)| from == file) {
            if to == start {
                return Some(Fault::Circle { places: places(edges, &before, file, start) });
            }
            if !before.contains_key(to) {
                before.insert(to, file);
                queue.push_back(to);
            }
        }
    }
    None
}

/// The circle's files from the alphabetically first one on, so that it looks alike from each.
fn places(
    edges: &Edges,
    before: &BTreeMap<&String, &String>,
    last: &String,
    start: &String,
) -> Vec<String> {
    let mut files = vec![last];
    while files[files.len() - 1] != start {
        files.push(before[files[files.len() - 1]]);
    }
    files.reverse();
    let first = files.iter().enumerate().min_by_key(|(_, file)| **file).map_or(0, |(at, _)| at);
    files.rotate_left(first);
    let next = files.iter().cycle().skip(1);
    let place = |(from, to): (&&String, &&String)| {
        let edge = &edges[&((*from).clone(), (*to).clone())];
        format!("{from}:{} imports {} of {to}", edge.line, edge.path)
    };
    files.iter().zip(next).map(place).collect()
}
