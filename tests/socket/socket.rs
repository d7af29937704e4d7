//! The control socket of a daemon over a fake worker, and connections to it.

use crate::fake_worker::FakeWorker;
use crate::server::{EXAMPLE, TOKEN, listener, read, serve, snapshot, view};
use control::kernel::KernelView;
use control::server::Place;
use engine::counters::{Counters, Room};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::lab::uninterrupted;
use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Sender};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;
use worker::command_channel::WorkerChannel;

/// A server on its own thread, and a worker that answers queries for flows.
pub struct Socket {
    /// The socket's path.
    pub path: PathBuf,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where HTTP is served to [`crate::server::ALLOWED`] clients with the [`TOKEN`].
    pub guarded: SocketAddr,
    /// Configuration file.
    pub file: PathBuf,
    /// Frames that the worker drops as `no-service`.
    pub frames: Sender<Vec<u8>>,
    _folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    worker_stop: Arc<AtomicBool>,
    /// Whether the worker makes records of refused requests.
    pub makes_records: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Socket {
    pub fn open(worker_answers: bool) -> Socket {
        Socket::watching(worker_answers, view())
    }

    /// Opens the socket of a daemon with this view of the kernel's.
    pub fn watching(worker_answers: bool, view: KernelView) -> Socket {
        let text = std::fs::read_to_string(EXAMPLE).expect("an example");
        Socket::with(&text, worker_answers, view)
    }

    /// Opens the socket of a daemon with this configuration, which has the example's interfaces.
    pub fn with(text: &str, worker_answers: bool, view: KernelView) -> Socket {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("not/there/yet/control.sock");
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, text).expect("a configuration");
        let counters = Counters::new(Room::of(&snapshot(&read(&file), &view), 2));
        let channel = WorkerChannel::new(Arc::new(counters));
        channel.counters.packets.received.add(7);
        channel.counters.load.busy.add(1_500_000_000);
        channel.counters.load.idle.add(500_000_000);
        channel.counters.verdict(Verdict::Drop(DropReason::BadTftp), 0);
        channel.counters.backends[0].started.add(3);
        channel.counters.backends[0].ended.add(1);
        channel.counters.refusals[0].file.add(5);

        let worker_stop = Arc::new(AtomicBool::new(!worker_answers));
        let (stopped, for_worker) = (Arc::clone(&worker_stop), channel.clone());
        let (frames, to_drop) = mpsc::channel();
        let makes_records = Arc::new(AtomicBool::default());
        let records = Arc::clone(&makes_records);
        let worker = spawn(move || {
            let mut worker = FakeWorker::new(for_worker, to_drop, records);
            while !stopped.load(Relaxed) {
                worker.turn();
            }
        });
        let (stop, stopped) = oneshot::channel();
        let place = Place::take(&path).expect("the place is free");
        let of_server = file.clone();
        let listeners = ["127.0.0.1:0", "[::]:0"].map(listener);
        let [http, guarded] = listeners.each_ref().map(|one| one.address().expect("a port"));
        let token = folder.path().join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).expect("a token");
        std::fs::set_permissions(&token, Permissions::from_mode(0o600)).expect("a mode");
        let places = (place, listeners, token);
        let server = spawn(move || serve(places, channel, of_server, view, stopped));
        let socket = Socket {
            path,
            http,
            guarded,
            file,
            frames,
            _folder: folder,
            stop: Some(stop),
            worker_stop,
            makes_records,
            threads: vec![worker, server],
        };
        let start = Instant::now();
        // It is there a moment before it listens.
        while UnixStream::connect(&socket.path).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the socket does not open");
            std::thread::sleep(Duration::from_millis(5));
        }
        socket
    }

    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(&self.path).expect("the socket is open");
        stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
        Connection(BufReader::new(stream))
    }

    /// Replaces a text in the configuration's file.
    pub fn edit(&self, this: &str, that: &str) {
        let text = std::fs::read_to_string(&self.file).expect("the file");
        assert!(text.contains(this), "{this}");
        std::fs::write(&self.file, text.replacen(this, that, 1)).expect("the file");
    }

    /// Reloads the file.
    pub fn reload(&self) {
        let output = self.tidegate("reload");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The answer to one line, on a connection of its own.
    pub fn ask(&self, line: &str) -> Value {
        self.connect().ask(line)
    }

    pub fn tidegate(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("--socket")
            .arg(&self.path)
            .args(command.split_whitespace())
            .output()
            .expect("tidegate runs")
    }

    pub fn close(mut self) -> PathBuf {
        self.end();
        self.path.clone()
    }

    fn end(&mut self) {
        self.worker_stop.store(true, Relaxed);
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            thread.join().expect("it ends");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end();
    }
}

/// A connection to the socket.
pub struct Connection(pub BufReader<UnixStream>);

impl Connection {
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is open");
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line
    }

    pub fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        serde_json::from_str(&self.line()).expect("JSON")
    }

    /// Whether the connection ends, whatever it still says.
    pub fn ends(&mut self) -> bool {
        uninterrupted(|| self.0.read_to_end(&mut vec![])).is_ok()
    }

    pub fn is_closed(&mut self) -> bool {
        matches!(uninterrupted(|| self.0.read(&mut [0])), Ok(0))
    }
}
