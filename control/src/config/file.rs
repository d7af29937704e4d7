//! The file as it is written: the grammar of section and key, and nothing of what it means.

use super::error::Fault;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use toml::Spanned;

/// A value whose place is known, if it was written.
pub type Maybe<T> = Option<Spanned<T>>;

/// One text, or a list of them.
#[derive(Debug)]
pub enum Texts {
    One(String),
    List(Vec<Spanned<String>>),
}

impl Texts {
    /// All of them, each with its place.
    pub fn each(written: &Spanned<Texts>) -> Vec<Spanned<String>> {
        match written.as_ref() {
            Texts::One(text) => vec![Spanned::new(written.span(), text.clone())],
            Texts::List(list) => list.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

/// An untagged enum would lose the places.
struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = vec![];
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Texts::List(texts))
    }
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub dataplane: Dataplane,
    #[serde(default)]
    pub control: Control,
    #[serde(default)]
    pub interface: Vec<Spanned<Interface>>,
    #[serde(default)]
    pub service: Vec<Spanned<Service>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataplane {
    pub workers: Maybe<Vec<Spanned<u16>>>,
    pub hugepages: Option<bool>,
    pub memory: Maybe<String>,
    pub max_flows: Maybe<u64>,
    #[serde(default)]
    pub eal_args: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub socket: Maybe<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub name: Spanned<String>,
    pub device: Spanned<String>,
    pub address: Spanned<Vec<Spanned<String>>>,
    pub gateway: Maybe<Texts>,
    pub mtu: Maybe<u64>,
    pub queues: Maybe<u64>,
    pub rx_ring: Maybe<u64>,
    pub tx_ring: Maybe<u64>,
    pub burst: Maybe<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: Spanned<String>,
    pub protocol: Spanned<String>,
    pub vip: Spanned<Texts>,
    pub port: Maybe<u64>,
    pub mode: Maybe<String>,
    pub snat: Maybe<Vec<Spanned<String>>>,
    pub scheduler: Maybe<String>,
    pub persistence: Maybe<String>,
    pub idle_timeout: Maybe<String>,
    #[serde(default)]
    pub backend: Vec<Spanned<Backend>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub name: Spanned<String>,
    pub address: Spanned<String>,
    pub aliases: Maybe<Vec<Spanned<String>>>,
    pub mac: Maybe<String>,
    pub weight: Maybe<u64>,
}

/// Keys that Tidegate will have, and that no version may ignore until then.
const LATER: [&str; 4] = ["metrics", "vlan", "broadcast", "health"];

impl File {
    /// Reads the text.
    pub fn read(text: &str) -> Result<File, Fault> {
        toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let written = text.get(span.clone()).unwrap_or_default();
            let unknown = error.message().strip_prefix("unknown field");
            match unknown {
                Some(_) if LATER.contains(&written) => Fault::at(
                    span,
                    format!("`{written}` is not supported in this version"),
                    "leave it out",
                ),
                Some(known) => {
                    let known = known.split_once("expected ").map_or("", |(_, known)| known);
                    Fault::at(
                        span,
                        format!("unknown key `{written}`"),
                        format!("known here: {known}"),
                    )
                }
                None => Fault::at(span, error.message().replace("field", "key"), "here"),
            }
        })
    }
}
