//! Contexts of a worker's steps: a moment ([`Env`]) and a burst ([`BurstContext`]).

use crate::snapshot::interface::Interface;
use crate::snapshot::{Backend, Snapshot};
use crate::types::id::{BackendId, InterfaceId};
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
use std::net::IpAddr;
use std::ops::Deref;
use wire::ethernet::Mac;

/// One moment of one worker. Timers and queries need no more.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The network and the services, as published by control.
    pub snapshot: &'a Snapshot,
    /// The time.
    pub now: Tick,
    /// This worker's number.
    pub worker: u16,
    /// Number of workers.
    pub workers: u16,
}

impl<'a> Env<'a> {
    /// The backend with this id.
    #[inline]
    pub fn backend(&self, id: BackendId) -> &'a Backend {
        &self.snapshot[id]
    }
}

/// How a frame reached the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingress {
    /// From the device.
    Device,
    /// From another worker, which does not own it.
    Worker,
    /// From the held fragments ([`crate::types::verdict::Verdict::Hold`]).
    Fragment,
}

/// Context of a burst.
pub struct BurstContext<'a> {
    env: Env<'a>,
    /// The interface that received the burst.
    pub interface: InterfaceId,
    /// How the burst reached this worker.
    pub ingress: Ingress,
    /// The gate's hardware address on that interface.
    pub mac: Mac,
    /// Smallest MTU of any interface, in bytes.
    pub min_mtu: usize,
    /// The hardware address of the pair's other gate on that interface's link, if it takes packets there.
    pub other_gate: Option<Mac>,
}

impl<'a> BurstContext<'a> {
    /// The context of a burst received by `interface`.
    pub fn new(env: Env<'a>, interface: InterfaceId, ingress: Ingress) -> BurstContext<'a> {
        let interfaces = &env.snapshot.interfaces;
        let Interface { mac, other_gate, .. } = env.snapshot[interface];
        let min_mtu = interfaces.iter().map(|one| usize::from(one.mtu)).min().unwrap_or_default();
        BurstContext { env, interface, ingress, mac, min_mtu, other_gate }
    }

    /// Whether frames from this hardware address are what the pair's other gate has sent on.
    #[inline]
    pub fn is_other_gate(&self, source: Mac) -> bool {
        self.other_gate == Some(source)
    }

    /// The next hop of answers to a client whose packet came from `from`. Of what the other gate has sent on, the kernel's
    /// route tells.
    #[inline]
    pub fn way_back(&self, client: IpAddr, from: NextHop) -> NextHop {
        match self.is_other_gate(from.mac) {
            true => self.snapshot.hop_or_seek(client).unwrap_or(from),
            false => self.snapshot.routes.back_to(client, from),
        }
    }
}

impl<'a> Deref for BurstContext<'a> {
    type Target = Env<'a>;

    #[inline(always)]
    fn deref(&self) -> &Env<'a> {
        &self.env
    }
}
