//! Private files and folders of the daemon: they hold clients' addresses, file names and the seed of hashes. Anything
//! that somebody else has put in their place, such as a link, is neither followed nor used.

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The mode of files: for the owner alone.
const FILE: u32 = 0o600;
/// The mode of folders: the owner's group may pass through to the socket.
const FOLDER: u32 = 0o750;

/// Creates a folder if it is missing. An existing one that holds only files of `socket` is ours: its permissions are
/// restricted. Any other one, such as `/run`, is left as it is.
///
/// # Errors
///
/// The file system refuses it.
pub fn folder(folder: &Path, socket: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(folder)?;
    let data = fs::symlink_metadata(folder)?;
    if data.is_dir() && data.uid() == geteuid().as_raw() && holds_only(folder, socket)? {
        tighten(&data, FOLDER, |mode| fs::set_permissions(folder, mode))?;
    }
    Ok(())
}

/// Whether a folder has entries, and all begin with the socket's name.
fn holds_only(folder: &Path, socket: &Path) -> io::Result<bool> {
    let name = socket.file_name().unwrap_or_default().as_encoded_bytes();
    let mut found = false;
    for entry in fs::read_dir(folder)? {
        if !entry?.file_name().as_encoded_bytes().starts_with(name) {
            return Ok(false);
        }
        found = true;
    }
    Ok(found)
}

/// Creates a file, whatever the umask.
///
/// # Errors
///
/// Something exists there, even if only a link; or the file system refuses it.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(FILE).open(path)
}

/// Creates a file in place of an old one, which may still be mapped by somebody.
///
/// # Errors
///
/// The file system refuses it.
pub fn replace(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => create(path),
    }
}

/// Opens one of our files for reading and writing. Permissions of others on it are removed.
///
/// # Errors
///
/// There is no file, or it is not ours.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe must not wait for its other end.
    let flags = O_NOFOLLOW | O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let data = file.metadata()?;
    if !data.is_file() || data.uid() != geteuid().as_raw() || data.nlink() > 1 {
        return Err(io::Error::other("it is no file of this daemon's"));
    }
    tighten(&data, FILE, |mode| file.set_permissions(mode))?;
    Ok(file)
}

/// Opens one of our files, or creates it.
///
/// # Errors
///
/// As for [`open`] and [`create`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(path),
        made => made,
    }
}

fn tighten(
    data: &Metadata,
    most: u32,
    set: impl FnOnce(Permissions) -> io::Result<()>,
) -> io::Result<()> {
    let mode = data.permissions().mode() & 0o7777;
    if mode & !most == 0 { Ok(()) } else { set(Permissions::from_mode(mode & most)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A folder, and the socket's path in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("control.sock");
        (place, socket)
    }

    #[test]
    fn a_folder_is_made_for_owner_and_group() {
        let (place, _) = place();
        let made = place.path().join("a/b");
        folder(&made, &made.join("control.sock")).unwrap();
        assert_eq!((mode(&made), mode(made.parent().unwrap())), (0o750, 0o750));
    }

    #[test]
    fn only_a_folder_of_ours_is_closed_to_others() {
        let (place, socket) = place();
        set(place.path(), 0o755);
        folder(place.path(), &socket).unwrap();
        assert_eq!(mode(place.path()), 0o755, "nothing in it is ours");
        for (name, before, after) in
            [("control.sock.state", 0o755, 0o750), ("control.sock", 0o700, 0o700)]
        {
            fs::write(place.path().join(name), "").unwrap();
            set(place.path(), before);
            folder(place.path(), &socket).unwrap();
            assert_eq!(mode(place.path()), after);
        }
        fs::write(place.path().join("of-somebody-else"), "").unwrap();
        set(place.path(), 0o755);
        folder(place.path(), &socket).unwrap();
        assert_eq!(mode(place.path()), 0o755);
    }

    #[test]
    fn files_are_made_private_and_old_ones_become_so() {
        let (_place, path) = place();
        drop(create(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        set(&path, 0o664);
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        set(&path, 0o644);
        drop(open_or_create(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn planted_links_and_pipes_are_not_used() {
        let (place, path) = place();
        let victim = place.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        set(&victim, 0o644);
        symlink(&victim, &path).unwrap();
        assert!(open(&path).is_err() && create(&path).is_err() && open_or_create(&path).is_err());
        fs::remove_file(&path).unwrap();
        fs::hard_link(&victim, &path).unwrap();
        assert!(open(&path).is_err() && open_or_create(&path).is_err());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&path).is_err() && open_or_create(&path).is_err());
        assert_eq!(
            (fs::read_to_string(&victim).unwrap().as_str(), mode(&victim)),
            ("precious", 0o644)
        );
    }
}
