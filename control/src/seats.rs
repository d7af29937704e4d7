//! Seats: the limit of connections to the socket. When all seats are taken, the connection that has been idle for
//! longest makes room for the newest, so that idle connections can't lock the operator out. Root and the daemon's own
//! user have seats that other users' connections can't take.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// Seats of other users; root and the daemon's own user have as many again.
pub const MOST: usize = 64;

/// The state of a connection. Earlier variants make room first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// Waiting for a whole request.
    Waiting,
    /// Sending an answer that is not read.
    Sending,
    /// Working on a request, which has an end.
    Answering,
}

/// The taken seats.
#[derive(Debug, Clone, Default)]
pub struct Seats(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: RefCell<Vec<Rc<Taken>>>,
    /// A logical clock, which ticks at each change.
    now: Cell<u64>,
}

#[derive(Debug)]
struct Taken {
    is_own: bool,
    doing: Cell<Doing>,
    since: Cell<u64>,
    gone: Notify,
}

impl Seats {
    /// Takes a seat; `None` if all of its kind are working on requests. `is_own`: for root, or for the daemon's own
    /// user.
    pub fn take(&self, is_own: bool) -> Option<Seat> {
        let mut taken = self.0.taken.borrow_mut();
        if taken.iter().filter(|seat| seat.is_own == is_own).count() >= MOST {
            let idle = |seat: &&Rc<Taken>| seat.doing.get() != Doing::Answering;
            let kind = taken.iter().filter(|seat| seat.is_own == is_own);
            let oldest = kind.filter(idle).min_by_key(|seat| (seat.doing.get(), seat.since.get()));
            let oldest = Rc::clone(oldest?);
            taken.retain(|seat| !Rc::ptr_eq(seat, &oldest));
            oldest.gone.notify_one();
        }
        let seat = Rc::new(Taken {
            is_own,
            doing: Cell::new(Doing::Waiting),
            since: Cell::new(self.0.tick()),
            gone: Notify::new(),
        });
        taken.push(Rc::clone(&seat));
        Some(Seat { all: self.clone(), seat })
    }
}

impl Shared {
    fn tick(&self) -> u64 {
        self.now.update(|now| now + 1);
        self.now.get()
    }
}

/// A connection's seat, which is free again when this value is dropped.
#[derive(Debug)]
pub struct Seat {
    all: Seats,
    seat: Rc<Taken>,
}

impl Seat {
    /// Waits until another connection has got this seat.
    pub async fn taken(&self) {
        self.seat.gone.notified().await;
    }

    /// Notes that a whole request has arrived.
    pub fn is_answered(&self) {
        self.does(Doing::Answering);
    }

    /// Notes that the answer is being sent.
    pub fn is_sent_to(&self) {
        self.does(Doing::Sending);
    }

    /// Notes that the answer was sent; a further request may come.
    pub fn is_waited_for(&self) {
        self.does(Doing::Waiting);
    }

    fn does(&self, doing: Doing) {
        self.seat.doing.set(doing);
        self.seat.since.set(self.all.0.tick());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.all.0.taken.borrow_mut().retain(|seat| !Rc::ptr_eq(seat, &self.seat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn is_taken(seat: &Seat) -> bool {
        seat.taken().now_or_never().is_some()
    }

    /// Takes all seats of other users.
    fn full(seats: &Seats) -> Vec<Seat> {
        (0..MOST).map(|_| seats.take(false).expect("there is one")).collect()
    }

    #[test]
    fn the_longest_waiting_one_makes_room() {
        let seats = Seats::default();
        let all = full(&seats);
        // The first one has just had an answer, the second is being given one.
        all[0].is_answered();
        all[1].is_answered();
        all[0].is_sent_to();
        all[0].is_waited_for();
        let new = seats.take(false).expect("a place");
        assert_eq!(all.iter().position(is_taken), Some(2));
        assert!(!is_taken(&new));
        drop(all);
        assert_eq!(seats.0.taken.borrow().len(), 1);
    }

    #[test]
    fn who_does_not_read_makes_room_after_those_that_wait() {
        let seats = Seats::default();
        let all = full(&seats);
        all.iter().for_each(Seat::is_answered);
        assert!(seats.take(false).is_none(), "all are at work");
        all[5].is_sent_to();
        let new = seats.take(false).expect("a place");
        assert_eq!(all.iter().position(is_taken), Some(5));
        new.is_answered();
        assert!(seats.take(false).is_none());
    }

    #[test]
    fn others_leave_root_its_places() {
        let seats = Seats::default();
        let all = full(&seats);
        all.iter().for_each(Seat::is_answered);
        let privileged: Vec<Seat> =
            (0..=MOST).map(|_| seats.take(true).expect("a place")).collect();
        assert!(!all.iter().any(is_taken));
        assert_eq!(privileged.iter().position(is_taken), Some(0));
    }
}
