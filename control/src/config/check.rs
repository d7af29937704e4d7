//! From what is written to what can be true. Every fault is collected, not only the first.

use super::address::Uses;
use super::error::Fault;
use super::file::{self, File, Maybe};
use super::types::{Config, Control, Dataplane, User};
use bytesize::ByteSize;
use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

const MEMORY: &str = "512 MiB";
const MAX_FLOWS: u32 = 262_144;

/// Blocks a second: some servers' worth.
const FAILOVER_RATE: u64 = 50_000;

/// Cores are counted in 16 bits, and DPDK has so many lcores at the least.
const MOST_WORKERS: usize = 64;

/// Checks a file.
///
/// # Errors
///
/// All its faults.
pub fn check(file: &File) -> Result<Config, Vec<Fault>> {
    let mut checker = Checker::default();
    let dataplane = checker.dataplane(&file.dataplane);
    checker.program_user = checker.script_user(&file.control.script_user);
    let config = Config {
        control: Control { socket: checker.socket(&file.control.socket) },
        interfaces: checker.interfaces(&file.interface, dataplane.workers.len()),
        dataplane,
        services: vec![],
        nat: vec![],
    };
    let services = checker.services(&file.service, &config.interfaces);
    let nat = checker.nat(&file.nat);
    if checker.faults.is_empty() {
        Ok(Config { services, nat, ..config })
    } else {
        Err(checker.faults)
    }
}

/// Findings so far. Sections of the file have their own parts of it, beside this one.
#[derive(Default)]
pub struct Checker {
    faults: Vec<Fault>,
    /// The uses of all addresses.
    pub uses: Uses,
    /// User that runs the programs of health checks, if there is one.
    pub program_user: Option<User>,
}

impl Checker {
    /// A fault at this place.
    pub fn fault(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::at(span, what, hint));
    }

    /// The value; or its fault is noted.
    pub fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn dataplane(&mut self, written: &file::Dataplane) -> Dataplane {
        let memory = written.memory.as_ref();
        Dataplane {
            workers: self.workers(&written.workers),
            hugepages: written.hugepages.unwrap_or(true),
            memory_mib: self.memory(memory),
            max_flows: self.number(&written.max_flows, MAX_FLOWS.into(), 1024..=1 << 25) as u32,
            failover_rate: self.number(&written.failover_rate, FAILOVER_RATE, 100..=10_000_000)
                as u32,
            eal_args: written.eal_args.clone(),
        }
    }

    fn workers(&mut self, written: &Maybe<Vec<Spanned<u16>>>) -> Vec<u16> {
        let Some(list) = written else { return vec![1] };
        if list.as_ref().is_empty() || list.as_ref().len() > MOST_WORKERS {
            let hint = format!("name 1 to {MOST_WORKERS} CPU cores");
            self.fault(list.span(), "wrong number of workers", hint);
        }
        let mut seen = HashSet::new();
        for core in list.as_ref() {
            if !seen.insert(*core.as_ref()) {
                let what = format!("core {} has two workers", core.as_ref());
                self.fault(core.span(), what, "name each core once");
            }
        }
        list.as_ref().iter().map(|core| *core.as_ref()).collect()
    }

    fn memory(&mut self, written: Option<&Spanned<String>>) -> u32 {
        let text = written.map_or(MEMORY, |written| written.as_ref());
        let size = text.parse::<ByteSize>().map(|size| size.as_u64() >> 20);
        match (size.map(u32::try_from), written) {
            (Ok(Ok(mib @ 64..)), _) => mib,
            (_, None) => 0,
            (_, Some(written)) => {
                let what = format!("`{text}` is no usable size of memory");
                self.fault(written.span(), what, "at least \"64 MiB\"");
                0
            }
        }
    }

    fn socket(&mut self, written: &Maybe<String>) -> PathBuf {
        let path = written.as_ref().map_or("/run/tidegate/control.sock", |path| path.as_ref());
        // A socket's address has room for 107 bytes (unix(7)).
        if let Some(written) = written
            && !(path.starts_with('/') && path.len() <= 107)
        {
            let hint = "write an absolute path of at most 107 bytes";
            self.fault(written.span(), "no socket can be there", hint);
        }
        PathBuf::from(path)
    }

    /// Names are there, and none is twice.
    pub fn unique<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
        let mut seen = HashSet::new();
        for name in names {
            if name.as_ref().is_empty() {
                self.fault(name.span(), format!("a {what} without a name"), "name it");
            } else if !seen.insert(name.as_ref()) {
                let fault = format!("two {what}s named `{}`", name.as_ref());
                self.fault(name.span(), fault, "names are unique");
            }
        }
    }

    /// A number in a range.
    pub fn number(
        &mut self,
        written: &Maybe<u64>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let Some(written) = written else { return default };
        if !range.contains(written.as_ref()) {
            let hint = format!("from {} to {}", range.start(), range.end());
            self.fault(written.span(), format!("{} is out of range", written.as_ref()), hint);
        }
        *written.as_ref()
    }

    /// A length of time in a range.
    pub fn duration(
        &mut self,
        written: &Maybe<String>,
        seconds: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let [least, most] = [*seconds.start(), *seconds.end()].map(Duration::from_secs);
        self.length(written, least..=most)
    }

    /// The same, to the millisecond.
    pub fn length(
        &mut self,
        written: &Maybe<String>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let written = written.as_ref()?;
        match humantime::parse_duration(written.as_ref()) {
            Ok(length) if range.contains(&length) => Some(length),
            Ok(_) | Err(_) => {
                let [least, most] = [*range.start(), *range.end()].map(humantime::format_duration);
                let hint = format!("from \"{least}\" to \"{most}\"");
                let what = format!("`{}` is no usable length of time", written.as_ref());
                self.fault(written.span(), what, hint);
                None
            }
        }
    }
}
