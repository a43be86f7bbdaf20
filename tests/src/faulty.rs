//! A backend that fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Op, Record, Seq,
    Settled, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use chanstate::{Cause, Version};
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
    /// As `UnknownNotStored`, and `settle` says that the store is behind where it was before, as
    /// after a failover to a server that lacks the last commits.
    UnknownWentBack,
    /// As `UnknownForGood`, although the batch is stored.
    UnknownForGoodStored,
    /// A conflict on the first subject of each set; nothing is stored.
    Conflict,
    /// A conflict on the first subject of the set at this place; the others are stored.
    ConflictAt(usize),
    /// The set at this place is refused; the others are stored.
    RefusedAt(usize),
    /// `Unknown`, and the store is claimed by another one, after the batch is stored or instead.
    TakenOver {
        /// The batch is stored.
        stored: bool,
    },
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
    overtaking: Option<ChangeSet>,
    down: bool,
    damaged: Option<KeyRange>,
}

/// What `settle` has to say.
enum Settle {
    Stored(Vec<Verdict>),
    NotStored,
    WentBack,
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

    /// Another writer stores `set` in the place of the next batch, which meets a conflict.
    pub fn overtake(&self, set: ChangeSet) {
        self.lock().overtaking = Some(set);
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

    /// Nothing works from now on, or everything does again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
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

    fn reach(&self) -> Result<(), BackendError> {
        if self.lock().down { Err(BackendError::Unavailable(cause())) } else { Ok(()) }
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
        self.store_instead(batch, ChangeSet::default()).await
    }

    /// Takes the batch's sequence numbers and stores `set`.
    async fn store_instead(&self, batch: Batch<'_>, set: ChangeSet) -> Result<(), CommitError> {
        let mut sets = vec![ChangeSet::default(); batch.sets.len()];
        sets[0] = set;
        sets[0].stamp(Version(batch.before.0 + 1));
        self.inner.commit(Batch { sets: &sets, ..batch }).await.map(drop)
    }

    /// A conflict on the first subject of each set.
    async fn conflict(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.pass_over(batch).await?;
        Ok(batch.sets.iter().map(conflict_of).collect())
    }

    /// Stores the batch without the set at a place, which gets this verdict.
    async fn leave_out(
        &self,
        batch: Batch<'_>,
        place: usize,
        verdict: Verdict,
    ) -> Result<Vec<Verdict>, CommitError> {
        let mut sets = batch.sets.to_vec();
        sets[place] = ChangeSet::default();
        let mut verdicts = self.inner.commit(Batch { sets: &sets, ..batch }).await?;
        verdicts[place] = verdict;
        Ok(verdicts)
    }

    /// Somebody else claims the store, after the batch is stored or instead.
    async fn take_over(&self, batch: Batch<'_>, stored: bool) -> CommitError {
        if stored && let Err(error) = self.inner.commit(batch).await {
            return error;
        }
        match self.inner.claim(None).await {
            Ok(_) => CommitError::Unknown(cause()),
            Err(error) => CommitError::Unknown(Arc::new(error)),
        }
    }
}

fn conflict_of(set: &ChangeSet) -> Verdict {
    let (subject, _) = set.guards().next().expect("only what has a version conflicts");
    Verdict::Conflict(subject)
}

fn refusal_of(set: &ChangeSet) -> Verdict {
    let record = match set.ops().next().expect("only what does something is refused") {
        Op::Put(record) => record.key(),
        Op::Remove(key) => key.clone(),
        Op::Ack(ack) => ack.key(),
    };
    Verdict::Refused { record, cause: cause() }
}

#[async_trait]
impl Backend for Faulty {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.reach()?;
        self.inner.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.reach()?;
        self.inner.release().await
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.reach().map_err(|error| CommitError::NotStored(Arc::new(error)))?;
        let fault = self.admit(batch.sets);
        let overtaking = self.lock().overtaking.take();
        if let Some(set) = overtaking {
            self.store_instead(batch, set).await?;
            return Ok(batch.sets.iter().map(conflict_of).collect());
        }
        let settle = match fault {
            None => return self.inner.commit(batch).await,
            Some(Fault::NotStored) => return Err(CommitError::NotStored(cause())),
            Some(Fault::Conflict) => return self.conflict(batch).await,
            Some(Fault::ConflictAt(place)) => {
                let verdict = conflict_of(&batch.sets[place]);
                return self.leave_out(batch, place, verdict).await;
            }
            Some(Fault::RefusedAt(place)) => {
                let verdict = refusal_of(&batch.sets[place]);
                return self.leave_out(batch, place, verdict).await;
            }
            Some(Fault::TakenOver { stored }) => return Err(self.take_over(batch, stored).await),
            Some(Fault::Panic) => panic!("made to panic"),
            Some(Fault::UnknownStored) => Settle::Stored(self.inner.commit(batch).await?),
            Some(Fault::UnknownNotStored) => Settle::NotStored,
            Some(Fault::UnknownRaised) => Settle::Raise,
            Some(Fault::UnknownForGood) => Settle::Fail,
            Some(Fault::UnknownWentBack) => Settle::WentBack,
            Some(Fault::UnknownForGoodStored) => {
                self.inner.commit(batch).await?;
                Settle::Fail
            }
        };
        self.lock().unsettled = Some(settle);
        Err(CommitError::Unknown(cause()))
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.reach()?;
        let settle = self.lock().unsettled.take();
        let head = |seq| Head { epoch: batch.epoch, seq };
        match settle {
            None => self.inner.settle(batch).await,
            Some(Settle::Stored(verdicts)) => Ok(Settled::Stored(verdicts, head(batch.last()))),
            Some(Settle::NotStored) => Ok(Settled::NotStored(head(batch.before))),
            Some(Settle::WentBack) => Ok(Settled::NotStored(head(Seq(batch.before.0 - 1)))),
            Some(Settle::Raise) => {
                let raised = self.pass_over(batch).await;
                raised.map_err(|error| BackendError::Unavailable(Arc::new(error)))?;
                Ok(Settled::NotStored(head(batch.last())))
            }
            Some(Settle::Fail) => Err(BackendError::Unavailable(cause())),
        }
    }

    // Reads end before they return, so that a call that is polled once comes as far as the commit
    // queue over an engine that answers later, too.
    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.reach()?;
        pollster::block_on(self.inner.read(keys))
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.reach()?;
        if self.lock().damaged.as_ref() == Some(range) {
            return Err(BackendError::Corrupt { record: "made to fail".into(), cause: cause() });
        }
        pollster::block_on(self.inner.scan(range, limit))
    }
}

fn cause() -> Cause {
    Arc::new(MadeToFail)
}
