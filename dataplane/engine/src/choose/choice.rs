//! Selection of one backend for one request.

use super::candidates::Candidates;
use super::least_transfers;
use super::state::State;
use crate::context::Env;
use crate::counters::Counters;
use crate::scheduler::backend_group::{Algorithm, BackendGroup};
use crate::scheduler::maglev::{self, Maglev};
use crate::scheduler::member::Member;
use crate::scheduler::persistence::Persistence;
use crate::scheduler::round_robin::Cursor;
use crate::types::id::{BackendId, GroupId, ServiceId};
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::Tick;
use std::net::IpAddr;
use wire::tftp::Request;

/// A request that needs a backend.
#[derive(Debug, Clone, Copy)]
pub struct SelectionRequest<'a> {
    /// The client.
    pub client: IpAddr,
    /// The client's address family ([`crate::ip_family::IpFamily::PLACE`]).
    pub family: usize,
    /// The service.
    pub service: ServiceId,
    /// The TFTP request, if the service's protocol is TFTP.
    pub tftp: Option<&'a Request<'a>>,
}

/// A selection: a request, its backend group, and the environment.
pub struct Selection<'a> {
    request: &'a SelectionRequest<'a>,
    id: GroupId,
    group: &'a BackendGroup,
    persistence: Option<Persistence>,
    /// The client, or its network where persistence treats the network as one client.
    who: IpAddr,
}

impl<'a> Selection<'a> {
    /// The selection from the backend group that this request goes to.
    pub fn new(request: &'a SelectionRequest<'a>, env: &'a Env) -> Selection<'a> {
        let service = &env.snapshot[request.service];
        let persistence = service.persistence;
        let id = service.group(request.client, request.tftp);
        let group = &env.snapshot[id][request.family];
        let who = persistence.map_or(request.client, |persistence| persistence.who(request.client));
        Selection { request, id, group, persistence, who }
    }

    /// Members of the group.
    pub fn members(&self) -> &'a [Member] {
        self.group.members()
    }

    /// The client's remembered backend, if the service has persistence and the backend is still a member.
    pub fn remembered(&self, state: &State, now: Tick) -> Option<BackendId> {
        let last = self.persistence.and_then(|_| state.sticky.find(self.id, self.who, now));
        last.filter(|&backend| self.group.has(backend))
    }

    /// The worker's cursor in the group.
    pub fn cursor(&self, state: &State) -> Cursor {
        state.cursors[self.id.index()][self.request.family]
    }

    /// The worker's cursor in the group, to be advanced.
    pub fn cursor_mut<'s>(&self, state: &'s mut State) -> &'s mut Cursor {
        &mut state.cursors[self.id.index()][self.request.family]
    }

    /// Chooses the next backend and counts the transfer against its limit.
    pub fn next(
        &self,
        candidates: &Candidates,
        cursor: &mut Cursor,
        counters: &Counters,
    ) -> Option<BackendId> {
        let members = self.members();
        let next = match self.group.algorithm() {
            Algorithm::RoundRobin(order) => {
                cursor.next(order, |backend, number| candidates.take_turn(backend, number))
            }
            Algorithm::LeastTransfers => {
                least_transfers::next(members, candidates, cursor, counters)
            }
            Algorithm::SourceHash(maglev) => {
                find(maglev, maglev::of_address(self.who), members, candidates)
            }
            Algorithm::FileHash(maglev) => {
                let file = self.request.tftp.map_or(&[][..], |request| request.file);
                find(maglev, maglev::of_file(file), members, candidates)
            }
        };
        next.or_else(|| candidates.take_passed_over())
    }

    /// The reason of a backend that is [next](Selection::next).
    pub fn reason(&self) -> SelectionReason {
        match self.group.algorithm() {
            Algorithm::RoundRobin(_) => SelectionReason::RoundRobin,
            Algorithm::LeastTransfers => SelectionReason::LeastTransfers,
            Algorithm::SourceHash(_) => SelectionReason::SourceHash,
            Algorithm::FileHash(_) => SelectionReason::FileHash,
        }
    }

    /// Remembers the backend for the client's next requests, if the service has persistence.
    pub fn remember(&self, backend: BackendId, state: &mut State, now: Tick) {
        if let Some(Persistence { ticks, .. }) = self.persistence {
            state.sticky.keep(self.id, self.who, backend, now.after(ticks), now);
        }
    }
}

fn find(
    maglev: &Maglev,
    key: u64,
    members: &[Member],
    candidates: &Candidates,
) -> Option<BackendId> {
    let found = maglev.find(key, |place, number| candidates.take_turn(members[place].id, number));
    found.map(|place| members[place].id)
}
