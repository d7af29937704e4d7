//! The Unix socket: a connection a task, a line a request. Whatever comes, the answer is an error or
//! a closed connection, and nothing else notices.

mod seats;

use crate::api::Error;
use crate::appliance::Appliance;
use crate::envelope;
use crate::private;
use seats::{MOST, Seat, Seats};
use serde_json::Value;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

/// Bytes of a request at the most.
const LONGEST: u64 = 64 * 1024;
/// A client that has not finished its line, or not read its answer, by then is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket's place, held against other daemons.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the place, before anything else is started. A folder that is missing is made, for owner and group.
    ///
    /// # Errors
    ///
    /// Another daemon has it, or the file system refuses it.
    pub fn take(path: &Path) -> Result<Place, String> {
        let failed = |error| cannot_use(path, &error);
        if let Some(folder) = path.parent() {
            private::folder(folder, path).map_err(failed)?;
        }
        let lock_path = path.with_added_extension("lock");
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

    /// Opens the socket, which owner and group may use. One that a killed daemon left is replaced.
    ///
    /// # Errors
    ///
    /// The file system refuses it.
    pub fn listen(self) -> Result<Server, String> {
        match open(&self.path) {
            Ok(listener) => Ok(Server { listener, place: self }),
            Err(error) => Err(cannot_use(&self.path, &error)),
        }
    }
}

fn open(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
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
    /// Serves until it is dropped, in a `LocalSet`.
    pub async fn run(&self, appliance: Rc<Appliance>) {
        let seats = Seats::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let seat = seats.take(is_own(&stream));
                    let appliance = Rc::clone(&appliance);
                    spawn_local(async move {
                        // A client that has gone is no news.
                        let _ = match seat {
                            Some(seat) => serve(stream, &seat, &appliance).await,
                            None => refuse(stream).await,
                        };
                    });
                    // Its request is read before others can take its seat.
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

/// Whether root is at the other end, or the daemon's own user.
fn is_own(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [0, own].contains(&peer.uid()))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody who removed them already has done no harm.
        let _ = fs::remove_file(&self.place.path);
        let _ = fs::remove_file(&self.place.lock_path);
    }
}

/// Serves one connection until its end, or until it has to make room.
async fn serve(stream: UnixStream, seat: &Seat, appliance: &Appliance) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let ended = tokio::select! {
        biased;
        () = seat.taken() => None,
        ended = converse(&mut reader, &mut writer, seat, appliance) => Some(ended),
    };
    if let Some(ended) = ended {
        return ended;
    }
    // Without waiting: it may be one that reads nothing.
    let line = envelope::answer(Value::Null, Err(full("this one had to make room")));
    writer.try_write(format!("{line}\n").as_bytes()).map(|_len| ())
}

async fn converse(
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    seat: &Seat,
    appliance: &Appliance,
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(line) = timeout(PATIENCE, next_line(&mut reader)).await?? {
        let (id, request) = match line {
            Ok(line) => envelope::read(&line),
            Err(error) => {
                return send(writer, &envelope::answer(Value::Null, Err(error))).await;
            }
        };
        seat.is_answered();
        let answer = match request {
            Ok(request) => appliance.answer(request).await,
            Err(error) => Err(error),
        };
        seat.is_sent_to();
        send(writer, &envelope::answer(id, answer)).await?;
        seat.is_waited_for();
    }
    Ok(())
}

fn full(what: &str) -> Error {
    Error::Limit(format!("more than {MOST} connections at a time: {what}"))
}

async fn refuse(stream: UnixStream) -> io::Result<()> {
    let error = full("all of them are being answered");
    let (_, mut writer) = stream.into_split();
    send(&mut writer, &envelope::answer(Value::Null, Err(error))).await
}

/// A line without its end; `None` when there is no further one. The inner error is the client's.
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
