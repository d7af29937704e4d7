//! JSON-RPC 2.0: messages on a line, in either direction.

use crate::api::{Error, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Methods without parameters.
const BARE: [&str; 7] = ["status", "pair", "services", "backends", "stats", "drops", "nat"];
/// Methods with parameters.
const OTHERS: [&str; 12] = [
    "ready", "flows", "log", "clients", "dropped", "capture", "routes", "hash", "order", "weight",
    "gate", "reload",
];

/// The line of a request.
pub fn request(request: &Request) -> String {
    let mut message = serde_json::to_value(request).unwrap_or_default();
    message["jsonrpc"] = json!("2.0");
    message["id"] = json!(1);
    message.to_string()
}

/// Parses a request: its id, and the request itself.
pub fn read(line: &str) -> (Value, Result<Request, Error>) {
    match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(message)) => {
            (message.get("id").cloned().unwrap_or(Value::Null), understand(message))
        }
        Ok(Value::Array(_)) => {
            (Value::Null, Err(Error::Request("batches are not supported".into())))
        }
        Ok(_) => (Value::Null, Err(Error::Request("not an object".into()))),
        Err(error) => (Value::Null, Err(Error::Parse(error.to_string()))),
    }
}

fn understand(mut message: Map<String, Value>) -> Result<Request, Error> {
    if message.remove("jsonrpc") != Some(json!("2.0")) {
        return Err(Error::Request("`jsonrpc` is not \"2.0\"".into()));
    }
    message.remove("id");
    let Some(Value::String(method)) = message.get("method").cloned() else {
        return Err(Error::Request("there is no `method`".into()));
    };
    let is_bare = BARE.contains(&method.as_str());
    if !is_bare && !OTHERS.contains(&method.as_str()) {
        return Err(Error::Method(method));
    }
    message.entry("params").or_insert_with(|| json!({}));
    if message.len() > 2 {
        return Err(Error::Request("a member that JSON-RPC does not have".into()));
    }
    if is_bare && message["params"] != json!({}) {
        return Err(Error::Params(format!("`{method}` takes none")));
    }
    serde_json::from_value(Value::Object(message)).map_err(|e| Error::Params(e.to_string()))
}

/// The line of an answer.
pub fn answer(id: Value, answer: Result<Value, Error>) -> String {
    let mut message = json!({ "jsonrpc": "2.0", "id": id });
    match answer {
        Ok(result) => message["result"] = result,
        Err(error) => {
            message["error"] = json!({ "code": error.code(), "message": error.to_string() });
        }
    }
    message.to_string()
}

/// The line of a notification: a further message of an answer.
pub fn notification(params: &impl Serialize) -> String {
    json!({ "jsonrpc": "2.0", "method": "captured", "params": params }).to_string()
}

/// Parses a notification: its parameters; `None` for anything else.
pub fn params(line: &str) -> Option<Value> {
    let mut message: Value = serde_json::from_str(line).ok()?;
    Some(message.get_mut("params")?.take())
}

/// Parses an answer: the result, or the error's message; `None` for anything else.
pub fn result(line: &str) -> Option<Result<Value, String>> {
    let mut message: Value = serde_json::from_str(line).ok()?;
    if let Some(error) = message.get("error") {
        return Some(Err(error.get("message")?.as_str()?.to_owned()));
    }
    Some(Ok(message.get_mut("result")?.take()))
}
