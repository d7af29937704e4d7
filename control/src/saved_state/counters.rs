//! The file of the workers' counters, `SOCKET.counters`: a page that says what it holds, then each worker's part. A process
//! goes on in the file that the one before has left, or, with more backends or services than that has room for, in a copy.

use super::page::PAGE;
use crate::private;
use engine::counters::{Room, saved};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const MAGIC: [u8; 8] = *b"TIDECNT1";

/// The most backends or services: their numbers have 16 bits.
const MOST: u64 = u16::MAX as u64;

/// The head of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Head {
    magic: [u8; 8],
    /// The name of the transfers' memory: only with it do the numbers of backends and services mean the same.
    name: u64,
    /// The digest of [`saved::layout`].
    layout: [u8; 32],
    workers: u64,
    backends: u64,
    services: u64,
}

impl Head {
    fn new(name: u64, workers: u16, room: Room) -> Head {
        Head {
            magic: MAGIC,
            name,
            layout: Sha256::digest(saved::layout()).into(),
            workers: workers.into(),
            backends: room.backends as u64,
            services: room.services as u64,
        }
    }

    /// The room of counters with this head that a process with the head `new` can go on from, or why it can't.
    fn room_for(&self, new: &Head) -> Result<Room, &'static str> {
        let Head { backends, services, .. } = *self;
        match self {
            Head { magic, .. } if *magic != MAGIC => Err("their file is something else"),
            Head { name, .. } if *name != new.name => Err("they are of other transfers"),
            Head { layout, .. } if *layout != new.layout => Err("this version has others"),
            _ if backends > MOST || services > MOST || self.workers != new.workers => {
                Err("their file is damaged")
            }
            _ => Ok(Room { backends: backends as usize, services: services as usize }),
        }
    }
}

/// Bytes of a worker's part of the file.
pub fn part(room: Room) -> usize {
    room.size().next_multiple_of(PAGE)
}

/// The file at `path`, with the counters of the earlier process that has left it there. One without room, and one that does
/// not fit, are replaced.
///
/// # Errors
///
/// There can be no new file. The old one is gone then, lest later processes go on from it.
pub(super) fn open(path: &Path, name: u64, workers: u16, room: Room) -> io::Result<File> {
    let head = Head::new(name, workers, room);
    let left = read(path, &head).inspect_err(|why| log::warn!("counters begin at zero: {why}"));
    if let Ok((_, had)) = &left
        && *had == room
    {
        return private::open(path);
    }
    write(path, &head, room, left.ok()).inspect_err(|_| {
        log::warn!("counters begin at zero");
        let _ = fs::remove_file(path);
    })
}

/// Makes the file at `path`, with all counters at zero.
///
/// # Errors
///
/// The file system refuses it.
pub(super) fn make(path: &Path, name: u64, workers: u16, room: Room) -> io::Result<File> {
    write(path, &Head::new(name, workers, room), room, None)
}

/// Writes a file, with the counters of the one before it. All of it is allocated now: later, a full file system would end the
/// process.
fn write(path: &Path, head: &Head, room: Room, left: Option<(Vec<u64>, Room)>) -> io::Result<File> {
    let mut content = vec![0; PAGE + head.workers as usize * part(room)];
    content[..size_of::<Head>()].copy_from_slice(head.as_bytes());
    if let Some((old, had)) = left {
        let parts = content[PAGE..].chunks_exact_mut(part(room));
        for (old, new) in old.as_bytes()[PAGE..].chunks_exact(part(had)).zip(parts) {
            saved::carry_over(old, had, new, room);
        }
    }
    let new = path.with_added_extension("new");
    let mut file = private::replace(&new)?;
    let written = file.write_all(&content).and_then(|()| fs::rename(&new, path));
    written.inspect_err(|_| drop(fs::remove_file(&new)))?;
    Ok(file)
}

