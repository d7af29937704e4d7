//! Checks of a file: from the keys as they are written to a configuration that can be true. Every fault is collected,
//! not only the first.

use super::address::AddressUses;
use super::error::Fault;
use super::file::{self, File, Maybe};
use super::types::{Addresses, Announce, Config, Dataplane, LogOutput, User};
use crate::foreign_text::acts;
use bytesize::ByteSize;
use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;

const MEMORY: &str = "512 MiB";
const MAX_FLOWS: u32 = 262_144;

/// Blocks a second by default: the load of some servers.
const FAILOVER_RATE: u64 = 50_000;

/// The most workers: any build of DPDK has so many lcores.
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
        control: checker.control(&file.control),
        interfaces: checker.interfaces(&file.interface, dataplane.workers.len()),
        dataplane,
        services: vec![],
        nat: vec![],
        logs: vec![],
        pair: None,
    };
    checker.addresses = checker.addresses(&file.control.addresses);
    checker.announce = checker.announce(&file.control.announce);
    let services = checker.services(&file.service, &config.interfaces);
    let nat = checker.nat(&file.nat);
    let mut logs = checker.logs(&file.log, &services);
    let pair = file.pair.as_ref().and_then(|pair| checker.pair(pair));
    logs.extend(config.control.web.as_ref().map(|_| LogOutput::web_page()));
    if checker.faults.is_empty() {
        Ok(Config { services, nat, logs, pair, ..config })
    } else {
        Err(checker.faults)
    }
}

/// The faults found so far. Each section of the file has its methods in a module of its own.
#[derive(Default)]
pub struct Checker {
    faults: Vec<Fault>,
    /// The uses of all addresses.
    pub uses: AddressUses,
    /// The user that runs the programs of health checks, if there is one.
    pub program_user: Option<User>,
    /// The party that adds the addresses of services that do not say it.
    pub addresses: Addresses,
    /// When the VIPs of services that do not say it are announced.
    pub announce: Announce,
}

impl Checker {
    /// Notes a fault at this place.
    pub fn fault(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::at(span, what, hint));
    }

    /// Unwraps a value, or notes its fault.
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

    /// Checks that names are not empty, and unique.
    pub fn unique<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
        let mut seen = HashSet::new();
        for name in names {
            if name.as_ref().is_empty() {
                self.fault(name.span(), format!("a {what} without a name"), "name it");
            } else if name.as_ref().chars().any(acts) {
                let fault = format!("a {what}'s name with characters that are not seen");
                self.fault(name.span(), fault, "they would act on terminals and tables");
            } else if !seen.insert(name.as_ref()) {
                let fault = format!("two {what}s named `{}`", name.as_ref());
                self.fault(name.span(), fault, "names are unique");
            }
        }
    }

    /// Checks that a number is in a range.
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

    /// Reads a time span in a range.
    pub fn duration(
        &mut self,
        written: &Maybe<String>,
        seconds: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let [least, most] = [*seconds.start(), *seconds.end()].map(Duration::from_secs);
        self.length(written, least..=most)
    }

    /// Reads a time span in a range, to the millisecond.
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
