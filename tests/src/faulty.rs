//! A backend that fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Record, Seq, Settled,
    Verdict,
};
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};
use thiserror::Error;

/// What happens to a commit instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `NotStored`.
    NotStored,
    /// `Unknown`, although the batch is stored.
    UnknownStored,
    /// `Unknown`, and the batch is not stored.
    UnknownNotStored,
    /// As `UnknownNotStored`, and `settle` raises the sequence number to make sure of it.
    UnknownRaised,
    /// `Unknown`, and `settle` fails too.
    UnknownForGood,
    /// A conflict on the first subject of each set; nothing is stored.
    Conflict,
    /// The engine panics.
    Panic,
}

/// Decides about a batch; `None` lets it pass.
type Judge = Box<dyn FnMut(&[ChangeSet]) -> Option<Fault> + Send>;

/// Wraps a backend; commits can be held back and made to fail.
pub struct Faulty {
    inner: Arc<dyn Backend>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    judge: Option<Judge>,
    held: bool,
    waiting: bool,
    batches: Vec<usize>,
    unsettled: Option<Settle>,
    damaged: Option<KeyRange>,
}

/// What `settle` has to say.
enum Settle {
    Stored(Vec<Verdict>),
    NotStored,
    Raise,
    Fail,
}

/// Stands for a disk that is full, a line that is cut.
#[derive(Debug, Error)]
#[error("made to fail")]
pub struct MadeToFail;

impl Faulty {
    /// Passes everything on until told otherwise.
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Faulty> {
        let state = Mutex::new(State::default());
        Arc::new(Faulty { inner, state, wake: Condvar::new() })
    }

    /// Asks `judge` about every batch from now on.
    pub fn judge(&self, judge: impl FnMut(&[ChangeSet]) -> Option<Fault> + Send + 'static) {
        self.lock().judge = Some(Box::new(judge));
    }

    /// The next batches meet these faults, those after them none.
    pub fn next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        let mut faults: VecDeque<_> = faults.into_iter().collect();
        self.judge(move |_| faults.pop_front().flatten());
    }

    /// Holds back commits until [`go`](Faulty::go).
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Waits until a commit is held back.
    pub fn await_held(&self) {
        let mut state = self.lock();
        while !state.waiting {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets commits go on.
    pub fn go(&self) {
        self.lock().held = false;
        self.wake.notify_all();
    }

    /// Scans of exactly this range find damage from now on.
    pub fn damage(&self, range: KeyRange) {
        self.lock().damaged = Some(range);
    }

    /// Sizes of the batches that came so far, and starts to count anew.
    pub fn take_batches(&self) -> Vec<usize> {
        std::mem::take(&mut self.lock().batches)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a batch, waits while commits are held back, and decides about it.
    fn admit(&self, sets: &[ChangeSet]) -> Option<Fault> {
        let mut state = self.lock();
        state.batches.push(sets.len());
        while state.held {
            state.waiting = true;
            self.wake.notify_all();
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting = false;
        state.judge.as_mut().and_then(|judge| judge(sets))
    }

    /// Takes the batch's sequence numbers and stores none of its sets.
    async fn pass_over(&self, batch: Batch<'_>) -> Result<(), CommitError> {
        let sets = vec![ChangeSet::default(); batch.sets.len()];
        self.inner.commit(Batch { sets: &sets, ..batch }).await.map(drop)
    }

    /// A conflict on the first subject of each set.
    async fn conflict(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.pass_over(batch).await?;
        let verdict = |set: &ChangeSet| {
            let (subject, _) = set.guards().next().expect("only what has a version conflicts");
            Verdict::Conflict(subject)
        };
        Ok(batch.sets.iter().map(verdict).collect())
    }
}

#[async_trait]
impl Backend for Faulty {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.inner.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.inner.release().await
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let settle = match self.admit(batch.sets) {
            None => return self.inner.commit(batch).await,
            Some(Fault::NotStored) => return Err(CommitError::NotStored(cause())),
            Some(Fault::Conflict) => return self.conflict(batch).await,
            Some(Fault::Panic) => panic!("made to panic"),
            Some(Fault::UnknownStored) => Settle::Stored(self.inner.commit(batch).await?),
            Some(Fault::UnknownNotStored) => Settle::NotStored,
            Some(Fault::UnknownRaised) => Settle::Raise,
            Some(Fault::UnknownForGood) => Settle::Fail,
        };
        self.lock().unsettled = Some(settle);
        Err(CommitError::Unknown(cause()))
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        let settle = self.lock().unsettled.take();
        let head = |seq| Head { epoch: batch.epoch, seq };
        match settle {
            None => self.inner.settle(batch).await,
            Some(Settle::Stored(verdicts)) => Ok(Settled::Stored(verdicts, head(batch.last()))),
            Some(Settle::NotStored) => Ok(Settled::NotStored(head(batch.before))),
            Some(Settle::Raise) => {
                let raised = self.pass_over(batch).await;
                raised.map_err(|error| BackendError::Unavailable(Arc::new(error)))?;
                Ok(Settled::NotStored(head(batch.last())))
            }
            Some(Settle::Fail) => Err(BackendError::Unavailable(cause())),
        }
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.inner.read(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        if self.lock().damaged.as_ref() == Some(range) {
            return Err(BackendError::Corrupt { record: "made to fail".into(), cause: cause() });
        }
        self.inner.scan(range, limit).await
    }
}

fn cause() -> Cause {
    Arc::new(MadeToFail)
}
