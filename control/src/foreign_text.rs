//! Text of clients and servers, made fit for a terminal, a page and a line of a log.

/// Text with its acting characters escaped, as in `\\u{202e}`.
pub fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if acts(c) || c == '\\' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text with acting characters, bytes that are no UTF-8, and `%` itself percent-encoded.
pub fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if acts(c) || c == '%' {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8).bytes().for_each(|byte| push(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&byte| push(&mut text, byte));
    }
    text
}

/// Characters that are letters or symbols by Unicode's classes, and blank: fillers of Hangul, and Braille without dots. Terminals
/// do not agree on their width, either.
const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Whether a character does something beside being seen: it controls a terminal, turns or hides others, is not seen at all, or
/// joins the one before it.
pub fn acts(c: char) -> bool {
    BLANK.contains(&c) || (!matches!(c, '"' | '\'' | '\\') && c.escape_debug().len() > 1)
}

fn push(text: &mut String, byte: u8) {
    *text += &format!("%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controls, marks and overrides of direction, and characters without width.
    const ACTING: [char; 17] = [
        '\n', '\u{1b}', '\u{9b}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200d}', '\u{200e}',
        '\u{202e}', '\u{2066}', '\u{2069}', '\u{feff}', '\u{115f}', '\u{1160}', '\u{2800}',
        '\u{3164}', '\u{ffa0}',
    ];

    #[test]
    fn foreign_text_cannot_act() {
        assert_eq!(escaped("boot/é.0 'a' \"b\""), "boot/é.0 'a' \"b\"");
        let acting = "\u{1b}[2J\n\u{202e}0.exe\u{200b}\\";
        assert_eq!(escaped(acting), "\\u{1b}[2J\\n\\u{202e}0.exe\\u{200b}\\\\");
        for c in ACTING {
            assert!(acts(c), "{c:?}");
            assert!(!escaped(&c.to_string()).contains(c), "{c:?}");
        }
    }

    #[test]
    fn what_acts_or_is_no_text_is_percent_encoded() {
        assert_eq!(percent_encoded("boot/é 'a' \"b\" \\c".as_bytes()), "boot/é 'a' \"b\" \\c");
        assert_eq!(percent_encoded(b"100%\n\xff"), "100%25%0A%FF");
        assert_eq!(percent_encoded("a\u{202e}0\u{200b}".as_bytes()), "a%E2%80%AE0%E2%80%8B");
        for c in ACTING {
            let encoded = percent_encoded(c.to_string().as_bytes());
            assert!(encoded.starts_with('%') && encoded.is_ascii(), "{c:?}: {encoded}");
        }
    }
}
