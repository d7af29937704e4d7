//! The file as it is written: sections, keys and the types of values, without their meaning.

use super::error::Fault;
use serde::de::{Error, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use toml::Spanned;

/// A value with its place in the text, if it was written.
pub type Maybe<T> = Option<Spanned<T>>;

/// The place of a value in the text.
pub fn place<T>(written: &Maybe<T>) -> Option<Range<usize>> {
    written.as_ref().map(Spanned::span)
}

/// One value, or a list of them.
#[derive(Debug)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<Spanned<T>>),
}

impl<T: Clone> OneOrMany<T> {
    /// All values, each with its place.
    pub fn each(written: &Spanned<OneOrMany<T>>) -> Vec<Spanned<T>> {
        match written.as_ref() {
            OneOrMany::One(value) => vec![Spanned::new(written.span(), value.clone())],
            OneOrMany::Many(list) => list.clone(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMany<T>, D::Error> {
        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

/// A visitor for one value or a list: an untagged enum would lose the places.
struct EitherVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EitherVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
        T::deserialize(text.into_deserializer()).map(OneOrMany::One)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<OneOrMany<T>, E> {
        T::deserialize(number.into_deserializer()).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<T>, A::Error> {
        let mut values = vec![];
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMany::Many(values))
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
    #[serde(default)]
    pub nat: Vec<Spanned<Nat>>,
    #[serde(default)]
    pub log: Vec<Spanned<Log>>,
    pub pair: Option<Pair>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataplane {
    pub workers: Maybe<Vec<Spanned<u16>>>,
    pub hugepages: Option<bool>,
    pub memory: Maybe<String>,
    pub max_flows: Maybe<u64>,
    pub failover_rate: Maybe<u64>,
    #[serde(default)]
    pub eal_args: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub socket: Maybe<String>,
    pub metrics: Maybe<String>,
    pub web: Maybe<String>,
    pub allow: Maybe<Vec<Spanned<String>>>,
    pub token: Maybe<String>,
    pub script_user: Maybe<String>,
    pub addresses: Maybe<String>,
    pub announce: Maybe<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub to: Spanned<String>,
    pub format: Maybe<String>,
    pub services: Maybe<Vec<Spanned<String>>>,
    pub outcomes: Maybe<Vec<Spanned<String>>>,
    pub sample: Maybe<u64>,
    pub rate: Maybe<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub name: Spanned<String>,
    pub device: Spanned<String>,
    pub address: Spanned<Vec<Spanned<String>>>,
    pub gateway: Maybe<OneOrMany<String>>,
    pub vlan: Maybe<OneOrMany<u64>>,
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
    pub vip: Spanned<OneOrMany<String>>,
    pub port: Maybe<u64>,
    pub mode: Maybe<String>,
    pub snat: Maybe<Vec<Spanned<String>>>,
    pub addresses: Maybe<String>,
    pub announce: Maybe<String>,
    pub scheduler: Maybe<String>,
    pub slow_start: Maybe<String>,
    pub persistence: Maybe<String>,
    pub persistence_prefix: Maybe<u64>,
    pub persistence_prefix_v6: Maybe<u64>,
    pub idle_timeout: Maybe<String>,
    pub transitory_timeout: Maybe<String>,
    pub drain_timeout: Maybe<String>,
    pub data_port: Maybe<u64>,
    pub foreign_data: Maybe<bool>,
    pub broadcast: Maybe<bool>,
    pub failover: Maybe<bool>,
    pub read_only: Maybe<bool>,
    pub allow_files: Maybe<Vec<Spanned<String>>>,
    pub deny_files: Maybe<Vec<Spanned<String>>>,
    pub allow_clients: Maybe<Vec<Spanned<String>>>,
    pub max_requests_per_client: Maybe<u64>,
    pub max_connections_per_client: Maybe<u64>,
    pub max_blksize: Maybe<u64>,
    pub max_windowsize: Maybe<u64>,
    pub strip_options: Maybe<Vec<Spanned<String>>>,
    pub health: Option<Health>,
    #[serde(default)]
    pub rule: Vec<Spanned<Rule>>,
    #[serde(default)]
    pub backend: Vec<Spanned<Backend>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub files: Maybe<Vec<Spanned<String>>>,
    pub operation: Maybe<String>,
    pub clients: Maybe<Vec<Spanned<String>>>,
    pub backends: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub name: Spanned<String>,
    pub address: Spanned<String>,
    pub aliases: Maybe<Vec<Spanned<String>>>,
    pub mac: Maybe<OneOrMany<String>>,
    pub weight: Maybe<u64>,
    pub max_transfers: Maybe<u64>,
    pub passive_ports: Maybe<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub check: Spanned<String>,
    pub file: Maybe<String>,
    pub size: Maybe<u64>,
    pub sha256: Maybe<String>,
    pub user: Maybe<String>,
    pub password: Maybe<String>,
    pub port: Maybe<u64>,
    pub command: Maybe<OneOrMany<String>>,
    pub interval: Maybe<String>,
    pub timeout: Maybe<String>,
    pub rise: Maybe<u64>,
    pub fall: Maybe<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nat {
    pub from: Spanned<String>,
    pub protocol: Spanned<String>,
    pub source_port: Maybe<u64>,
    pub to: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub listen: Spanned<String>,
    pub peer: Spanned<String>,
    pub key: Spanned<String>,
    pub sync_after: Maybe<String>,
}

impl File {
    /// Parses a text.
    pub fn read(text: &str) -> Result<File, Fault> {
        toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let written = text.get(span.clone()).unwrap_or_default();
            let unknown = error.message().strip_prefix("unknown field");
            match unknown {
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
