//! Memory of flows that must be moved to other workers, or to tables of another size.

use super::PAGE;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The memory of a process whose number of workers, or size of tables, was another.
#[derive(Debug)]
pub struct Former {
    pub(super) file: File,
    /// Rows of each worker's tables.
    pub max_flows: u32,
    pub(super) workers: u16,
    pub(super) size: usize,
}

impl Former {
    /// Each worker's part, read from the file. An error ends the list.
    pub fn parts(&mut self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let begin = self.file.seek(SeekFrom::Start(PAGE as u64));
        let workers = self.workers;
        let read = move |_| {
            let mut part = vec![0; self.size];
            self.file.read_exact(&mut part).map(|()| part)
        };
        begin.err().map(Err).into_iter().chain((0..workers).map(read))
    }
}
