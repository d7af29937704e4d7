//! State that a process saves for the next one: the memory of its transfers, its counters, the owners of the numbers in
//! both, and the operator's orders. The memory is the file `SOCKET.flows` beside the socket, the counters are
//! `SOCKET.counters`, all else is `SOCKET.state`: JSON after a line with its digest. State that is not compatible is not
//! used, which is logged. The files are private to the daemon.

pub mod counters;
mod former;
mod page;

pub use former::Former;
pub use page::PAGE;

use crate::backend_status::{AdminState, BackendStatuses};
use crate::config::Config;
use crate::private;
use crate::registry::Registry;
use engine::counters::Room;
use engine::state::WorkerState;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The saved state, and the place where the next process will look for it.
#[derive(Debug)]
pub struct SavedState {
    /// The owners of the numbers in the transfers' memory.
    pub registry: Registry,
    /// The operator's orders.
    pub statuses: BackendStatuses,
    /// The seed of the flow tables' hashes.
    pub seed: [u64; 2],
    /// The file of the transfers' memory: a page that names it, then each worker's part. It is taken out to be
    /// mapped.
    pub memory: Option<File>,
    /// The memory of an earlier process with other workers or tables, whose transfers must be moved.
    pub former: Option<Former>,
    /// Whether the memory is in a file; else transfers don't outlive this process.
    pub is_persistent: bool,
    compatibility: Compatibility,
    name: u64,
    path: PathBuf,
    /// Whether an earlier process's state was read.
    was_left: bool,
    saved: String,
}

/// Facts that say whether an earlier process's memory makes sense in this one. Transfers can be moved to another number
/// of workers and to tables of another size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compatibility {
    layout: String,
    /// The boot's id: clocks count from the machine's start.
    boot: String,
    workers: u16,
    max_flows: u32,
    /// Bytes of each worker's memory.
    size: usize,
    /// The interfaces' names, by number.
    interfaces: Vec<String>,
}

impl Compatibility {
    /// Facts with another number of workers and another size of tables, and all else the same.
    fn resized(&self, workers: u16, max_flows: u32, size: usize) -> Compatibility {
        Compatibility { workers, max_flows, size, ..self.clone() }
    }

    /// The facts of a process with so many workers, in this layout.
    pub fn new(config: &Config, workers: u16, layout: String) -> Compatibility {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Compatibility {
            layout,
            boot: boot.trim().to_owned(),
            workers,
            max_flows: config.dataplane.max_flows,
            size: part(config.dataplane.max_flows),
            interfaces: config.interfaces.iter().map(|one| one.name.clone()).collect(),
        }
    }

    /// Bytes of the whole memory.
    fn total(&self) -> usize {
        PAGE + usize::from(self.workers) * self.size
    }
}

/// Bytes of a worker's memory with so many rows: whole pages, for the next one's.
fn part(max_flows: u32) -> usize {
    WorkerState::size(max_flows).next_multiple_of(PAGE)
}

/// The origin of the workers' time: the machine's start, so that it is the same in the next process.
pub fn clock() -> Instant {
    let now = Instant::now();
    let since = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    since.ok().and_then(|since| now.checked_sub(since)).unwrap_or(now)
}

/// The content of `SOCKET.state`. The names of fields in JSON must not change.
#[derive(Debug, Serialize, Deserialize)]
struct StateFile {
    #[serde(rename = "terms")]
    compatibility: Compatibility,
    /// The name of the memory, which its first page has too.
    name: u64,
    seed: [u64; 2],
    registry: Registry,
    #[serde(rename = "orders")]
    overrides: Vec<(String, String, AdminState, Option<u16>)>,
}

impl SavedState {
    /// Opens the previous process's state beside this socket, if it is compatible; else creates a new one. The caller
    /// holds the socket's lock, so nobody else uses it.
    pub fn open(socket: &Path, compatibility: Compatibility, fresh: [u64; 3]) -> SavedState {
        let path = socket.with_added_extension("state");
        let [name, seed @ ..] = fresh;
        let found = read(&path, &compatibility).unwrap_or_else(|why| {
            log::warn!("the transfers of before do not go on: {why}");
            None
        });
        let saved_state = found.unwrap_or_else(|| SavedState {
            registry: Registry::default(),
            statuses: BackendStatuses::default(),
            seed,
            is_persistent: false,
            memory: None,
            former: None,
            compatibility,
            name,
            path,
            was_left: false,
            saved: String::new(),
        });
        if saved_state.memory.is_some() { saved_state } else { saved_state.with_new_memory(name) }
    }

    /// The state with new memory of this name.
    fn with_new_memory(self, name: u64) -> SavedState {
        let path = flows(&self.path);
        let memory = make(&path, name, self.compatibility.total()).inspect_err(|error| {
            let path = path.display();
            log::warn!("transfers will not outlive this process: cannot make {path}: {error}");
        });
        SavedState { is_persistent: memory.is_ok(), memory: memory.ok(), name, ..self }
    }

