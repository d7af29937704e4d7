//! The secret that both gates of a pair have, by which they know each other.

use crate::private;
use base64::prelude::{BASE64_STANDARD, Engine};
use nix::libc::O_NONBLOCK;
use nix::unistd::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The bytes of a key.
const SIZE: usize = 32;
/// The most bytes of its file: a line of base64, and blanks.
const LONGEST: u64 = 256;
/// The mode of a new key's folder, if that is missing.
const FOLDER: u32 = 0o750;

/// The secret of a pair.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; SIZE]);

impl Key {
    /// Draws a new key, from the kernel.
    ///
    /// # Errors
    ///
    /// The kernel gives no random numbers.
    pub fn draw() -> io::Result<Key> {
        let mut bytes = [0; SIZE];
        // So few bytes are given at once, or none.
        match getrandom(&mut bytes, GetRandomFlags::empty())? {
            SIZE => Ok(Key(bytes)),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Writes the key into a new file, which only its owner can use. A missing folder is created.
    ///
    /// # Errors
    ///
    /// Something exists there, and is left alone; or the file system refuses it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(FOLDER).create(folder)?;
        }
        let mut file = private::create(path)?;
        let line = format!("{}\n", BASE64_STANDARD.encode(self.0));
        // A part of a key would only be in the way of the next one.
        file.write_all(line.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
    }

    /// Reads a key's file.
    ///
    /// # Errors
    ///
    /// The file can't be read, belongs to another user, is open to others, or holds no key.
    pub fn read(path: &Path) -> Result<Key, String> {
        let text = text(path)
            .map_err(|error| format!("the key of the pair, {}: {error}", path.display()))?;
        let bytes = BASE64_STANDARD.decode(text.trim()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok()).map(Key);
        key.ok_or_else(|| {
            let words = "no key of a pair: `tidegate pair key` writes one";
            format!("{}: {words}", path.display())
        })
    }

    /// The key's bytes.
    pub(super) fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }
}

/// Shows nothing of the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The text of a file that is ours alone.
fn text(path: &Path) -> io::Result<String> {
    // Opening a pipe must not wait for its other end.
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("the key is in no regular file"));
    }
    if data.uid() != geteuid().as_raw() {
        return Err(io::Error::other("the key's file belongs to another user"));
    }
    if data.mode() & 0o7777 & !0o600 != 0 {
        let words = format!("others can use the key: `chmod 600 {}`", path.display());
        return Err(io::Error::other(words));
    }
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::other(format!("a key's file has at most {LONGEST} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A folder, and the path of a key in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pair.key");
        (folder, path)
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let (_folder, path) = place();
        let key = Key::draw().expect("a key");
        key.write(&path).expect("a file");
        let data = fs::metadata(&path).expect("a file");
        assert_eq!((data.mode() & 0o7777, data.len()), (0o600, 45));
        assert_eq!(Key::read(&path), Ok(key.clone()));
        assert_ne!(Key::draw().expect("a key"), key);
    }

    #[test]
    fn a_missing_folder_is_made() {
        let (folder, _) = place();
        let path = folder.path().join("tidegate/pair.key");
        Key::draw().expect("a key").write(&path).expect("a file");
        let made = fs::metadata(folder.path().join("tidegate")).expect("a folder");
        assert_eq!(made.mode() & 0o027, 0);
        assert!(Key::read(&path).is_ok());
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let (_folder, path) = place();
        fs::write(&path, "precious").expect("a file");
        let error = Key::draw().expect("a key").write(&path).expect_err("it exists");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("a file"), "precious");
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key([7; SIZE])), "Key(..)");
    }

    #[test]
    fn other_files_are_no_keys() {
        let line = BASE64_STANDARD.encode([7; SIZE]);
        let [short, long] = [31, 33].map(|size| BASE64_STANDARD.encode(vec![7; size]));
        for (content, mode, fault) in [
            (&*line, 0o600, None),
            (&format!(" {line}\r\n"), 0o400, None),
            (&line, 0o640, Some("chmod 600 /")),
            (&line, 0o604, Some("chmod 600 /")),
            (&line, 0o620, Some("chmod 600 /")),
            (&line, 0o700, Some("chmod 600 /")),
            (&short, 0o600, Some("no key of a pair")),
            (&long, 0o600, Some("no key of a pair")),
            (&line[1..], 0o600, Some("no key of a pair")),
            (&line.replace('=', ""), 0o600, Some("no key of a pair")),
            (&format!("{line}\n{line}"), 0o600, Some("no key of a pair")),
            ("not base64 at all!", 0o600, Some("no key of a pair")),
            ("", 0o600, Some("no key of a pair")),
            (&" ".repeat(257), 0o600, Some("at most 256 bytes")),
        ] {
            let (_folder, path) = place();
            fs::write(&path, content).expect("a file");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            let error = Key::read(&path).err();
            let is_told = match (fault, &error) {
                (Some(words), Some(error)) => {
                    error.contains(words) && error.contains("pair.key") && !error.contains(&line)
                }
                (fault, error) => fault.is_none() && error.is_none(),
            };
            assert!(is_told, "{content:?} {mode:o}: {error:?}");
        }
    }

    #[test]
    fn folders_pipes_and_nothing_are_no_keys() {
        let (folder, path) = place();
        let error = Key::read(&path).expect_err("nothing is there");
        assert!(error.contains("No such file"), "{error}");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        for path in [&path, folder.path()] {
            let error = Key::read(path).expect_err("it is no file");
            assert!(error.contains("no regular file"), "{error}");
        }
    }
}
