//! File paths as TFTP servers resolve them.

use fast_glob::glob_match;

/// A normalised file path: without leading `/`, `/` for `\`, `.` and `..` resolved. So no spelling of a name evades an
/// access rule.
pub struct Path {
    bytes: [u8; LONGEST],
    len: usize,
}

/// Longest path: a request of 512 bytes (RFC 2347) has no longer name.
const LONGEST: usize = 512;

impl Path {
    /// Normalises a file name; `None`: too long, or outside of the root.
    pub fn of(file: &[u8]) -> Option<Path> {
        let mut path = Path { bytes: [0; LONGEST], len: 0 };
        for part in file.split(|byte| matches!(byte, b'/' | b'\\')) {
            match part {
                b"" | b"." => {}
                b".." => path.leave()?,
                part => path.enter(part)?,
            }
        }
        Some(path)
    }

    fn enter(&mut self, part: &[u8]) -> Option<()> {
        let slash = usize::from(self.len > 0);
        let end = self.len + slash + part.len();
        let place = self.bytes.get_mut(self.len..end)?;
        place[..slash].fill(b'/');
        place[slash..].copy_from_slice(part);
        self.len = end;
        Some(())
    }

    fn leave(&mut self) -> Option<()> {
        let known = self.as_bytes();
        (!known.is_empty()).then_some(())?;
        self.len = known.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(())
    }

    /// Converts the path to lower case.
    pub fn make_lowercase(&mut self) {
        self.bytes.make_ascii_lowercase();
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether one of these glob patterns matches.
    pub fn matches(&self, globs: &[String]) -> bool {
        globs.iter().any(|glob| glob_match(glob, self.as_bytes()))
    }
}
