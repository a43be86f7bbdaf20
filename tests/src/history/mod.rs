//! Calls of many clients at once, recorded, and checked afterwards.
//!
//! Each call is noted with what came back and with the ticks of a counter between which it ran.
//! [`explain`] then looks for an order of the calls that a store serving one call after the other
//! could have answered the same way, each call taking place between its ticks. If there is none,
//! something was lost, seen too early, seen no more or seen by halves.
//!
//! * [`explain`]: the check, a function of the recorded calls.
//! * `peer`: what a store answers that serves one call after the other.
//! * `client`: asks a store.
//! * `load`: what is asked, at random.
//! * `versions`: looks at the backend meanwhile.

mod check;
pub(crate) mod client;
pub(crate) mod load;
pub(crate) mod peer;
pub(crate) mod versions;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::size::{OPERATIONS, asked};

pub(crate) use check::{Model, explain};
pub use load::Load;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<A> {
    /// An answer, be it a refusal.
    Answered(A),
    /// The store failed, and nothing of the call is stored.
    NotStored,
    /// The store failed, and the call may be stored until the store is opened again.
    Unknown,
    /// Another instance took the store over, and nothing of the call is stored.
    Fenced,
}

impl<A> Outcome<A> {
    /// Whether it says nothing of what is stored.
    pub(crate) fn tells_nothing(&self) -> bool {
        matches!(self, Outcome::NotStored | Outcome::Fenced)
    }
}

/// What came back of calls, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls with an answer, be it a refusal.
    pub answered: u64,
    /// Calls of which nothing is stored.
    pub not_stored: u64,
    /// Calls that may be stored.
    pub unknown: u64,
    /// Calls that came after another instance took the store over.
    pub fenced: u64,
}

impl Tally {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.answered + self.not_stored + self.unknown + self.fenced
    }

    fn count<A>(&mut self, outcome: &Outcome<A>) {
        *match outcome {
            Outcome::Answered(_) => &mut self.answered,
            Outcome::NotStored => &mut self.not_stored,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Fenced => &mut self.fenced,
        } += 1;
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.answered += more.answered;
        self.not_stored += more.not_stored;
        self.unknown += more.unknown;
        self.fenced += more.fenced;
    }
}

/// A call that came back.
#[derive(Clone, Debug)]
pub(crate) struct Call<Q, A> {
    /// Who called.
    pub(crate) client: usize,
    /// What was asked.
    pub(crate) request: Q,
    /// What came back.
    pub(crate) outcome: Outcome<A>,
    /// Tick before the call.
    pub(crate) start: u64,
    /// Tick after it; a call whose outcome is unknown goes on until the store is opened again.
    pub(crate) end: u64,
}

/// Calls, in the order in which they came back.
#[derive(Debug)]
pub(crate) struct Recorder<Q, A> {
    clock: AtomicU64,
    calls: Mutex<Vec<Call<Q, A>>>,
}

impl<Q, A> Default for Recorder<Q, A> {
    fn default() -> Self {
        Recorder { clock: AtomicU64::default(), calls: Mutex::default() }
    }
}

impl<Q, A> Recorder<Q, A> {
    /// The next tick.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// Notes a call that was started at `start` and has just come back.
    pub(crate) fn note(&self, client: usize, request: Q, start: u64, outcome: Outcome<A>) {
        let end = match outcome {
            Outcome::Unknown => u64::MAX,
            _ => self.tick(),
        };
        self.lock().push(Call { client, request, outcome, start, end });
    }

    /// The store is about to be opened again: what did not take place yet never will.
    pub(crate) fn ended(&self) {
        let end = self.tick();
        self.lock().iter_mut().for_each(|call| call.end = call.end.min(end));
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> MutexGuard<'_, Vec<Call<Q, A>>> {
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call<Q, A>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounds that a case goes: as many as make the calls that the environment variable
/// `CONFORMANCE_OPERATIONS` asks for, or `default`.
pub(crate) fn rounds(default: u64) -> u64 {
    asked(OPERATIONS).map_or(default, |calls| calls.div_ceil(load::PER_ROUND))
}
