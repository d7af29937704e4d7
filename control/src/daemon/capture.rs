//! Captures: a client's filter becomes the workers', and their records become messages to the client.

use super::Daemon;
use super::drops::drop_reason;
use super::flows::{connection_state, transfer_state};
use crate::active_config::ActiveConfig;
use crate::api::{
    AddressNames, CaptureFilter, CaptureStart, Captured, CapturedFrame, Error, FrameBytes,
    FrameFlow,
};
use crate::passwords::Passwords;
use crate::wall_clock::WallClock;
use engine::flow::summary::{FlowState, FlowSummary};
use engine::types::id::{BackendId, InterfaceId};
use engine::types::verdict::Verdict;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use worker::capture::{Fate, Filter, Record, Slots};

/// Bytes that are kept of a frame.
const SNAPLEN: usize = 256;
/// Bytes of the largest frame, and tags.
const FULL: usize = 9216 + 32;
/// Records of each worker: 2 MB, or with whole frames 9.5 MB.
const RECORDS: usize = 4096;
const FULL_RECORDS: usize = 1024;
/// Most frames of a message: control goes on with other work after it.
const MOST: usize = 256;
/// Pause while there are no frames.
const PAUSE: Duration = Duration::from_millis(20);
/// Time after which a message without frames says that the capture goes on.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A capture that runs until its receiver is dropped.
pub struct RunningCapture {
    /// The answer to its request.
    pub start: CaptureStart,
    /// The frames.
    pub messages: mpsc::Receiver<Captured>,
}

impl Daemon {
    /// Starts a capture, the only one.
    ///
    /// # Errors
    ///
    /// An unknown name, or another capture runs.
    pub async fn capture(self: &Rc<Self>, wanted: CaptureFilter) -> Result<RunningCapture, Error> {
        let filter = self.capture_filter(&wanted)?;
        let alone = self.channels.capture_lock().ok_or_else(|| {
            Error::Limit("a capture or trace is running: there is one at a time".to_owned())
        })?;
        let (records, snaplen) =
            if wanted.full { (FULL_RECORDS, FULL) } else { (RECORDS, SNAPLEN) };
        let slots = self.channels.start_capture(&filter, records, snaplen).await;
        let active = self.active();
        let start = CaptureStart {
            interfaces: active.config().interfaces.iter().map(|one| one.name.clone()).collect(),
            snaplen,
            names: self.names(),
        };
        let masking = (!wanted.full).then(|| Masking::new(self.active.subscribe()));
        let (sender, messages) = mpsc::channel(1);
        let before = self.capture_lost();
        let source = Source { daemon: Rc::clone(self), slots, masking, before, _alone: alone };
        spawn_local(source.run(sender));
        Ok(RunningCapture { start, messages })
    }

    fn capture_filter(&self, wanted: &CaptureFilter) -> Result<Filter, Error> {
        let service = wanted.service.as_deref().map(|name| self.service_id(name)).transpose()?;
        let backends =
            wanted.backend.as_deref().map(|name| self.named(name, wanted)).transpose()?;
        let interface = wanted.interface.as_deref();
        let interface = interface.map(|name| self.interface_id(name)).transpose()?;
        let reason = wanted.reason.as_deref().map(drop_reason).transpose()?;
        let is_dropped = wanted.dropped;
        Ok(Filter { client: wanted.client, service, backends, interface, reason, is_dropped })
    }

    /// The backends of this name, in all services or in the wanted one.
    fn named(&self, name: &str, wanted: &CaptureFilter) -> Result<Vec<BackendId>, Error> {
        let active = self.active();
        let is_in = |service: &str| wanted.service.as_ref().is_none_or(|one| one == service);
        let found =
            active.backends().filter(|(_, service, one)| one.name == name && is_in(&service.name));
        let ids: Vec<_> = found.map(|(id, _, _)| id).collect();
        match ids.is_empty() {
            true => {
                let of = wanted.service.as_ref();
                let of = of.map(|service| format!(" of `{service}`")).unwrap_or_default();
                Err(Error::Unknown(format!("there is no backend `{name}`{of}")))
            }
            false => Ok(ids),
        }
    }

    fn interface_id(&self, name: &str) -> Result<InterfaceId, Error> {
        let active = self.active();
        let mut interfaces = (0..).map(InterfaceId).zip(&active.config().interfaces);
        let found = interfaces.find(|(_, interface)| interface.name == name);
        let unknown = || Error::Unknown(format!("there is no interface `{name}`"));
        found.map(|(id, _)| id).ok_or_else(unknown)
    }

    fn names(&self) -> Vec<AddressNames> {
        let mut all: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        let mut add = |address, name: &String| {
            let names = all.entry(address).or_default();
            if !names.contains(name) {
                names.push(name.clone());
            }
        };
        for service in &self.active().config().services {
            service.vips.iter().for_each(|vip| add(vip.address, &service.name));
            service.backends.iter().for_each(|backend| add(backend.address, &backend.name));
        }
        all.into_iter().map(|(address, names)| AddressNames { address, names }).collect()
    }

