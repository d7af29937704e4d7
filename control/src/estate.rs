//! The estate that a process leaves for the next one: the memory of its transfers, whose numbers are in it, and what
//! the operator ordered. Beside the socket lie the memory, `SOCKET.flows`, and all else, `SOCKET.state`: JSON
//! behind a line with its digest. What does not fit is not used, and that is said. Both are for the daemon alone.

use crate::config::Config;
use crate::private;
use crate::registry::Registry;
use crate::standing::{Order, Standings};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A page: where the first worker's memory begins, and each one's a multiple of it behind.
pub const PAGE: usize = 4096;

/// The estate: what there is, and where the next process will look for it.
#[derive(Debug)]
pub struct Estate {
    /// The owners of the numbers in the memory.
    pub registry: Registry,
    /// The operator's orders.
    pub standings: Standings,
    /// Of the flow tables' hashes.
    pub seed: [u64; 2],
    /// The memory: a page that names it, and each worker's. To be taken out by who maps it.
    pub memory: Option<File>,
    /// Whether there is any: else transfers don't outlive this process.
    pub lasts: bool,
    terms: Terms,
    name: u64,
    path: PathBuf,
    saved: String,
}

/// Terms that have to be the same for the memory to make sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    layout: String,
    /// Clocks count from the machine's start.
    boot: String,
    workers: u16,
    max_flows: u32,
    /// Bytes of each worker's memory.
    size: usize,
    /// By number.
    interfaces: Vec<String>,
}

impl Terms {
    /// The terms of so many workers that need so many bytes each, laid out like this.
    pub fn new(config: &Config, workers: u16, size: usize, layout: String) -> Terms {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Terms {
            layout,
            boot: boot.trim().to_owned(),
            workers,
            max_flows: config.dataplane.max_flows,
            size: size.next_multiple_of(PAGE),
            interfaces: config.interfaces.iter().map(|one| one.name.clone()).collect(),
        }
    }

    /// Bytes of the whole memory.
    fn total(&self) -> usize {
        PAGE + usize::from(self.workers) * self.size
    }
}

/// The machine's start, from which one process's time counts as the next one's.
pub fn clock() -> Instant {
    let now = Instant::now();
    let since = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    since.ok().and_then(|since| now.checked_sub(since)).unwrap_or(now)
}

/// The written part.
#[derive(Debug, Serialize, Deserialize)]
struct Will {
    terms: Terms,
    /// The memory's name.
    name: u64,
    seed: [u64; 2],
    registry: Registry,
    orders: Vec<(String, String, Order, Option<u16>)>,
}

impl Estate {
    /// The estate of the process before, if it has left one beside this socket that fits; else a new one. The caller has
    /// the socket's place, and so nobody else uses it.
    pub fn open(socket: &Path, terms: Terms, fresh: [u64; 3]) -> Estate {
        let path = socket.with_added_extension("state");
        match read(&path, &terms) {
            Ok(Some(estate)) => return estate,
            Ok(None) => {}
            Err(why) => log::warn!("the transfers of before do not go on: {why}"),
        }
        let [name, seed @ ..] = fresh;
        let memory = make(&flows(&path), name, terms.total());
        let memory = memory.inspect_err(|error| {
            log::warn!(
                "transfers will not outlive this process: cannot make {}: {error}",
                flows(&path).display()
            );
        });
        Estate {
            registry: Registry::default(),
            standings: Standings::default(),
            seed,
            lasts: memory.is_ok(),
            memory: memory.ok(),
            terms,
            name,
            path,
            saved: String::new(),
        }
    }

    /// Forgets whose the numbers were: the configuration has no room for them.
    pub fn without_past(self, socket: &Path, fresh: [u64; 3]) -> Estate {
        let _ = fs::remove_file(&self.path);
        drop(self.memory);
        Estate::open(socket, self.terms, fresh)
    }

    /// Writes down whose the numbers are, before anybody uses them, and what is ordered; if that is new.
    pub fn save(&mut self, registry: &Registry, standings: &Standings) {
        let will = Will {
            terms: self.terms.clone(),
            name: self.name,
            seed: self.seed,
            registry: registry.clone(),
            orders: standings.orders(),
        };
        let text = serde_json::to_string(&will).unwrap_or_default();
        if !self.lasts || text == self.saved {
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

/// `Ok(None)`: there is nothing.
fn read(path: &Path, terms: &Terms) -> Result<Option<Estate>, String> {
    let text = match private::open(path).and_then(io::read_to_string) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let (digest, json) = text.split_once('\n').ok_or("their state is cut off")?;
    if digest != self::digest(json) {
        return Err("their state is damaged".to_owned());
    }
    let will: Will = serde_json::from_str(json)
        .map_err(|error| format!("their state is of another version: {error}"))?;
    if will.terms != *terms {
        return Err(difference(&will.terms, terms));
    }
    if !will.registry.is_sound(terms.interfaces.len()) {
        return Err("their state contradicts itself".to_owned());
    }
    let memory = open(&flows(path), will.name, terms.total())?;
    Ok(Some(Estate {
        registry: will.registry,
        standings: Standings::ordered(will.orders),
        seed: will.seed,
        lasts: true,
        memory: Some(memory),
        terms: will.terms,
        name: will.name,
        path: path.to_owned(),
        saved: json.to_owned(),
    }))
}

fn difference(old: &Terms, new: &Terms) -> String {
    let Terms { layout, boot, workers, max_flows, size: _, interfaces } = new;
    match old {
        old if old.boot != *boot => "the machine was started anew".to_owned(),
        old if old.layout != *layout => "this version lays them out otherwise".to_owned(),
        old if old.workers != *workers => {
            format!("{} workers had them, not {workers}", old.workers)
        }
        old if old.max_flows != *max_flows => "`max_flows` was another".to_owned(),
        old if old.interfaces != *interfaces => "the interfaces were others".to_owned(),
        _ => "they have another size".to_owned(),
    }
}

const MAGIC: &[u8; 8] = b"TIDEGATE";

/// The memory of this name, which must be there.
fn open(path: &Path, name: u64, len: usize) -> Result<File, String> {
    let mut file = private::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut head = [0; 16];
    let is_it = file.read_exact(&mut head).is_ok()
        && head[..8] == *MAGIC
        && head[8..] == name.to_le_bytes()
        && file.metadata().is_ok_and(|data| data.len() == len as u64);
    if is_it { Ok(file) } else { Err(format!("{} is of somebody else", path.display())) }
}

/// New memory. All of it is taken now: later, a full file system would be the end of the process.
fn make(path: &Path, name: u64, len: usize) -> io::Result<File> {
    // A new file, should an older one still be mapped by somebody.
    let mut file = anew(path)?;
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
    anew(&new)?.write_all(format!("{}\n{json}", digest(json)).as_bytes())?;
    fs::rename(new, path)
}

/// A new file in place of whatever is there.
fn anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => private::create(path),
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
