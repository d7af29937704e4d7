//! The server of the Unix socket: a task for each connection, a line for each request. Bad input is answered with an
//! error or a closed connection, and affects nothing else.

use crate::api::{CaptureFilter, Error, Request};
use crate::daemon::Daemon;
use crate::seats::{MOST, Seat, Seats};
use crate::{jsonrpc, private, unix_socket};
use serde_json::{Value, json};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

/// The longest request in bytes.
const LONGEST: u64 = 64 * 1024;
/// Time after which a client that has not finished its line, or not read its answer, is disconnected.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket's path, locked against other daemons.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Place {
    /// Locks the path, before anything else is started. A missing folder is created, for owner and group.
    ///
    /// # Errors
    ///
    /// Another daemon holds the lock, or the file system refuses it.
    pub fn take(path: &Path) -> Result<Place, String> {
        let failed = |error| cannot_use(path, &error);
        if let Some(folder) = path.parent() {
            private::folder(folder, path).map_err(failed)?;
        }
        let lock_path = unix_socket::lock_path(path);
        let lock = private::open_or_create(&lock_path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Place { path: path.to_owned(), lock_path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "another tidegated runs on the socket {}: stop it, or set control.socket",
                path.display()
            )),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Opens the socket, which owner and group may use. The socket of a killed daemon is replaced.
    ///
    /// # Errors
    ///
    /// Something else is there, or the file system refuses it.
    pub fn listen(self) -> Result<Server, String> {
        match unix_socket::open(&self.path).and_then(UnixListener::from_std) {
            Ok(listener) => Ok(Server { listener, place: self }),
            Err(error) => Err(cannot_use(&self.path, &error)),
        }
    }
}

fn cannot_use(path: &Path, error: &io::Error) -> String {
    format!("cannot use the socket {}: {error}", path.display())
}

/// The open socket; dropping it removes it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    place: Place,
}

impl Server {
    /// Serves until the future is dropped, in a `LocalSet`.
    pub async fn run(self, daemon: Rc<Daemon>) {
        let seats = Seats::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let seat = seats.take(is_own(&stream));
                    let daemon = Rc::clone(&daemon);
                    spawn_local(async move {
                        // A client that has gone is no news.
                        let _ = match seat {
                            Some(seat) => serve(stream, &seat, &daemon).await,
                            None => refuse(stream).await,
                        };
                    });
                    // The request is read before another connection can take the seat.
                    yield_now().await;
                }
                Err(error) => {
                    log::warn!("cannot accept a connection on the socket: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Whether the client is root, or the daemon's own user.
fn is_own(stream: &UnixStream) -> bool {
    let user = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [0, user].contains(&peer.uid()))
}

impl Drop for Server {
    fn drop(&mut self) {
        // They may have been removed already.
        let _ = fs::remove_file(&self.place.path);
        let _ = fs::remove_file(&self.place.lock_path);
    }
}

/// Serves one connection until its end, or until it has to make room.
async fn serve(stream: UnixStream, seat: &Seat, daemon: &Rc<Daemon>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let ended = tokio::select! {
        biased;
        () = seat.taken() => None,
        ended = converse(&mut reader, &mut writer, seat, daemon) => Some(ended),
    };
    if let Some(ended) = ended {
        return ended;
    }
    // This must not wait: the client may read nothing.
    let line = jsonrpc::answer(Value::Null, Err(full("this one had to make room")));
    writer.try_write(format!("{line}\n").as_bytes()).map(|_len| ())
}

async fn converse(
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    seat: &Seat,
    daemon: &Rc<Daemon>,
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(line) = timeout(PATIENCE, next_line(&mut reader)).await?? {
        let (id, request) = match line {
            Ok(line) => jsonrpc::read(&line),
            Err(error) => {
                return send(writer, &jsonrpc::answer(Value::Null, Err(error))).await;
            }
        };
        seat.is_answered();
        let answer = match request {
            Ok(Request::Capture(filter)) => {
                return stream_capture((&mut reader, writer), seat, daemon, id, filter).await;
            }
            Ok(request) => daemon.answer(request).await,
            Err(error) => Err(error),
        };
        seat.is_sent_to();
        send(writer, &jsonrpc::answer(id, answer)).await?;
        seat.is_waited_for();
    }
    Ok(())
}

/// Sends a capture's frames until the client goes. While it does not read, frames are lost; it makes room for other
/// connections as any that does not read its answer.
async fn stream_capture(
    (reader, writer): (&mut BufReader<&mut OwnedReadHalf>, &mut OwnedWriteHalf),
    seat: &Seat,
    daemon: &Rc<Daemon>,
    id: Value,
    filter: CaptureFilter,
) -> io::Result<()> {
    let started = daemon.capture(filter).await;
    seat.is_sent_to();
    let mut running = match started {
        Ok(running) => running,
        Err(error) => return send(writer, &jsonrpc::answer(id, Err(error))).await,
    };
    send(writer, &jsonrpc::answer(id, Ok(json!(running.start)))).await?;
    let frames = async {
        while let Some(message) = running.messages.recv().await {
            writer.write_all(format!("{}\n", jsonrpc::notification(&message)).as_bytes()).await?;
        }
        Ok(())
    };
    tokio::select! {
        // Whatever else the client says ends the capture, too.
        _ = reader.read_u8() => Ok(()),
        sent = frames => sent,
    }
}

fn full(what: &str) -> Error {
    Error::Limit(format!("more than {MOST} connections at a time: {what}"))
}

async fn refuse(stream: UnixStream) -> io::Result<()> {
    let error = full("all of them are being answered");
    let (_, mut writer) = stream.into_split();
    send(&mut writer, &jsonrpc::answer(Value::Null, Err(error))).await
}

/// Reads a line without its end; `None` when there is no further one. The inner error is an answer to the client.
async fn next_line(
    reader: &mut BufReader<&mut OwnedReadHalf>,
) -> io::Result<Option<Result<String, Error>>> {
    let mut bytes = vec![];
    reader.take(LONGEST).read_until(b'\n', &mut bytes).await?;
    if bytes.pop_if(|last| *last == b'\n').is_none() {
        let cut = bytes.len() as u64 == LONGEST;
        let error = Error::Limit(format!("a request is at most {LONGEST} bytes long"));
        return Ok(cut.then_some(Err(error)));
    }
    // JSON is UTF-8: what is not becomes an error when it is read.
    Ok(Some(Ok(String::from_utf8_lossy(&bytes).into_owned())))
}

async fn send(writer: &mut OwnedWriteHalf, line: &str) -> io::Result<()> {
    timeout(PATIENCE, writer.write_all(format!("{line}\n").as_bytes())).await?
}
