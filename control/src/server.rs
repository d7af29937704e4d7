//! The Unix socket: a connection a task, a line a request. Whatever comes, the answer is an error or
//! a closed connection, and nothing else notices.

use crate::api::Error;
use crate::appliance::Appliance;
use crate::envelope;
use serde_json::Value;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// Bytes of a request at the most.
const LONGEST: u64 = 64 * 1024;
/// Connections at a time.
const CONNECTIONS: usize = 64;
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
    /// Takes the place, before anything else is started. A folder that is missing is made.
    ///
    /// # Errors
    ///
    /// Another daemon has it, or the file system refuses it.
    pub fn take(path: &Path) -> Result<Place, String> {
        let failed =
            |error: io::Error| format!("cannot use the socket {}: {error}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock_path = path.with_added_extension("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(failed)?;
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
    pub fn listen(self) -> io::Result<Server> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&self.path)?;
        fs::set_permissions(&self.path, Permissions::from_mode(0o660))?;
        Ok(Server { listener, place: self })
    }
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
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let place = Arc::clone(&places).try_acquire_owned();
                    let appliance = Rc::clone(&appliance);
                    spawn_local(async move {
                        // A client that has gone is no news.
                        let _ = match place {
                            Ok(_place) => serve(stream, &appliance).await,
                            Err(_) => refuse(stream).await,
                        };
                    });
                }
                Err(error) => {
                    log::warn!("cannot accept a connection on the socket: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody who removed them already has done no harm.
        let _ = fs::remove_file(&self.place.path);
        let _ = fs::remove_file(&self.place.lock_path);
    }
}

async fn serve(stream: UnixStream, appliance: &Appliance) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(line) = timeout(PATIENCE, next_line(&mut reader)).await?? {
        let (id, request) = match line {
            Ok(line) => envelope::read(&line),
            Err(error) => {
                return send(&mut writer, &envelope::answer(Value::Null, Err(error))).await;
            }
        };
        let answer = match request {
            Ok(request) => appliance.answer(request).await,
            Err(error) => Err(error),
        };
        send(&mut writer, &envelope::answer(id, answer)).await?;
    }
    Ok(())
}

async fn refuse(stream: UnixStream) -> io::Result<()> {
    let error = Error::Limit(format!("more than {CONNECTIONS} connections at a time"));
    let (_, mut writer) = stream.into_split();
    send(&mut writer, &envelope::answer(Value::Null, Err(error))).await
}

/// A line without its end; `None` when there is no further one. The inner error is the client's.
async fn next_line(
    reader: &mut BufReader<OwnedReadHalf>,
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
