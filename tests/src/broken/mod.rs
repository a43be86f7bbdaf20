//! Broken backends: each has one fault, of the kind that an engine's author makes, and some case
//! must find it.
//!
//! [`DEFECTS`] lists them, and [`caught_by`] tells which cases fail over one:
//!
//! ```
//! use conformance::broken;
//!
//! let defect = broken::DEFECTS.iter().find(|defect| defect.name == "forgets_acks").unwrap();
//! let found = broken::caught_by(defect).next().unwrap();
//! assert_eq!(found.case.subject, "backend");
//! ```

mod caught;
mod durability;
mod flaw;
mod guards;
mod list;
mod reads;
mod sets;
mod sound;
mod standing;
mod steps;
mod values;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};
use thiserror::Error;

pub use caught::{Caught, How, caught_by, must_be_caught, must_pass};

use flaw::{Flaw, Inner};

use crate::case::doc_above;
use crate::place::{InMemory, Place, Unusable};

/// One way in which a backend is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// What it is about: `guards`, `steps`, `values`, `reads`, `standing` or `durability`.
    pub subject: &'static str,
    /// What the backend does.
    pub name: &'static str,
    /// The file in which it is written.
    source: &'static str,
    flaw: fn() -> Flaw,
}

/// Every defect.
pub const DEFECTS: &[Defect] = crate::defects!(table);

/// The ways in which defects are built, without a defect. No case finds them.
pub const SOUND: &[Defect] = crate::defects!(sound);

impl Defect {
    /// What the defect says about itself.
    pub fn doc(&self) -> String {
        doc_above(self.source, &format!("pub(crate) fn {}(", self.name))
    }
}

/// Calls after which a case is taken to go round in circles. No case makes as many on the thread
/// that it is started on; others may have to wait for something and call until it comes.
const MOST_CALLS: usize = 100_000;

thread_local! {
    /// Calls that the case may still make on this thread, if it was started here.
    static CALLS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Starts to count the calls of this thread.
fn count_calls() {
    CALLS_LEFT.set(Some(MOST_CALLS));
}

/// A backend with a defect.
struct Broken {
    inner: Arc<dyn Backend>,
    defective: Arc<Defective>,
}

/// What a place keeps of a defect while backends come and go.
struct Defective {
    flaw: Flaw,
    given_up: AtomicBool,
}

impl Broken {
    /// The flaw and what it stands in front of. Ends a caller that does not come to an end itself.
    fn parts(&self) -> (&Flaw, Inner<'_>) {
        let left = CALLS_LEFT.get();
        if left == Some(0) || self.defective.given_up.load(Ordering::Relaxed) {
            unwind("the case does not come to an end");
        }
        CALLS_LEFT.set(left.map(|left| left - 1));
        (&self.defective.flaw, Inner(self.inner.as_ref()))
    }
}

#[async_trait]
impl Backend for Broken {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        let (flaw, inner) = self.parts();
        (flaw.claim)(&inner, at_least)
    }

    async fn release(&self) -> Result<(), BackendError> {
        let (flaw, inner) = self.parts();
        (flaw.release)(&inner)
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let (flaw, inner) = self.parts();
        (flaw.commit)(&inner, batch)
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        let (flaw, inner) = self.parts();
        (flaw.settle)(&inner, batch)
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        let (flaw, inner) = self.parts();
        (flaw.read)(&inner, keys)
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        let (flaw, inner) = self.parts();
        (flaw.scan)(&inner, range, limit)
    }
}

/// A place in memory whose backends have a defect.
struct InBroken {
    inner: InMemory,
    defective: Arc<Defective>,
}

impl InBroken {
    fn new(defect: &Defect) -> InBroken {
        let defective = Defective { flaw: (defect.flaw)(), given_up: AtomicBool::new(false) };
        InBroken { inner: InMemory::default(), defective: Arc::new(defective) }
    }

    /// Ends every call from now on.
    fn give_up(&self) {
        self.defective.given_up.store(true, Ordering::Relaxed);
    }
}

impl Place for InBroken {
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
        let inner = self.inner.open()?;
        // What is open beside it is of the same process.
        if Arc::strong_count(&self.defective) == 1 {
            (self.defective.flaw.opened)();
        }
        Ok(Arc::new(Broken { inner, defective: Arc::clone(&self.defective) }))
    }

    fn set_newer(&self, newer: bool) -> Result<bool, Unusable> {
        self.inner.set_newer(newer)
    }
}

/// What a defect gives as the cause of a failure.
#[derive(Debug, Error)]
#[error("broken: {0}")]
struct Made(&'static str);

fn cause(what: &'static str) -> Cause {
    Arc::new(Made(what))
}

fn not_stored(what: &'static str) -> CommitError {
    CommitError::NotStored(cause(what))
}

/// Panics without a message on the screen.
fn unwind(what: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(what))
}
