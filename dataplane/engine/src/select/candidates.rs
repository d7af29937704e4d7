//! Who may be chosen at the moment.

use super::rota::Member;
use super::slow_start::{WHOLE, lot};
use crate::here::Here;
use crate::reason::Reason;
use crate::select::cap::Cap;
use crate::tables::{Backend, BackendId};
use std::cell::Cell;

/// What there is to choose from for one request.
pub struct Candidates<'a> {
    here: &'a Here<'a>,
    avoid: Avoid,
    whom: Whom,
    /// Whether who is chosen gets the transfer.
    is_meant: bool,
    /// The first one that had its turn, but has only just come back.
    passed_over: Cell<Option<BackendId>>,
}

/// Among whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Those that are to get new transfers.
    Usual,
    /// Those that have treated their clients badly.
    Worst,
    /// All, whatever speaks against them.
    Everybody,
}

/// Who is not to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Avoid {
    /// Anybody may.
    Nobody,
    /// This one.
    This(BackendId),
    /// This one's server, whatever it is called, and those of another version of IP.
    ItsServer(BackendId),
    /// The same, and it is surely dead.
    ItsDeadServer(BackendId),
}

impl<'a> Candidates<'a> {
    /// Those that are to get new transfers, but for some.
    pub fn new(here: &'a Here<'a>, avoid: Avoid) -> Candidates<'a> {
        Candidates { here, avoid, whom: Whom::Usual, is_meant: true, passed_over: Cell::new(None) }
    }

    /// Those that have treated their clients badly: better than none, but not for a transfer that has one
    /// like them.
    pub fn at_worst(here: &'a Here<'a>, avoid: Avoid) -> Option<Candidates<'a>> {
        match avoid {
            Avoid::Nobody | Avoid::This(_) | Avoid::ItsDeadServer(_) => {
                Some(Candidates { whom: Whom::Worst, ..Candidates::new(here, avoid) })
            }
            Avoid::ItsServer(_) => None,
        }
    }

    /// Everybody, to see whose turn it is: nobody gets anything.
    pub fn everybody(here: &'a Here<'a>) -> Candidates<'a> {
        let all = Candidates::new(here, Avoid::Nobody).only_seen();
        Candidates { whom: Whom::Everybody, ..all }
    }

    /// The same, to see who would be chosen: nobody gets anything.
    pub fn only_seen(self) -> Candidates<'a> {
        Candidates { is_meant: false, ..self }
    }

    /// Whether this one can take the transfer.
    pub fn has(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.has_room(backend)
    }

    /// Chooses this one, if it can be, and takes a place there.
    #[inline]
    pub fn take(&self, backend: BackendId) -> bool {
        let place = |backend| match self.is_meant {
            true => self.backend(backend).take_place(),
            false => self.has_room(backend),
        };
        self.would_have(backend) && place(backend)
    }

    /// The same, if this turn is among those that are its share: a lot is drawn, which is always the same for this
    /// number.
    #[inline]
    pub fn take_turn(&self, backend: BackendId, number: u64) -> bool {
        match self.backend(backend).slow_start {
            Some(start) if !self.all() && start.share(self.here.now) <= lot(number) => {
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

    /// The backend's share of its turns, of [`WHOLE`].
    pub fn share(&self, backend: BackendId) -> u32 {
        self.backend(backend).slow_start.map_or(WHOLE, |start| start.share(self.here.now))
    }

    /// Chooses one that was passed over: it is better than none.
    pub fn take_passed_over(&self) -> Option<BackendId> {
        self.passed_over.get().filter(|&backend| self.take(backend))
    }

    /// Why none of these was chosen.
    pub fn why_none(&self, members: &[Member]) -> Reason {
        let full = members.iter().any(|member| self.would_have(member.id));
        if full { Reason::BackendsFull } else { Reason::NoBackend }
    }

    /// Those that could take the transfer if they had a place.
    pub fn full(&self, members: &[Member]) -> impl Iterator<Item = BackendId> + Clone {
        members.iter().map(|member| member.id).filter(|&backend| self.would_have(backend))
    }

    /// Whether it could take the transfer if it had a place.
    fn would_have(&self, backend: BackendId) -> bool {
        let one = self.backend(backend);
        let suits = match self.avoid {
            Avoid::Nobody => true,
            Avoid::This(other) => other != backend,
            Avoid::ItsServer(other) | Avoid::ItsDeadServer(other) => {
                one.server != self.backend(other).server
                    && one.address.is_ipv6() == self.backend(other).address.is_ipv6()
            }
        };
        let takes = match self.whom {
            Whom::Usual => one.takes(),
            Whom::Worst => one.takes_at_worst(),
            Whom::Everybody => true,
        };
        suits && takes
    }

    fn has_room(&self, backend: BackendId) -> bool {
        self.all() || self.backend(backend).cap.as_ref().is_none_or(Cap::has_room)
    }

    fn all(&self) -> bool {
        self.whom == Whom::Everybody
    }

    fn backend(&self, backend: BackendId) -> &Backend {
        self.here.backend(backend)
    }
}