/// Reads the file that an earlier process has left, in words, and its room.
fn read(path: &Path, new: &Head) -> Result<(Vec<u64>, Room), String> {
    let mut content = vec![];
    private::open(path)
        .and_then(|mut file| file.read_to_end(&mut content))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let (head, _) = Head::read_from_prefix(&content).map_err(|_| "their file is cut off")?;
    let room = head.room_for(new)?;
    if content.len() != PAGE + new.workers as usize * part(room) {
        return Err("their file has another size".to_owned());
    }
    // Aligned as the file is when it is mapped.
    let mut words = vec![0; content.len() / size_of::<u64>()];
    words.as_mut_bytes().copy_from_slice(&content);
    let mut parts = words.as_mut_bytes()[PAGE..].chunks_exact_mut(part(room));
    if !parts.all(|part| saved::is_sound(&mut part[..room.size()], room)) {
        return Err("their file contradicts itself".to_owned());
    }
    Ok((words, room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    const ROOM: Room = Room { backends: 3, services: 2 };

    /// The worker's part of the file's content.
    fn words(path: &Path, worker: usize, room: Room) -> Vec<u64> {
        let content = fs::read(path).unwrap();
        let at = PAGE + worker * part(room);
        content[at..at + room.size()]
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(u64::from_ne_bytes)
            .collect()
    }

    /// A file with counters of both workers: frames, transfers of the last backend, sizes of the last service.
    fn left(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("control.sock.counters");
        make(&path, 7, 2, ROOM).unwrap();
        let mut content = vec![0_u64; fs::read(&path).unwrap().len() / 8];
        content.as_mut_bytes().copy_from_slice(&fs::read(&path).unwrap());
        for worker in [0, 1] {
            let at = (PAGE + worker * part(ROOM)) / 8;
            content[at] = 10 + worker as u64;
            content[at + ROOM.size() / 8 - 1] = 1000;
        }
        fs::write(&path, content.as_bytes()).unwrap();
        path
    }

    #[test]
    fn counters_go_on_where_they_were_in_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = left(&folder);
        let before = [0, 1].map(|worker| words(&path, worker, ROOM));
        let file = fs::metadata(&path).unwrap().ino();
        let opened = open(&path, 7, 2, ROOM).unwrap();
        assert_eq!([0, 1].map(|worker| words(&path, worker, ROOM)), before);
        assert_eq!(opened.metadata().unwrap().ino(), file, "whatever room there is beside it");
    }

    #[test]
    fn more_backends_and_services_have_room_and_begin_at_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = left(&folder);
        let before = words(&path, 1, ROOM);
        let more = Room { backends: 30, services: 20 };
        open(&path, 7, 2, more).unwrap();
        let counted = |words: &[u64]| -> Vec<u64> {
            words.iter().filter(|&&word| word != 0).copied().collect()
        };
        assert_eq!(counted(&words(&path, 1, more)), counted(&before));
        // And back, with what there is room for.
        open(&path, 7, 2, ROOM).unwrap();
        assert_eq!(words(&path, 1, ROOM), before);
    }

    #[test]
    fn what_does_not_fit_is_begun_anew_and_told_apart() {
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 7] = [
            ("something else", |content| content[0] ^= 1),
            ("of other transfers", |content| content[8] ^= 1),
            ("this version", |content| content[16] ^= 1),
            ("is damaged", |content| content[63] = 0xff),
            ("cut off", |content| content.truncate(50)),
            ("another size", |content| content.truncate(PAGE + 5)),
            ("contradicts itself", |content| content[PAGE..].fill(0xff)),
        ];
        for (why, damage) in damages {
            let folder = tempfile::tempdir().unwrap();
            let path = left(&folder);
            let mut content = fs::read(&path).unwrap();
            damage(&mut content);
            fs::write(&path, content).unwrap();
            let said = read(&path, &Head::new(7, 2, ROOM)).unwrap_err();
            assert!(said.contains(why), "{said}");
            open(&path, 7, 2, ROOM).unwrap();
            assert!(words(&path, 0, ROOM).iter().all(|&word| word == 0), "{why}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = left(&folder);
        fs::remove_file(&path).unwrap();
        assert!(read(&path, &Head::new(7, 2, ROOM)).unwrap_err().contains("No such file"));
        open(&path, 7, 2, ROOM).unwrap();
    }

    /// Else a later process would go on from it, while transfers have ended that it does not count.
    #[test]
    fn what_cannot_be_replaced_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = left(&folder);
        fs::create_dir(path.with_added_extension("new")).unwrap();
        let more = Room { backends: 30, services: 20 };
        open(&path, 7, 2, more).unwrap_err();
        assert!(!path.exists());
    }
}
