//! Notes the compiler's version, for the metric `tidegate_build_info`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(compiler).arg("--version").output().expect("rustc runs");
    // As in `rustc 1.95.0 (f2d3ce0bd 2026-03-21)`.
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.split_whitespace().nth(1).expect("rustc tells its version");
    println!("cargo::rustc-env=TIDEGATE_RUSTC={version}");
}
