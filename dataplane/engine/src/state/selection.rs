//! A backend for a request.

use super::WorkerState;
use crate::choose::candidates::{Candidates, Exclude};
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::types::id::BackendId;
use crate::types::selection_reason::SelectionReason;
use crate::types::verdict::Step;

impl WorkerState {
    /// Chooses a backend: the client's of late, if that is to last; else the next one by the group's algorithm. Where all
    /// are full, the oldest transfer or connection makes room whose client was not heard. The request has a place there
    /// ([`crate::snapshot::Backend::acquire`]), which must be given back if nothing comes of it.
    ///
    /// # Errors
    ///
    /// No backend can be had, or all are full.
    pub fn choose(
        &mut self,
        request: &SelectionRequest,
        exclude: Exclude,
        env: &Env,
    ) -> Step<BackendId> {
        let choice = Selection::new(request, env);
        let candidates = Candidates::new(env, exclude);
        let last = choice.remembered(&self.choose, env.now);
        let last = last.filter(|&backend| candidates.take(backend));
        let reason = if last.is_some() { SelectionReason::Persistence } else { choice.reason() };
        let usual = last.or_else(|| self.next(&choice, &candidates));
        let backend = match usual {
            Some(backend) => backend,
            None => self.spill_over(&choice, &candidates, exclude, env)?,
        };
        self.choose.reason = if usual.is_some() { reason } else { SelectionReason::SpillOver };
        choice.remember(backend, &mut self.choose, env.now);
        Ok(backend)
    }

    /// Chooses where no candidate has a place: one that makes room, or an ejected one.
    #[cold]
    fn spill_over(
        &mut self,
        choice: &Selection,
        candidates: &Candidates,
        exclude: Exclude,
        env: &Env,
    ) -> Step<BackendId> {
        let full = candidates.full(choice.members());
        let with_room =
            if self.make_room(full, env) { self.next(choice, candidates) } else { None };
        let backend = with_room.or_else(|| self.next(choice, &Candidates::at_worst(env, exclude)?));
        backend.ok_or_else(|| candidates.why_none(choice.members()).into())
    }

    fn next(&mut self, choice: &Selection, candidates: &Candidates) -> Option<BackendId> {
        choice.next(candidates, choice.cursor_mut(&mut self.choose), &self.counters)
    }
}
