//! A crate's product modules, parsed: `mod` items are followed from its root file, test code is left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};
use syn::{Attribute, Item, ItemMod};

/// A crate's source files by their paths below `src`.
pub type Files = BTreeMap<String, String>;

/// One module: a file, or a part of one in braces.
pub struct Module {
    /// Names from the crate's root down; none for the root.
    pub path: Vec<String>,
    /// The file below `src` that holds the module.
    pub file: String,
    /// Items of the module.
    pub items: Vec<Item>,
}

/// Reads all Rust files below a folder.
pub fn read(root: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below the root").display().to_string();
                files.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
}

/// Parses the modules that a build without tests consists of. The root file comes first, a parent before its children.
pub fn modules(files: &Files, root: &str) -> Vec<Module> {
    let mut modules = vec![];
    follow(files, Module { path: vec![], file: root.into(), items: vec![] }, &mut modules);
    modules
}

/// Whether an item is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list().ok().filter(|list| list.path.is_ident("cfg"));
        list.is_some_and(|list| list.tokens.to_string() == "test")
    })
}

/// The attributes of an item that can be left out of a build.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Parses a module's file, and goes on with its children.
fn follow(files: &Files, mut module: Module, modules: &mut Vec<Module>) {
    let text = files.get(&module.file).unwrap_or_else(|| panic!("no file {}", module.file));
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", module.file));
    module.items = parsed.items;
    add(files, module, modules);
}

fn add(files: &Files, mut module: Module, modules: &mut Vec<Module>) {
    module.items.retain(|item| !is_test(attributes(item)));
    let (path, file) = (module.path.clone(), module.file.clone());
    let children: Vec<ItemMod> = module.items.iter().filter_map(child).cloned().collect();
    modules.push(module);
    for child in children {
        let path = [path.clone(), vec![child.ident.to_string()]].concat();
        match child.content {
            Some((_, items)) => add(files, Module { path, file: file.clone(), items }, modules),
            None => {
                let file = file_of(files, &path);
                follow(files, Module { path, file, items: vec![] }, modules);
            }
        }
    }
}

fn child(item: &Item) -> Option<&ItemMod> {
    let Item::Mod(item) = item else { return None };
    let moved = item.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
    assert!(
        !moved,
        "a module with a #[path], which the layer test does not follow: {}",
        item.ident
    );
    Some(item)
}

fn file_of(files: &Files, path: &[String]) -> String {
    let stem = path.join("/");
    let folder = format!("{stem}/mod.rs");
    if files.contains_key(&folder) { folder } else { format!("{stem}.rs") }
}
