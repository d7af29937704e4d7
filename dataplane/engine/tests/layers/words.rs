//! Names that an engineer of the field does not know.

use proc_macro2::{TokenStream, TokenTree};

/// Retired names that are ordinary words within a longer name, such as `own_address`.
const NAMES: &[&str] = &["own", "here", "apart"];

/// Retired words, which must not come back in any part of a name. Words with `_` between them must follow each other.
const WORDS: &[&str] = &[
    "bond",
    "bonds",
    "both_versions",
    "conduct",
    "desk",
    "desks",
    "detour",
    "detours",
    "disown",
    "duties",
    "duty",
    "estate",
    "faces",
    "house",
    "lasting",
    "ledger",
    "misfit",
    "orphan",
    "orphans",
    "parcel",
    "parcels",
    "rota",
    "rotas",
    "routine",
    "sought",
    "speech",
    "standing",
    "standings",
    "story",
    "trouble",
    "troubles",
    "version_of_ip",
    "versions_of_ip",
    "wish",
];

/// Names with retired words in a file, with their lines.
pub fn faults(tokens: TokenStream) -> Vec<(usize, String)> {
    let mut found = vec![];
    for token in tokens {
        match token {
            TokenTree::Group(group) => found.extend(faults(group.stream())),
            TokenTree::Ident(name) => {
                let line = name.span().start().line;
                let name = name.to_string();
                if is_retired(name.trim_start_matches("r#")) {
                    found.push((line, name));
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

fn is_retired(name: &str) -> bool {
    let parts = parts(name);
    let has = |word: &&str| {
        let word: Vec<_> = word.split('_').collect();
        parts.windows(word.len()).any(|window| window == word)
    };
    matches!(&*parts, [name] if NAMES.contains(&&**name)) || WORDS.iter().any(has)
}

/// The words of a name in snake case or camel case, in small letters.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![];
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && !before.is_uppercase() || before == '_' {
            parts.push(String::new());
        }
        if letter != '_' {
            parts.last_mut().expect("a part").extend(letter.to_lowercase());
        }
        before = letter;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<(usize, String)> {
        faults(source.parse().expect("Rust"))
    }

    #[test]
    fn other_names_comments_and_strings_pass() {
        let good = "/// An own bond, here.\n// rota\n\
            let owner = (\"own\", 'o', here_and_there, OwnAddress, rotate, BONDED, a_version, versions_ofip);";
        assert_eq!(words(good), []);
    }

    #[test]
    fn every_word_is_found_anywhere() {
        for word in NAMES.iter().chain(WORDS) {
            let found = |name: &str, line| vec![(line, name.to_owned())];
            assert_eq!(words(&format!("\nmod {word};")), found(word, 2));
            assert_eq!(words(&format!("fn f(a: &'{word} u8) {{\n}}")), found(word, 1));
            assert_eq!(words(&format!("x.a\n.{word}()")), found(word, 2));
            assert_eq!(words(&format!("matches!(a,\n b::{word})")), found(word, 2));
            for name in [camel(word), word.to_uppercase()] {
                assert_eq!(words(&format!("struct {name};")), found(&name, 1));
            }
        }
    }

    #[test]
    fn every_word_is_found_within_a_name() {
        for word in WORDS {
            for name in
                [format!("a_{word}_b"), format!("The{}Table", camel(word)), format!("_{word}")]
            {
                assert_eq!(words(&format!("fn {name}() {{}}")), [(1, name.clone())]);
            }
        }
    }

    /// A word in camel case.
    fn camel(word: &str) -> String {
        word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
    }
}
