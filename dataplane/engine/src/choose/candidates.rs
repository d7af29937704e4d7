//! Candidates: the backends that may be chosen at the moment.

use crate::context::Env;
use crate::scheduler::member::Member;
use crate::scheduler::slow_start::{WHOLE, lot};
use crate::scheduler::transfer_limit::TransferLimit;
use crate::snapshot::Backend;
use crate::types::drop_reason::DropReason;
use crate::types::id::BackendId;
use std::cell::Cell;

/// The backends that one request may go to.
pub struct Candidates<'a> {
    env: &'a Env<'a>,
    exclude: Exclude,
    tier: Tier,
    claim: Claim,
    /// The first backend that had its turn, but was skipped by its slow start.
    passed_over: Cell<Option<BackendId>>,
}

/// The states that a candidate may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// Backends that take new transfers.
    Usual,
    /// Ejected backends, which left too many clients without an answer.
    Worst,
    /// Every backend, in whatever state.
    Everybody,
}

/// The meaning of a choice for the limit of the chosen backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// The backend gets the transfer, which counts against its limit.
    Place,
    /// The backend must have room, but gets nothing: for a trace.
    Room,
    /// The backend has the transfer already, whatever its limit.
    Nothing,
}

/// A backend that must not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclude {
    /// No exclusion.
    Nobody,
    /// This backend.
    This(BackendId),
    /// Every backend on this one's server, and backends of the other address family.
    ItsServer(BackendId),
    /// As [`Exclude::ItsServer`], and the server is certainly dead.
    ItsDeadServer(BackendId),
}

impl<'a> Candidates<'a> {
    /// The backends that take new transfers, without the excluded ones.
    pub fn new(env: &'a Env<'a>, exclude: Exclude) -> Candidates<'a> {
        let claim = Claim::Place;
        Candidates { env, exclude, tier: Tier::Usual, claim, passed_over: Cell::new(None) }
    }

    /// The backends that a running transfer can be at: those that take new transfers, even if they are full.
    pub fn running(env: &'a Env<'a>) -> Candidates<'a> {
        Candidates { claim: Claim::Nothing, ..Candidates::new(env, Exclude::Nobody) }
    }

    /// Ejected backends: better than none, but not for a transfer that comes from one.
    pub fn at_worst(env: &'a Env<'a>, exclude: Exclude) -> Option<Candidates<'a>> {
        match exclude {
            Exclude::Nobody | Exclude::This(_) | Exclude::ItsDeadServer(_) => {
                Some(Candidates { tier: Tier::Worst, ..Candidates::new(env, exclude) })
            }
            Exclude::ItsServer(_) => None,
        }
    }

    /// Every backend, to trace whose turn it is: nothing is assigned.
    pub fn everybody(env: &'a Env<'a>) -> Candidates<'a> {
        let all = Candidates::new(env, Exclude::Nobody).only_seen();
        Candidates { tier: Tier::Everybody, ..all }
    }

    /// Turns the candidates into those of a trace: nothing is assigned.
    pub fn only_seen(self) -> Candidates<'a> {
        Candidates { claim: Claim::Room, ..self }
    }

    /// Whether this backend can take the transfer.
    pub fn has(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.has_room(backend)
    }

    /// Chooses this backend if it can take the transfer, and counts the transfer against its limit.
    #[inline]
    pub fn take(&self, backend: BackendId) -> bool {
        let place = |backend| match self.claim {
            Claim::Place => self.backend(backend).acquire(),
            Claim::Room | Claim::Nothing => self.has_room(backend),
        };
        self.would_have(backend) && place(backend)
    }

    /// Chooses this backend like [`Candidates::take`], if the turn falls within its slow-start share. The draw depends
    /// only on `number`.
    #[inline]
    pub fn take_turn(&self, backend: BackendId, number: u64) -> bool {
        match self.backend(backend).slow_start {
            Some(start) if !self.all() && start.share(self.env.now) <= lot(number) => {
                self.pass_over(backend);
                false
            }
            Some(_) | None => self.take(backend),
        }
    }

    fn pass_over(&self, backend: BackendId) {
        if self.passed_over.get().is_none() && self.has(backend) {
            self.passed_over.set(Some(backend));
        }
    }

    /// The backend's slow-start share of its turns, of [`WHOLE`].
    pub fn share(&self, backend: BackendId) -> u32 {
        self.backend(backend).slow_start.map_or(WHOLE, |start| start.share(self.env.now))
    }

    /// Chooses a backend that was skipped by its slow start: better than none.
    pub fn take_passed_over(&self) -> Option<BackendId> {
        self.passed_over.get().filter(|&backend| self.take(backend))
    }

    /// The drop reason if no member was chosen.
    pub fn why_none(&self, members: &[Member]) -> DropReason {
        let full = members.iter().any(|member| self.would_have(member.id));
        if full { DropReason::BackendsFull } else { DropReason::NoBackend }
    }

    /// Backends that would take the transfer if they were not at their limit.
    pub fn full(&self, members: &[Member]) -> impl Iterator<Item = BackendId> + Clone {
        members.iter().map(|member| member.id).filter(|&backend| self.would_have(backend))
    }

    /// Whether the backend would take the transfer if it were not at its limit.
    fn would_have(&self, backend: BackendId) -> bool {
        let one = self.backend(backend);
        let suits = match self.exclude {
            Exclude::Nobody => true,
            Exclude::This(other) => other != backend,
            Exclude::ItsServer(other) | Exclude::ItsDeadServer(other) => {
                one.server != self.backend(other).server
                    && one.address.is_ipv6() == self.backend(other).address.is_ipv6()
            }
        };
        let takes = match self.tier {
            Tier::Usual => one.takes(),
            Tier::Worst => one.takes_at_worst(),
            Tier::Everybody => true,
        };
        suits && takes
    }

    fn has_room(&self, backend: BackendId) -> bool {
        self.all()
            || self.claim == Claim::Nothing
            || self.backend(backend).cap.as_ref().is_none_or(TransferLimit::has_room)
    }

    fn all(&self) -> bool {
        self.tier == Tier::Everybody
    }

    fn backend(&self, backend: BackendId) -> &Backend {
        self.env.backend(backend)
    }
}
