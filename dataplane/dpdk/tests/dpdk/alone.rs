//! A test in a process of its own.

use std::process::{Command, Output, abort};
use std::time::Duration;
use std::{env, thread};

/// Set in the process that runs one test only.
const ALONE: &str = "DPDK_TEST_ALONE";
/// A test that takes longer hangs, and is aborted.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs `body`, the whole of the test of this name (with its module), in a process of its own, and fails if that
/// fails. Returns the output; `None` within that process itself.
pub fn alone(test: &str, body: impl FnOnce()) -> Option<Output> {
    if env::var_os(ALONE).is_some() {
        thread::spawn(|| {
            thread::sleep(LONGEST);
            abort();
        });
        body();
        return None;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}\n{complaints}", output.status);
    assert!(printed.contains("1 passed"), "no test {test}: {printed}");
    Some(output)
}
