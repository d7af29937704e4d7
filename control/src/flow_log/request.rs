//! The TFTP request of a record.

use crate::foreign_text::percent_encoded;
use engine::alg::tftp::takeover::Terms;
use engine::flow::saved_request::SavedRequest;
use serde::Serialize;
use wire::tftp::{Message, Request};

/// A TFTP request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// `read` or `write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// The file name; bytes that are no UTF-8 and acting characters are percent-encoded. Of a long one, the end.
    pub file: String,
    /// `octet`, `netascii` or what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_mode: Option<String>,
    /// Options that the client asked for, as `name=value`, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_asked: Option<String>,
}

impl Asked {
    /// The request that a worker kept.
    pub fn new(kept: &SavedRequest) -> Asked {
        let whole = kept.whole().and_then(|bytes| match Message::parse(bytes) {
            Ok(Message::Request(request)) => Some((request, bytes)),
            Ok(_) | Err(_) => None,
        });
        let Some((request, bytes)) = whole else {
            let (operation, transfer_mode, options_asked) = (None, None, None);
            return Asked {
                operation,
                file: percent_encoded(kept.bytes()),
                transfer_mode,
                options_asked,
            };
        };
        Asked {
            operation: Some(if request.is_write { "write" } else { "read" }),
            file: percent_encoded(request.file),
            transfer_mode: words(bytes, &request).next(),
            options_asked: options(bytes, &request),
        }
    }
}

/// The options that the server granted otherwise than the request asked, as `name=value` with what holds, separated by commas.
/// One that it left out holds its default.
pub fn changed(kept: &SavedRequest, granted: &Terms) -> Option<String> {
    let Ok(Message::Request(request)) = Message::parse(kept.whole()?) else { return None };
    let asked = [request.options.blksize(), request.options.windowsize()];
    let holds = [("blksize", granted.blksize()), ("windowsize", granted.windowsize())];
    let others = holds.into_iter().zip(asked);
    let others = others.filter(|((_, holds), asked)| asked.is_some_and(|asked| asked != *holds));
    let pairs: Vec<_> = others.map(|((name, value), _)| format!("{name}={value}")).collect();
    Some(pairs.join(",")).filter(|pairs| !pairs.is_empty())
}

/// The words behind the file name of a request: the mode, then names and values of options.
fn words<'a>(bytes: &'a [u8], request: &Request) -> impl Iterator<Item = String> + use<'a> {
    let behind = bytes.get(2 + request.file.len() + 1..).unwrap_or_default();
    let behind = behind.strip_suffix(b"\0").unwrap_or(behind);
    behind.split(|&byte| byte == 0).map(|word| percent_encoded(word).to_ascii_lowercase())
}

fn options(bytes: &[u8], request: &Request) -> Option<String> {
    let all: Vec<_> = words(bytes, request).skip(1).collect();
    let pairs = all.chunks(2).map(|pair| pair.join("="));
    Some(pairs.collect::<Vec<_>>().join(",")).filter(|options| !options.is_empty())
}
