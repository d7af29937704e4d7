//! Examples and documents hold what they show: configurations load, commands parse, links lead somewhere.

mod commands;
mod configurations;
mod documents;
mod form;
mod markdown;
mod monitoring;
mod places;
mod source;

use control::config;
use std::path::Path;

#[test]
fn every_example_loads() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let folders = ["", "keepalived", "bird"].map(|folder| conf.join(folder));
    let mut loaded = 0;
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            config::load(&path).unwrap_or_else(|error| panic!("{error}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "{loaded} examples");
}

#[test]
fn the_minimal_one_is_the_full_one_s_defaults() {
    let load = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name);
        config::load(&path).unwrap().config
    };
    let (minimal, full) = (load("minimal.toml"), load("full.toml"));
    assert_eq!(minimal.dataplane, full.dataplane);
    assert_eq!(minimal.control, full.control);
    assert_eq!(minimal.interfaces[0].mtu, full.interfaces[0].mtu);
    assert_eq!(minimal.services[0].port, full.services[0].port);
    assert_eq!(minimal.services[0].idle_timeout, full.services[0].idle_timeout);
}
