//! A tidegated under measurement.

use kit::lab::{Process, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running tidegated, in a network namespace.
pub struct Gate {
    socket: PathBuf,
    process: Process,
}

/// A program of this build.
pub fn program(name: &str) -> PathBuf {
    Path::new("target/release").join(name).canonicalize().expect("it was built")
}

impl Gate {
    /// Starts tidegated with this configuration, whose control socket is `control.sock` in `folder`.
    pub fn start(space: &str, folder: &Path, text: &str) -> Gate {
        let config = folder.join("tidegate.toml");
        std::fs::write(&config, text).expect("the folder can be written");
        let log = std::fs::File::create(folder.join("gate.log")).expect("a log");
        let process = Command::new("ip")
            .args(["netns", "exec", space])
            .arg(program("tidegated"))
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("ip runs");
        Gate { socket: folder.join("control.sock"), process: Process(process) }
    }

    /// Waits until every VIP is live and every backend up.
    pub fn ready(&self) {
        until("tidegated is ready", || {
            let services = self.try_ask("services").map(|all| all.to_string());
            let backends = self.try_ask("backends").map(|all| all.to_string());
            services.is_some_and(|all| !all.contains("vip down"))
                && backends.is_some_and(|all| !all.contains("unresolved"))
        });
    }

    /// The answer of `tidegate`.
    pub fn ask(&self, command: &str) -> Value {
        self.try_ask(command).expect("tidegated answers")
    }

    fn try_ask(&self, command: &str) -> Option<Value> {
        let output = Command::new(program("tidegate"))
            .args(["--json", "--socket"])
            .arg(&self.socket)
            .arg(command)
            .output()
            .ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    pub fn stop(mut self) {
        self.process.terminate();
    }
}
