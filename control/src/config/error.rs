//! Faults of a configuration, shown with file, line, column, the text underlined, and a hint.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;
use std::{fmt, io};

/// An error instead of a configuration.
#[derive(Debug)]
pub enum Error {
    /// The file can't be read.
    Unreadable {
        /// The file's name.
        name: String,
        /// The reason.
        error: io::Error,
    },
    /// The file has faults.
    Faults(Faults),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreadable { name, error } => {
                write!(f, "error: cannot read the configuration {name}: {error}")
            }
            Error::Faults(faults) => faults.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// One fault and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The place of the fault in the text.
    pub span: Range<usize>,
    /// The fault.
    pub what: String,
    /// A hint at the solution.
    pub hint: String,
}

impl Fault {
    /// Creates a fault at this place.
    pub fn at(span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { span, what: what.into(), hint: hint.into() }
    }
}

/// All faults of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    name: String,
    text: String,
    faults: Vec<Fault>,
}

impl Faults {
    /// Faults of the file `name`, in the order of their places.
    pub(super) fn new(name: &str, text: &str, mut faults: Vec<Fault>) -> Faults {
        faults.sort_by_key(|fault| fault.span.start);
        Faults { name: name.to_owned(), text: text.to_owned(), faults }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let place = AnnotationKind::Primary.span(fault.span.clone()).label(&fault.hint);
            let source = Snippet::source(&self.text).path(&self.name).annotation(place);
            let report = Level::ERROR.primary_title(&fault.what).element(source);
            let end = if n + 1 < self.faults.len() { "\n\n" } else { "" };
            write!(f, "{}{end}", Renderer::plain().render(&[report]))?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
