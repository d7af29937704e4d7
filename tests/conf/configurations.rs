//! Configurations in documents are loaded as `tidegated --check` loads a file.
//!
//! A block ```` ```toml ```` is a whole configuration. ```` ```toml fragment ```` completes [`FRAME`]: its sections replace those of
//! the same name, and a section of a service (`[service.health]`) without a `[[service]]` goes into the frame's
//! service. ```` ```toml fragment TABLE ```` has keys of one table. A code span `key = value` has to load in one table of some service.

use crate::markdown::{self, Block, Document};
use control::config;
use toml::{Table, Value};

/// The configuration that completes fragments.
const FRAME: &str = r#"
[[interface]]
name    = "lan"
device  = "0000:03:00.0"
address = ["10.0.0.2/15", "fd00::2/64"]

[[service]]
name     = "pxe"
protocol = "tftp"
vip      = "10.0.0.100"

[[service.backend]]
name    = "tftp1"
address = "10.0.0.30"

[[service.backend]]
name    = "tftp2"
address = "10.0.0.31"
"#;

/// Services of other kinds, for code spans with keys that only these have.
const KINDS: [&str; 8] = [
    "",
    "snat = [\"10.0.0.101\", \"fd00::101\"]",
    "mode = \"dsr\"",
    "protocol = \"ftp\"",
    "protocol = \"tcp\"\nport = 22",
    "protocol = \"udp\"\nport = 53",
    "protocol = \"any\"\nmode = \"dsr\"",
    "persistence = \"100s\"",
];

const TABLES: [&str; 6] = ["service", "interface", "backend", "health", "dataplane", "control"];

/// Lays one table over another one. A table over an array of tables goes into its first element.
fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Array(under)), Value::Table(over)) => {
                if let Some(Value::Table(first)) = under.first_mut() {
                    overlay(first, over);
                }
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Puts a fragment's keys under the table that they are of.
fn within(table: &str, keys: Table) -> Result<Table, String> {
    let under = |name: &str, value: Table| Table::from_iter([(name.into(), Value::Table(value))]);
    Ok(match table {
        "service" | "interface" | "dataplane" | "control" => under(table, keys),
        "backend" | "health" => under("service", under(table, keys)),
        _ => return Err(format!("there is no table `{table}` for a fragment")),
    })
}

fn check(text: &str) -> Result<(), String> {
    config::read("document", text).map(drop).map_err(|faults| faults.to_string())
}

fn completed(fragment: Table) -> Result<(), String> {
    let mut whole: Table = FRAME.parse().expect("a frame");
    overlay(&mut whole, fragment);
    check(&whole.to_string())
}

/// Loads a block; `words` are those behind `toml`.
fn load(words: &[&str], text: &str) -> Result<(), String> {
    let fragment = || text.parse::<Table>().map_err(|error| error.to_string());
    match words {
        [] => check(text),
        ["fragment"] => completed(fragment()?),
        ["fragment", table] => completed(within(table, fragment()?)?),
        _ => Err(format!("{words:?} says nothing about a configuration")),
    }
}

/// The words behind `toml`, if the block is a configuration.
fn words(block: &Block) -> Option<Vec<&str>> {
    let mut words = block.info.as_deref()?.split_whitespace();
    (words.next() == Some("toml")).then(|| words.collect())
}

/// Whether a code span says `key = value`.
fn is_assignment(span: &str) -> bool {
    let key = span.split_once(" = ").map(|(key, _)| key);
    key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c)))
}

fn loads_somewhere(span: &str) -> bool {
    let places = KINDS.iter().flat_map(|kind| TABLES.map(|table| (kind, table)));
    places.into_iter().any(|(kind, table)| {
        let Ok(keys) = span.parse::<Table>() else { return false };
        let Ok(kind) = within("service", kind.parse().expect("a kind")) else { return false };
        let mut whole: Table = FRAME.parse().expect("a frame");
        overlay(&mut whole, kind);
        within(table, keys).is_ok_and(|keys| {
            overlay(&mut whole, keys);
            check(&whole.to_string()).is_ok()
        })
    })
}

fn faults(document: &Document) -> Vec<String> {
    let blocks = document.blocks.iter().filter_map(|block| {
        let fault = load(&words(block)?, &block.text).err()?;
        Some(format!("{}:{}: {fault}", document.name, block.line))
    });
    let spans = document.spans.iter().filter(|(_, span)| is_assignment(span));
    let spans = spans.filter(|(_, span)| !loads_somewhere(span));
    let spans = spans.map(|(line, span)| format!("{}:{line}: `{span}`", document.name));
    blocks.chain(spans).collect()
}

#[test]
fn configurations_in_documents_load() {
    let all = markdown::all();
    let faults: Vec<_> = all.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The faults of a document with this one block.
fn faults_of(info: &str, text: &str) -> Vec<String> {
    faults(&Document::parse("a.md", &format!("```{info}\n{text}\n```\n")))
}

#[test]
fn a_wrong_configuration_is_found() {
    let wrong = [
        ("toml", "[[interface]]\nname = \"lan\""),
        ("toml", &*FRAME.replace("vip ", "vpi ")),
        ("toml fragment", "[[service.rule]]\nfiles = [\"*\"]\nbackends = [\"tftp3\"]"),
        ("toml fragment", "[servce.health]\ncheck = \"tcp\""),
        ("toml fragment service", "idle_timeot = \"60s\""),
        ("toml fragment backend", "passive_ports = \"50000-50099\""),
        ("toml fragment rule", "operation = \"read\""),
        ("toml whole", FRAME),
    ];
    for (info, text) in wrong {
        assert_eq!(faults_of(info, text).len(), 1, "{info}: {text}");
    }
}

#[test]
fn a_right_configuration_loads() {
    let right = [
        ("toml", FRAME),
        ("toml fragment", "[[service.rule]]\nfiles = [\"*\"]\nbackends = [\"tftp2\"]"),
        ("toml fragment", "[service.health]\ncheck = \"icmp\""),
        ("toml fragment", "[dataplane]\nworkers = [1, 2]"),
        ("toml fragment service", "idle_timeout = \"60s\""),
        ("toml fragment backend", "max_transfers = 50"),
        ("text", "idle_timeot = 1"),
    ];
    for (info, text) in right {
        assert_eq!(faults_of(info, text), Vec::<String>::new(), "{info}: {text}");
    }
}

#[test]
fn a_wrong_assignment_in_a_line_is_found() {
    let text =
        "`drain_timeout = \"60s\"`, `vlan = 212`, `a = b`, `max_blksize = \"1428\"`, `x == y`";
    assert_eq!(faults(&Document::parse("a.md", text)).len(), 2);
}
