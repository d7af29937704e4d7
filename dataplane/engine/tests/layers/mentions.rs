//! Every path that a module's code mentions: in imports, types, expressions, patterns and calls of macros.

use crate::names::{Import, imports};
use crate::tree::{Module, attributes, is_test};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::HashSet;
use syn::visit::{self, Visit};
use syn::{Block, ImplItem, Item, ItemImpl, ItemUse, Macro, PatIdent, Path, Type};

/// A path in a module's code.
pub struct Mention {
    /// The names of the path as written.
    pub path: Vec<String>,
    /// The line of the first name.
    pub line: usize,
}

/// A module's code, as far as layers are concerned.
#[derive(Default)]
pub struct Mentions {
    /// Paths in code.
    pub paths: Vec<Mention>,
    /// Imports, those within functions too.
    pub imports: Vec<Import>,
    /// Types that inherent `impl`s are for.
    pub impls: Vec<Mention>,
    /// Names that the function at hand binds, which hide a module's.
    locals: HashSet<String>,
}

impl Mentions {
    /// Collects what a module mentions; its child modules are modules of their own.
    pub fn of(module: &Module) -> Mentions {
        let mut mentions = Mentions::default();
        module.items.iter().for_each(|item| mentions.visit_item(item));
        mentions
    }

    fn mention(&mut self, path: Vec<String>, line: usize) {
        let is_local = matches!(path.as_slice(), [name] if self.locals.contains(name));
        if !is_local {
            self.paths.push(Mention { path, line });
        }
    }

    /// Paths in a macro's arguments: `A::b`, and single names that are types, constants or called.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) if !is_punct(tokens.get(at.wrapping_sub(1)), '.') => {
                    let path = path_at(&tokens[at..]);
                    at += 3 * (path.len() - 1);
                    if path.len() > 1 || is_capital(&path[0]) || is_call(tokens.get(at + 1)) {
                        self.mention(path, first.span().start().line);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) && !matches!(item, Item::Mod(_)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test = match item {
            ImplItem::Fn(item) => is_test(&item.attrs),
            ImplItem::Const(item) => is_test(&item.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports.extend(imports(item));
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            self.impls.push(mention_of(&of.path));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let mut bound = Locals::default();
        bound.visit_signature(signature);
        self.locals = bound.0;
        visit::visit_signature(self, signature);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let mut bound = Locals(self.locals.clone());
        bound.visit_block(block);
        let outside = std::mem::replace(&mut self.locals, bound.0);
        visit::visit_block(self, block);
        self.locals = outside;
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = pattern.ident.to_string();
        if is_capital(&name) {
            self.mention(vec![name], pattern.ident.span().start().line);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let Mention { path, line } = mention_of(path);
            self.mention(path, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

/// Names that patterns bind.
#[derive(Default)]
struct Locals(HashSet<String>);

impl<'ast> Visit<'ast> for Locals {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = pattern.ident.to_string();
        if !is_capital(&name) {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}

fn mention_of(path: &Path) -> Mention {
    let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
    Mention { path: path.segments.iter().map(|name| name.ident.to_string()).collect(), line }
}

/// The names of the path that tokens begin with.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let TokenTree::Ident(first) = &tokens[0] else { return vec![] };
    let mut path = vec![first.to_string()];
    let mut rest = &tokens[1..];
    while let [a, b, TokenTree::Ident(next), more @ ..] = rest {
        if !is_punct(Some(a), ':') || !is_punct(Some(b), ':') {
            break;
        }
        path.push(next.to_string());
        rest = more;
    }
    path
}

fn is_punct(token: Option<&TokenTree>, which: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == which)
}

fn is_call(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

fn is_capital(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_uppercase())
}
