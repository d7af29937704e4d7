//! The form that all pages have in common.

use roff::{Inline, Roff, bold, roman};

/// The daemon's configuration, and what it is.
pub const CONFIGURATION: (&str, &str) =
    ("/etc/tidegate/tidegate.toml", "The daemon's configuration.");
/// The daemon's socket, and what it is.
pub const SOCKET: (&str, &str) = (
    "/run/tidegate/control.sock",
    "The daemon's socket, unless the configuration names another one.",
);

/// The version that pages show at their foot.
pub const SOURCE: &str = concat!("Tidegate ", env!("CARGO_PKG_VERSION"));

/// A page.
#[derive(Debug)]
pub struct Page {
    /// The file's name, such as `tidegated.8`.
    pub file: String,
    /// The file's content, in roff.
    pub text: String,
}

/// Begins a page with its title and what it is about.
pub fn begin(name: &str, section: u8, about: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("TH", [name, &section.to_string(), "", SOURCE, "Tidegate"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff
}

/// Ends a page with files and other pages.
pub fn end(roff: &mut Roff, files: &[(&str, &str)], see: &[&str]) {
    if !files.is_empty() {
        roff.control("SH", ["FILES"]);
    }
    for (file, what) in files {
        roff.control("TP", []);
        roff.text([bold(*file)]);
        roff.text([roman(*what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(see.join(", "))]);
}

/// Text whose `code` is bold.
pub fn text(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// Lines that are shown as they are.
pub fn verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in lines {
        // An empty line among these ends nothing, but may be a request without a name.
        roff.text([roman(if line.is_empty() { " " } else { line })]);
    }
    roff.control("fi", []);
}
