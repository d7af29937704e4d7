//! Where lines go: a file, the journal, syslog, standard error, the web page.

use super::recent::Recent;
use super::record::Line;
use crate::config::{LogFormat, LogTarget};
use log::kv::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use systemd_journal_logger::JournalLog;

/// The local syslog daemon's socket.
const SYSLOG: &str = "/dev/log";
/// Facility `daemon` (3) and severity `informational` (6) of RFC 3164 §4.1.1.
const PRIORITY: u8 = 3 * 8 + 6;
/// The name that the journal and syslog know the lines by.
const IDENTIFIER: &str = "tidegate";

/// An open place for lines.
pub enum Sink {
    File(File),
    /// The journal; `None`: it was away, and is looked for at every line.
    Journald(Option<JournalLog>),
    /// A socket that never waits, and the daemon's.
    Syslog(UnixDatagram, PathBuf),
    Stderr,
    WebPage(Recent),
}

impl Sink {
    /// Opens a place for lines; `recent` is the web page's.
    ///
    /// # Errors
    ///
    /// A file or socket that can't be had.
    pub fn open(target: &LogTarget, recent: &Recent) -> io::Result<Sink> {
        Ok(match target {
            LogTarget::File(path) => Sink::File(append(path)?),
            LogTarget::Journald => {
                // Packets go on without a journal.
                Sink::Journald(journal().ok())
            }
            LogTarget::Syslog => Sink::syslog(Path::new(SYSLOG))?,
            LogTarget::Stderr => Sink::Stderr,
            LogTarget::WebPage => Sink::WebPage(recent.clone()),
        })
    }

    fn syslog(daemon: &Path) -> io::Result<Sink> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Sink::Syslog(socket, daemon.to_owned()))
    }

    /// Whether lines go to the web page, which keeps only the last lines.
    pub fn is_page(&self) -> bool {
        matches!(self, Sink::WebPage(_))
    }

    /// Writes one line; `after_loss` tells that the one before may be torn.
    ///
    /// # Errors
    ///
    /// The line can't be written, or not now.
    pub fn write(&mut self, line: &Line, format: LogFormat, after_loss: bool) -> io::Result<()> {
        match self {
            Sink::File(file) => {
                let start = if after_loss { "\n" } else { "" };
                let time = if format == LogFormat::Text { &*line.time } else { "" };
                let space = if time.is_empty() { "" } else { " " };
                let text = form(line, format)?;
                file.write_all(format!("{start}{time}{space}{text}\n").as_bytes())
            }
            Sink::Journald(known) => {
                let journal = match known.take() {
                    Some(journal) => journal,
                    None => journal()?,
                };
                send(known.insert(journal), line, &form(line, format)?)
            }
            Sink::Syslog(socket, daemon) => {
                let (process, text) = (std::process::id(), form(line, format)?);
                let message = format!("<{PRIORITY}>{IDENTIFIER}[{process}]: {text}");
                socket.send_to(message.as_bytes(), daemon).map(|_len| ())
            }
            Sink::Stderr => writeln!(io::stderr(), "{}", form(line, format)?),
            Sink::WebPage(recent) => {
                recent.push(line.clone());
                Ok(())
            }
        }
    }
}

fn form(line: &Line, format: LogFormat) -> io::Result<String> {
    match format {
        LogFormat::Json => Ok(serde_json::to_string(line)?),
        LogFormat::Text => Ok(line.to_string()),
    }
}

fn journal() -> io::Result<JournalLog> {
    Ok(JournalLog::empty()?.with_syslog_identifier(IDENTIFIER.to_owned()))
}

/// Opens a file, a character device or a FIFO; a new file is private. Neither a FIFO that nobody reads nor a full one holds us
/// up, and no terminal becomes ours.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::Error::other("nobody reads this FIFO, or it is a socket"),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() || kind.is_fifo() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file, FIFO or character device"))
    }
}

/// Sends a line to the journal, each value as a field: `TIDEGATE_CLIENT=`.
fn send(journal: &JournalLog, line: &Line, text: &str) -> io::Result<()> {
    let fields = match serde_json::to_value(line)? {
        serde_json::Value::Object(fields) => fields,
        _ => return Ok(()),
    };
    let fields: Vec<(String, String)> = fields
        .into_iter()
        .map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("TIDEGATE_{}", key.to_uppercase()), value)
        })
        .collect();
    let values: Vec<(&str, Value)> =
        fields.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str()))).collect();
    let level = if line.is_failure { log::Level::Warn } else { log::Level::Info };
    let message = format_args!("{text}");
    let record = log::Record::builder().level(level).args(message).key_values(&values).build();
    journal.journal_send(&record)
}

/// The name of a target in messages.
pub fn name(target: &LogTarget) -> String {
    match target {
        LogTarget::File(path) => path.display().to_string(),
        LogTarget::Journald => "journald".to_owned(),
        LogTarget::Syslog => format!("syslog ({SYSLOG})"),
        LogTarget::Stderr => "stderr".to_owned(),
        LogTarget::WebPage => "the web page".to_owned(),
    }
}

#[cfg(test)]
mod tests;