    /// Frames that all captures so far have lost.
    pub(super) fn capture_lost(&self) -> u64 {
        self.counters().map(|counters| counters.packets.capture_lost.value()).sum()
    }
}

/// The masking of passwords, by the FTP services up to now.
struct Masking {
    passwords: Passwords,
    /// The active configuration, whose services have to be learned when it changes.
    active: watch::Receiver<Rc<ActiveConfig>>,
}

impl Masking {
    fn new(mut active: watch::Receiver<Rc<ActiveConfig>>) -> Masking {
        active.mark_changed();
        Masking { passwords: Passwords::default(), active }
    }

    fn mask(&mut self, frames: &mut [CapturedFrame]) {
        if self.active.has_changed().unwrap_or(false) {
            self.passwords.learn(&self.active.borrow_and_update().registry);
        }
        frames.iter_mut().for_each(|frame| self.passwords.mask(&mut frame.bytes.0));
    }
}

/// The workers' records of a running capture.
struct Source {
    daemon: Rc<Daemon>,
    slots: Vec<Arc<Slots>>,
    masking: Option<Masking>,
    /// Frames that earlier captures have lost.
    before: u64,
    _alone: OwnedMutexGuard<()>,
}

impl Source {
    /// Sends messages until the receiver is dropped, then ends the capture. While a message is not taken, records are used
    /// up, and workers lose frames.
    async fn run(mut self, messages: mpsc::Sender<Captured>) {
        let mut last = Instant::now();
        let daemon = Rc::clone(&self.daemon);
        while !messages.is_closed() {
            // During an activation, workers may record ids that the active configuration does not have yet.
            let settled = daemon.publishing.lock().await;
            let message = self.message();
            drop(settled);
            if message.frames.is_empty() && last.elapsed() < HEARTBEAT {
                tokio::select! {
                    () = messages.closed() => {}
                    () = sleep(PAUSE) => {}
                }
                continue;
            }
            last = Instant::now();
            if messages.send(message).await.is_err() {
                break;
            }
        }
        self.daemon.channels.end_capture().await;
    }

    fn message(&mut self) -> Captured {
        let clock = WallClock::now();
        let mut frames = vec![];
        for (worker, slots) in (0..).zip(&self.slots) {
            let most = MOST / self.slots.len();
            for record in std::iter::from_fn(|| slots.filled.pop()).take(most.max(1)) {
                frames.push(self.frame(worker, &record, clock));
                // There is room: it came from there.
                let _ = slots.free.push(record);
            }
        }
        if let Some(masking) = &mut self.masking {
            masking.mask(&mut frames);
        }
        frames.sort_by_key(|frame| frame.time);
        Captured { frames, lost: self.daemon.capture_lost() - self.before }
    }

    fn frame(&self, worker: u16, record: &Record, clock: WallClock) -> CapturedFrame {
        let (verdict, reason) = match record.fate {
            Fate::Verdict(Verdict::Drop(reason)) => ("dropped", Some(reason.name().to_owned())),
            Fate::Verdict(Verdict::Transmit(_)) => ("forwarded", None),
            Fate::Verdict(Verdict::Answer) => ("answered", None),
            Fate::Verdict(Verdict::Kernel) => ("to kernel", None),
            Fate::Verdict(Verdict::Absorb) => ("absorbed", None),
            // They are recorded by the worker that they go to, and when they go on.
            Fate::Verdict(Verdict::HandOver(_) | Verdict::Hold(_)) => ("handed over", None),
            Fate::Originated => ("originated", None),
            Fate::FromKernel => ("from kernel", None),
        };
        CapturedFrame {
            time: clock.at(record.at),
            packet: record.packet,
            worker,
            interface: record.interface.index(),
            sent: record.is_sent,
            verdict: verdict.to_owned(),
            reason,
            flow: record.flow.as_ref().map(|flow| self.flow(flow)),
            lost: record.lost,
            len: record.len,
            bytes: FrameBytes(record.bytes.clone()),
        }
    }

    fn flow(&self, flow: &FlowSummary) -> FrameFlow {
        let active = self.daemon.active();
        let (state, tid) = match flow.state {
            FlowState::None => (None, None),
            FlowState::Transfer(state, tid) => (Some(transfer_state(state)), tid),
            FlowState::Connection(state) => (Some(connection_state(state)), None),
        };
        FrameFlow {
            client: flow.client,
            service: flow.service.map(|id| active.registry[id].name.clone()),
            backend: flow.backend.map(|id| active.registry[id].what.name.clone()),
            by_client: flow.by_client,
            state: state.map(str::to_owned),
            tid,
        }
    }
}
