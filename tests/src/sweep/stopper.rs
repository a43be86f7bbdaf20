//! A backend that stops at a chosen commit, as a machine does that loses power.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};

use crate::faulty::MadeToFail;

/// On which side of a commit a backend stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing of the commit is stored.
    Before,
    /// The commit is stored, but the answer never arrives.
    After,
}

/// Wraps a backend, counts its commits, and stops at one of them: from then on every call fails.
pub struct Stopper {
    inner: Arc<dyn Backend>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commits: u64,
    stop: Option<(u64, Stop)>,
    stopped: bool,
}

impl Stopper {
    /// Passes everything on until told otherwise.
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Stopper> {
        Arc::new(Stopper { inner, state: Mutex::default() })
    }

    /// Stops at the `n`th commit from now, which is at least the first; `None` never stops.
    pub fn stop_at(&self, stop: Option<(u64, Stop)>) {
        let mut state = self.lock();
        state.stop = stop.map(|(n, stop)| (state.commits + n, stop));
    }

    /// Commits so far, that of the stop included.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Whether it has stopped.
    pub fn has_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), BackendError> {
        if self.has_stopped() { Err(BackendError::Unavailable(cause())) } else { Ok(()) }
    }

    /// Counts a commit, and tells whether to stop at it.
    fn count(&self) -> Result<Option<Stop>, CommitError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(CommitError::Unknown(cause()));
        }
        state.commits += 1;
        let stop = state.stop.filter(|(at, _)| *at == state.commits);
        state.stopped = stop.is_some();
        Ok(stop.map(|(_, stop)| stop))
    }
}

#[async_trait]
impl Backend for Stopper {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.alive()?;
        self.inner.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.alive()?;
        self.inner.release().await
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        match self.count()? {
            None => return self.inner.commit(batch).await,
            Some(Stop::Before) => {}
            Some(Stop::After) => drop(self.inner.commit(batch).await?),
        }
        Err(CommitError::Unknown(cause()))
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.alive()?;
        self.inner.settle(batch).await
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.alive()?;
        self.inner.read(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.alive()?;
        self.inner.scan(range, limit).await
    }
}

fn cause() -> Cause {
    Arc::new(MadeToFail)
}