    /// Discards the saved state, because the configuration has no room for its numbers, and creates a new one.
    pub fn discard(self, socket: &Path, fresh: [u64; 3]) -> SavedState {
        let _ = fs::remove_file(&self.path);
        drop(self.memory);
        SavedState::open(socket, self.compatibility, fresh)
    }

    /// The memory of the workers' counters, which go on from those of the earlier process if its transfers do; `None` if they
    /// won't outlive this one.
    pub fn counters(&self, room: Room) -> Option<File> {
        if !self.is_persistent {
            return None;
        }
        let path = self.path.with_extension("counters");
        let workers = self.compatibility.workers;
        let file = if self.was_left {
            counters::open(&path, self.name, workers, room)
        } else {
            counters::make(&path, self.name, workers, room)
        };
        let warn = |error: &io::Error| {
            let path = path.display();
            log::warn!("counters will not outlive this process: cannot make {path}: {error}");
        };
        file.inspect_err(warn).ok()
    }

    /// Writes the owners of numbers, before the numbers are used, and the operator's orders, if they have changed.
    pub fn save(&mut self, registry: &Registry, statuses: &BackendStatuses) {
        let state_file = StateFile {
            compatibility: self.compatibility.clone(),
            name: self.name,
            seed: self.seed,
            registry: registry.clone(),
            overrides: statuses.overrides(),
        };
        let text = serde_json::to_string(&state_file).unwrap_or_default();
        if !self.is_persistent || text == self.saved {
            return;
        }
        match write(&self.path, &text) {
            Ok(()) => self.saved = text,
            Err(error) => log::warn!("cannot write {}: {error}", self.path.display()),
        }
    }
}

fn flows(state: &Path) -> PathBuf {
    state.with_extension("flows")
}

/// Reads saved state; `Ok(None)` if there is none. Without memory, its transfers must be moved.
fn read(path: &Path, compatibility: &Compatibility) -> Result<Option<SavedState>, String> {
    let text = match private::open(path).and_then(io::read_to_string) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let (digest, json) = text.split_once('\n').ok_or("their state is cut off")?;
    if digest != self::digest(json) {
        return Err("their state is damaged".to_owned());
    }
    let state_file: StateFile = serde_json::from_str(json)
        .map_err(|error| format!("their state is of another version: {error}"))?;
    let before = state_file.compatibility;
    if before.resized(compatibility.workers, compatibility.max_flows, compatibility.size)
        != *compatibility
    {
        return Err(difference(&before, compatibility).to_owned());
    }
    if before != *compatibility && before.size != part(before.max_flows) {
        return Err(format!("{} rows have another size in this version", before.max_flows));
    }
    if !state_file.registry.is_sound(compatibility.interfaces.len()) {
        return Err("their state contradicts itself".to_owned());
    }
    let file = open(&flows(path), state_file.name, before.total())?;
    let Compatibility { workers, max_flows, size, .. } = before;
    let is_same = before == *compatibility;
    let (memory, former) = if is_same {
        (Some(file), None)
    } else {
        (None, Some(Former { file, max_flows, workers, size }))
    };
    Ok(Some(SavedState {
        registry: state_file.registry,
        statuses: BackendStatuses::from_overrides(state_file.overrides),
        seed: state_file.seed,
        is_persistent: true,
        memory,
        former,
        compatibility: compatibility.clone(),
        name: state_file.name,
        path: path.to_owned(),
        was_left: true,
        saved: if is_same { json.to_owned() } else { String::new() },
    }))
}

fn difference(old: &Compatibility, new: &Compatibility) -> &'static str {
    match old {
        old if old.boot != new.boot => "the machine was started anew",
        old if old.layout != new.layout => "this version lays them out otherwise",
        _ => "the interfaces were others",
    }
}

const MAGIC: &[u8; 8] = b"TIDEGATE";

/// Opens the memory of this name and size.
fn open(path: &Path, name: u64, len: usize) -> Result<File, String> {
    let mut file = private::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut head = [0; 16];
    let is_it = file.read_exact(&mut head).is_ok()
        && head[..8] == *MAGIC
        && head[8..] == name.to_le_bytes()
        && file.metadata().is_ok_and(|data| data.len() == len as u64);
    if is_it { Ok(file) } else { Err(format!("{} is of somebody else", path.display())) }
}

/// Creates new memory. All of it is allocated now: later, a full file system would end the process.
fn make(path: &Path, name: u64, len: usize) -> io::Result<File> {
    // A new file, should an older one still be mapped by somebody.
    let mut file = private::replace(path)?;
    let made = (|| {
        file.write_all(MAGIC)?;
        file.write_all(&name.to_le_bytes())?;
        io::copy(&mut io::repeat(0).take((len - 16) as u64), &mut file)
    })();
    match made {
        Ok(_) => Ok(file),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

fn write(path: &Path, json: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    private::replace(&new)?.write_all(format!("{}\n{json}", digest(json)).as_bytes())?;
    fs::rename(new, path)
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
