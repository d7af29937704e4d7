//! Doc comments whose first sentence does not stand alone: rustdoc shows it without what stands around it.

use proc_macro2::{TokenStream, TokenTree};
use std::fmt;
use syn::LitStr;

/// First words that stand for a name, or for a whole sentence, instead of naming something.
const HEADS: &[&str] = &[
    "It",
    "Its",
    "They",
    "Their",
    "Theirs",
    "Them",
    "He",
    "His",
    "Him",
    "She",
    "Her",
    "Hers",
    "We",
    "Our",
    "Ours",
    "Us",
    "Who",
    "Whom",
    "Whose",
    "Whoever",
    "What",
    "Whatever",
    "Whichever",
    "That",
    "Those",
    "These",
    "The same",
    "None",
    "Whether it",
    "Where it",
    "Makes it",
];

/// Words after `This` that make it the subject.
const VERBS: &[&str] = &[
    "is", "was", "has", "had", "does", "did", "can", "may", "must", "will", "would", "should",
    "holds", "makes", "means", "tells", "takes", "gives", "keeps", "says", "needs", "returns",
];

/// Ends of no sentence.
const SHORT: &[&str] = &["e.g.", "i.e.", "vs.", "cf."];

/// A doc comment: all of its lines.
pub struct Comment {
    /// The line that it begins on.
    pub line: usize,
    /// The text as Markdown.
    pub text: String,
    is_inner: bool,
}

/// A doc comment's fault.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A pronoun or a free relative as the first word.
    Head(&'static str),
    /// A first paragraph in which no sentence ends.
    Endless,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Head(head) => write!(f, "begins with {head}"),
            Fault::Endless => write!(f, "no end of a sentence"),
        }
    }
}

/// All doc comments of a file, those within macros too.
pub fn comments(tokens: TokenStream) -> Vec<Comment> {
    let mut comments: Vec<Comment> = vec![];
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut is_open = false;
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        if let Some((line, after)) = doc(rest) {
            match comments.last_mut().filter(|last| is_open && last.is_inner == line.is_inner) {
                Some(last) => last.text += &format!("\n{}", line.text),
                None => comments.push(line),
            }
            (rest, is_open) = (after, true);
        } else {
            if let TokenTree::Group(group) = token {
                comments.extend(self::comments(group.stream()));
            }
            (rest, is_open) = (after, false);
        }
    }
    comments
}

/// The fault of a doc comment, if there is one.
pub fn fault(text: &str) -> Option<Fault> {
    let (paragraph, is_led_on) = first_paragraph(text);
    let mut words = paragraph.split_whitespace();
    let mut word =
        || words.next().unwrap_or_default().trim_matches(|letter: char| !letter.is_alphabetic());
    let (first, second) = (word(), word());
    if first == "This" && VERBS.contains(&second) {
        return Some(Fault::Head("This"));
    }
    let begins = |head: &&&str| match head.split_once(' ') {
        Some(both) => both == (first, second),
        None => first == **head,
    };
    if let Some(head) = HEADS.iter().find(begins) {
        return Some(Fault::Head(head));
    }
    let leads_on = is_led_on && paragraph.ends_with(':');
    (!leads_on && first_sentence(text).is_none()).then_some(Fault::Endless)
}

/// The first sentence; none if it has no end.
pub fn first_sentence(text: &str) -> Option<String> {
    let (paragraph, _) = first_paragraph(text);
    let words: Vec<_> = paragraph.split_whitespace().collect();
    let last = words.iter().position(|word| is_end(word))?;
    Some(words[..=last].join(" "))
}

fn is_end(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '`', '*', '_', ']']);
    bare.ends_with(['.', '!', '?', '…']) && !SHORT.contains(&bare.trim_start_matches('('))
}

/// The text up to a blank line, a list, a table, a heading or code; and whether something follows.
fn first_paragraph(text: &str) -> (String, bool) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_block = |line: &&str| {
        line.is_empty() || ["- ", "* ", "```", "|", "#"].iter().any(|mark| line.starts_with(mark))
    };
    let end = lines.iter().position(is_block).unwrap_or(lines.len());
    (lines[..end].join(" "), end < lines.len())
}

