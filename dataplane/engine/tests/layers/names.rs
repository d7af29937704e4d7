//! Resolution of paths: the first name is looked up in a module, the others in its target, through imports, re-exports
//! and globs.

use crate::tree::Module;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{HashMap, HashSet};
use syn::{Item, ItemUse, UseTree, Visibility};

/// The target of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An item, a variant or an associated item: the module that defines it.
    Item(usize),
    /// A module itself.
    Module(usize),
}

/// One name, or all names, that a `use` brings into a module.
pub struct Import {
    /// The path as written, from the module it stands in.
    pub path: Vec<String>,
    /// The name that the module knows it by; none for a glob.
    pub name: Option<String>,
    /// Whether other modules see it.
    pub is_reexport: bool,
    /// The line of the last name.
    pub line: usize,
}

/// The names of all modules of a crate.
pub struct Names {
    paths: HashMap<Vec<String>, usize>,
    parents: Vec<usize>,
    scopes: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    names: HashMap<String, Vec<Binding>>,
    globs: Vec<Vec<String>>,
    /// Words in calls of macros, which may define items by them.
    words: HashSet<String>,
}

enum Binding {
    Item,
    Module(usize),
    Import(Vec<String>),
}

impl Names {
    /// Collects the names of the modules; `imports` tells those of each, in the same order.
    pub fn new(modules: &[Module], imports: &[&[Import]]) -> Names {
        let paths: HashMap<_, _> =
            modules.iter().enumerate().map(|(at, module)| (module.path.clone(), at)).collect();
        let parent = |module: &Module| match module.path.split_last() {
            Some((_, above)) => paths[above],
            None => 0,
        };
        let parents = modules.iter().map(parent).collect();
        let mut names = Names { paths, parents, scopes: vec![] };
        for (module, imports) in modules.iter().zip(imports) {
            let mut scope = Scope::default();
            module.items.iter().for_each(|item| names.define(&mut scope, module, item));
            imports.iter().for_each(|import| scope.import(import));
            names.scopes.push(scope);
        }
        names
    }

    /// Resolves a path as it stands in a module. Several targets mean that a name is both a module and an item; none, that the path leads
    /// out of the crate or to a local name.
    pub fn resolve(&self, module: usize, path: &[String]) -> Vec<Target> {
        self.resolve_within(module, path, 16)
    }

    /// The depth bounds imports that lead to each other.
    fn resolve_within(&self, module: usize, path: &[String], depth: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else { return vec![Target::Module(module)] };
        if depth == 0 {
            return vec![];
        }
        let start = match first.as_str() {
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(module)],
            "super" => vec![Target::Module(self.parents[module])],
            name => self.look_up(module, name, depth),
        };
        rest.iter().fold(start, |targets, name| {
            targets.iter().flat_map(|target| self.step(*target, name, depth)).collect()
        })
    }

    fn step(&self, target: Target, name: &str, depth: usize) -> Vec<Target> {
        match target {
            Target::Item(_) => vec![target],
            Target::Module(module) if name == "super" => vec![Target::Module(self.parents[module])],
            Target::Module(module) if name == "self" => vec![Target::Module(module)],
            Target::Module(module) => self.look_up(module, name, depth),
        }
    }

    /// A name of a module's own first, then one by a glob, then one by a macro.
    fn look_up(&self, module: usize, name: &str, depth: usize) -> Vec<Target> {
        let scope = &self.scopes[module];
        if let Some(bindings) = scope.names.get(name) {
            return bindings.iter().flat_map(|to| self.bound(module, to, depth)).collect();
        }
        for glob in &scope.globs {
            for target in self.resolve_within(module, glob, depth - 1) {
                let Target::Module(from) = target else { continue };
                let found = self.look_up_glob(from, module, name, depth);
                if !found.is_empty() {
                    return found;
                }
            }
        }
        if scope.words.contains(name) { vec![Target::Item(module)] } else { vec![] }
    }

    fn look_up_glob(&self, from: usize, to: usize, name: &str, depth: usize) -> Vec<Target> {
        if from == to || depth <= 1 { vec![] } else { self.look_up(from, name, depth - 1) }
    }

    fn bound(&self, module: usize, binding: &Binding, depth: usize) -> Vec<Target> {
        match binding {
            Binding::Item => vec![Target::Item(module)],
            Binding::Module(module) => vec![Target::Module(*module)],
            Binding::Import(path) => self.resolve_within(module, path, depth - 1),
        }
    }

    fn define(&self, scope: &mut Scope, module: &Module, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Mod(item) => {
                let path = [module.path.clone(), vec![item.ident.to_string()]].concat();
                return scope.bind(item.ident.to_string(), Binding::Module(self.paths[&path]));
            }
            Item::Macro(item) => {
                words(item.mac.tokens.clone(), &mut scope.words);
                return;
            }
            _ => return,
        };
        scope.bind(name.to_string(), Binding::Item);
    }
}

impl Scope {
    fn bind(&mut self, name: String, binding: Binding) {
        self.names.entry(name).or_default().push(binding);
    }

    fn import(&mut self, import: &Import) {
        match &import.name {
            Some(name) if import.path != [name.clone()] => {
                self.bind(name.clone(), Binding::Import(import.path.clone()));
            }
            Some(_) => {}
            None => self.globs.push(import.path.clone()),
        }
    }
}

/// Takes a `use` apart into its single imports.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    let mut imports = vec![];
    let is_reexport = !matches!(item.vis, Visibility::Inherited);
    if item.leading_colon.is_none() {
        branches(&item.tree, &[], is_reexport, &mut imports);
    }
    imports
}

fn branches(tree: &UseTree, above: &[String], is_reexport: bool, imports: &mut Vec<Import>) {
    let below = |name: &str| match name {
        "self" if !above.is_empty() => above.to_vec(),
        name => [above, &[name.to_string()]].concat(),
    };
    let mut add = |path: Vec<String>, name: Option<String>, line| {
        imports.push(Import { path, name, is_reexport, line });
    };
    match tree {
        UseTree::Path(tree) => {
            branches(&tree.tree, &below(&tree.ident.to_string()), is_reexport, imports);
        }
        UseTree::Name(tree) => {
            let path = below(&tree.ident.to_string());
            let name = path.last().cloned();
            add(path, name, tree.ident.span().start().line);
        }
        UseTree::Rename(tree) => {
            let line = tree.rename.span().start().line;
            add(below(&tree.ident.to_string()), Some(tree.rename.to_string()), line);
        }
        UseTree::Glob(tree) => add(above.to_vec(), None, tree.star_token.span.start().line),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| branches(tree, above, is_reexport, imports));
        }
    }
}

fn words(tokens: TokenStream, found: &mut HashSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => drop(found.insert(name.to_string())),
            TokenTree::Group(group) => words(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
