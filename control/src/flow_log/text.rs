//! The readable form of a line, in the order that HAProxy's log has made usual: who, where, what, how it ended, how long.

use super::record::Line;
use std::fmt::{Display, Formatter, Result};

impl Display for Line {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let backend = self.end.as_ref().map_or("-", |end| &end.backend);
        write!(f, "{}:{} {}/{backend}", bracketed(&self.client), self.client_port, self.service)?;
        if let Some(request) = &self.request {
            let operation = request.operation.unwrap_or("request");
            write!(f, " {operation} {}", quoted(&request.file))?;
        }
        if let Some(connection) = &self.connection {
            write!(f, " {} connection", connection.kind)?;
        }
        write!(f, " {}", self.outcome)?;
        if let Some(reason) = self.reason {
            write!(f, " ({reason})")?;
        }
        if let Some(transfer) = &self.transfer {
            write!(f, " {} B {} blocks", transfer.bytes, transfer.blocks)?;
        }
        if let Some(connection) = &self.connection {
            write!(f, " {} B in {} B out", connection.bytes_in, connection.bytes_out)?;
        }
        self.end(f)?;
        self.details(f)
    }
}

impl Line {
    fn end(&self, f: &mut Formatter) -> Result {
        let Some(end) = &self.end else { return Ok(()) };
        write!(f, " {:.3} s", f64::from(end.duration_ms) / 1000.0)?;
        if let Some(answer) = end.answer_ms {
            write!(f, " answer={:.3}", f64::from(answer) / 1000.0)?;
        }
        if let Some(first) = &end.first_backend {
            write!(f, " first={first} moves={}", end.moves)?;
        }
        write!(f, " why={}", end.why)
    }

    fn details(&self, f: &mut Formatter) -> Result {
        if let Some(transfer) = &self.transfer {
            write!(f, " blksize={} windowsize={}", transfer.blksize, transfer.windowsize)?;
            write!(f, " repeats={}/{}", transfer.repeats_client, transfer.repeats_server)?;
            if let (Some(code), Some(text)) = (transfer.error_code, &transfer.error_text) {
                write!(f, " error={code} {text:?}")?;
            }
        }
        write!(f, " mac={}", self.client_mac)
    }
}

/// An IPv6 address in brackets.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// A file name, in quotes if words could not be told apart without.
fn quoted(file: &str) -> String {
    if file.contains([' ', '"', '\\']) || file.is_empty() {
        format!("{file:?}")
    } else {
        file.to_owned()
    }
}