/// One line of a doc comment that tokens begin with, and the tokens after it.
fn doc(tokens: &[TokenTree]) -> Option<(Comment, &[TokenTree])> {
    let (is_inner, rest) = match tokens {
        [TokenTree::Punct(hash), TokenTree::Punct(inner), rest @ ..]
            if hash.as_char() == '#' && inner.as_char() == '!' =>
        {
            (true, rest)
        }
        [TokenTree::Punct(hash), rest @ ..] if hash.as_char() == '#' => (false, rest),
        _ => return None,
    };
    let (TokenTree::Group(group), rest) = rest.split_first()? else { return None };
    let inside: Vec<_> = group.stream().into_iter().collect();
    let [TokenTree::Ident(name), TokenTree::Punct(_), literal @ TokenTree::Literal(_)] =
        inside.as_slice()
    else {
        return None;
    };
    let text = syn::parse2::<LitStr>(literal.clone().into()).ok().filter(|_| name == "doc")?;
    let line = group.span_open().start().line;
    Some((Comment { line, text: text.value(), is_inner }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(source: &str) -> Vec<(usize, Fault)> {
        let tokens = source.parse().expect("Rust");
        let judged = |comment: Comment| Some((comment.line, fault(&comment.text)?));
        comments(tokens).into_iter().filter_map(judged).collect()
    }

    #[test]
    fn sentences_that_stand_alone_pass() {
        for good in [
            "/// The backend's weight.\nstruct S;",
            "//! Packets, and where\n//! they go.\n/// Item. It is small.\nstruct S;",
            "/// This module parses headers.\nstruct S;",
            "/// Whether the flow is idle.\nstruct S;",
            "/// The time; `None`: no limit.\nstruct S;",
            "/// Fields of a header:\n///\n/// - one\nstruct S;",
            "/// Why (RFC 959 §4.2)?\n///\n/// That is why\nstruct S;",
            "/// A list. \n/// # Errors\n///\n/// It is full\nstruct S;",
            "// It is no doc comment\nstruct S;",
            "/// Itself, or Thoseby.\nstruct S;",
        ] {
            assert_eq!(faults(good), [], "{good}");
        }
    }

    #[test]
    fn heads_that_name_nothing_are_found() {
        for head in HEADS {
            let (source, found) =
                (format!("\n/// {head} of a host.\nstruct S;"), Fault::Head(head));
            assert_eq!(faults(&source), [(2, found)]);
        }
        for bad in ["This is it.", "This means more than that."] {
            assert_eq!(faults(&format!("/// {bad}\nstruct S;")), [(1, Fault::Head("This"))]);
        }
        assert_eq!(faults("/// `None`: no host.\nstruct S;"), [(1, Fault::Head("None"))]);
    }

    #[test]
    fn no_place_hides_a_doc_comment() {
        for place in [
            "//! Its file.",
            "/// A list.\nmod m {\n//! Its module.\n}",
            "struct S {\n/// Its field.\nfield: u8 }",
            "enum E {\n/// Its variant.\nV }",
            "impl S {\n/// Its method.\nfn f() {} }",
            "counters! {\n/// Its counter.\ncount }",
            "#[derive(Debug)]\n/// Its struct.\nstruct S;",
            "/// A word.\nstruct S;\n/// Its neighbour.\nstruct T;",
            "/** Its block. */\nstruct S;",
            "#[doc = \"Its attribute.\"]\nstruct S;",
        ] {
            let found: Vec<_> = faults(place).into_iter().map(|(_, fault)| fault).collect();
            assert_eq!(found, [Fault::Head("Its")], "{place}");
        }
    }

    #[test]
    fn sentences_without_an_end_are_found() {
        for bad in
            ["A list of hosts", "A list (e.g. hosts)", "Hosts,\n///\n/// and more.", "Hosts:"]
        {
            assert_eq!(faults(&format!("/// {bad}\nstruct S;")), [(1, Fault::Endless)], "{bad}");
        }
    }

    #[test]
    fn the_first_sentence_is_shown() {
        let text = " Hosts\n on a link. More.";
        assert_eq!(first_sentence(text).as_deref(), Some("Hosts on a link."));
    }
}
