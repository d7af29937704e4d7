//! The machine of the measurements.

use std::process::Command;

/// Processor, cores, kernel, DPDK and compiler.
pub fn describe() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name)
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = said("uname", &["-r"]);
    let dpdk = said("pkg-config", &["--modversion", "libdpdk"]);
    let rust = said("rustc", &["--version"]);
    format!("{processor}, {cores} cores, Linux {kernel}, DPDK {dpdk}, {rust}")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}
