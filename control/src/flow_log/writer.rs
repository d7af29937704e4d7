//! The thread that writes the log.

use super::merge::oldest_first;
use super::names::Names;
use super::outcome::Outcome;
use super::output::{Criteria, Outputs};
use super::overrun::Overrun;
use super::recent::Recent;
use super::record::Line;
use super::watch::{LINES, Watch};
use crate::privilege;
use engine::state::flow_log::FlowRecord;
use engine::types::tick::Millis;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};
use worker::command_channel::WorkerChannel;

/// Pause between two looks at the rings. A ring of 4,096 holds what 200,000 ends a second fill in that time.
const PERIOD: Duration = Duration::from_millis(20);
/// Pause where nothing is logged.
const IDLE: Duration = Duration::from_secs(3600);
/// Time after the last look at what is kept for whoever watches, in which records are made all the same.
const WATCHED: Duration = Duration::from_secs(10);
/// Time that a stop waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of transfers: its thread, as control sees it.
pub struct FlowLogger {
    commands: Sender<Command>,
    lost: Arc<AtomicU64>,
    recent: Recent,
    watch: Watch,
    /// The time of the last look; `None`: nobody watches.
    looked: Cell<Option<Instant>>,
}

enum Command {
    /// Other outputs, which are open.
    Outputs(Outputs),
    /// Other names.
    Names(Box<Names>),
    /// Whether somebody watches.
    Watch(bool),
    /// Files were rotated.
    Reopen,
    /// The last lines are to be written, and then this sender dropped.
    Stop(Sender<()>),
}

impl FlowLogger {
    /// Starts the thread, which writes these workers' records to these outputs by these names. `clock` is the origin of the
    /// workers' time.
    ///
    /// # Errors
    ///
    /// There can be no more threads.
    pub fn start(
        workers: &[WorkerChannel],
        clock: Instant,
        names: Names,
        outputs: Outputs,
    ) -> io::Result<FlowLogger> {
        let (commands, inbox) = channel();
        let (lost, recent) = (Arc::new(AtomicU64::new(0)), outputs.recent().clone());
        let workers: Arc<[WorkerChannel]> = workers.into();
        let (overrun, watch) = (Overrun::new(Arc::clone(&workers)), Watch::default());
        let writer = Writer {
            workers,
            overrun,
            clock,
            names,
            outputs,
            seq: 0,
            lost: Arc::clone(&lost),
            watch: watch.clone(),
            is_watched: false,
        };
        let thread = thread::Builder::new().name("flow-log".to_owned());
        thread.spawn(move || {
            privilege::give_up_at_start();
            writer.run(&inbox);
        })?;
        Ok(FlowLogger { commands, lost, recent, watch, looked: Cell::default() })
    }

    /// Writes to these outputs from now on.
    pub fn write_to(&self, outputs: Outputs) {
        self.command(Command::Outputs(outputs));
    }

    /// Uses these names from now on.
    pub fn rename(&self, names: Names) {
        self.command(Command::Names(Box::new(names)));
    }

    /// The last failures, if the web page is on.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The last lines and the clients, kept for whoever watches.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Keeps all records from now on, until nobody has looked for some seconds; returns whether nobody did so far. Workers
    /// must get the policy of [`super::watched`] then.
    pub fn look(&self) -> bool {
        let is_first = self.looked.replace(Some(Instant::now())).is_none();
        if is_first {
            self.watch.begin(self.recent.all());
            self.command(Command::Watch(true));
        }
        is_first
    }

    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.looked.get().is_some()
    }

    /// The time that is left until nobody watches any longer; `None`: that is so now.
    pub fn look_away(&self) -> Option<Duration> {
        let left = WATCHED.saturating_sub(self.looked.get()?.elapsed());
        if left.is_zero() {
            self.looked.set(None);
            self.command(Command::Watch(false));
            return None;
        }
        Some(left)
    }

    /// Opens files anew.
    pub fn reopen(&self) {
        self.command(Command::Reopen);
    }

    /// Lines that outputs had wanted and lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Waits until the last lines are written, for a second at most: a journal that reads nothing holds up no stop.
    pub fn stop(&self) {
        let (done, finished) = channel();
        self.command(Command::Stop(done));
        let _ = finished.recv_timeout(PATIENCE);
    }

    fn command(&self, command: Command) {
        // The thread ends only at a stop.
        let _ = self.commands.send(command);
    }
}

struct Writer {
    workers: Arc<[WorkerChannel]>,
    overrun: Overrun,
    clock: Instant,
    names: Names,
    outputs: Outputs,
    seq: u64,
    lost: Arc<AtomicU64>,
    watch: Watch,
    is_watched: bool,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let is_on = !self.outputs.is_empty() || self.is_watched;
            let period = if is_on || self.overrun.is_on() { PERIOD } else { IDLE };
            let command = inbox.recv_timeout(period);
            // By the outputs and names that were in force. Else, records are for some that are to come.
            if is_on {
                self.write_all();
            }
            self.tell_losses();
            match command {
                Ok(Command::Outputs(outputs)) => self.outputs = outputs,
                Ok(Command::Names(names)) => self.names = *names,
                Ok(Command::Watch(is_watched)) => self.is_watched = is_watched,
                Ok(Command::Reopen) => self.outputs.reopen(),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Stop(done)) => {
                    // What is lost is told before the daemon, which waits, ends.
                    drop(self);
                    return drop(done);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes what is in the rings, the oldest first.
    fn write_all(&mut self) {
        let workers = Arc::clone(&self.workers);
        let mut behind: usize = workers.iter().map(|worker| worker.records.len()).sum();
        let records = oldest_first(&workers);
        let (now, wall) = (Instant::now(), SystemTime::now());
        let clock = Millis::at(now.duration_since(self.clock));
        for (worker, record) in records {
            let age = Duration::from_millis(clock.since(record.time).into());
            let time = wall.checked_sub(age).unwrap_or(wall);
            self.write(&record, worker, time, now);
            if self.is_watched {
                behind = behind.saturating_sub(1);
                self.keep(&record, worker, time, behind);
            }
        }
    }

    fn tell_losses(&mut self) {
        let now = Instant::now();
        self.outputs.tell_ends(now);
        self.overrun.look(now);
    }

    fn write(&mut self, record: &FlowRecord, worker: u16, time: SystemTime, now: Instant) {
        self.seq += 1;
        let service = self.names.service(record.service);
        let one_in = if self.is_watched { 1 } else { self.outputs.one_in(service) };
        let criteria = Criteria { service, outcome: Outcome::of(record), one_in };
        let line = || Line { seq: self.seq, ..Line::new(record, worker, time, &self.names) };
        let lost = self.outputs.write(&criteria, now, line);
        self.lost.fetch_add(lost, Relaxed);
    }

    /// Keeps a record for whoever watches. It has no line if so many are `behind` it that the line would not stay.
    fn keep(&self, record: &FlowRecord, worker: u16, time: SystemTime, behind: usize) {
        let line = || Line { seq: self.seq, ..Line::new(record, worker, time, &self.names) };
        let is_without_end = self.names.service(record.service).is_without_end;
        self.watch.add(record, is_without_end, (behind < LINES).then(line));
    }
}

#[cfg(test)]
mod tests;
