//! The backend over any engine, and its end: release, unknown outcome, damage.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};

use super::fault::catch;
use super::{Engine, Fault, ReadRows, WriteError, WriteRows, head, read, scan};

/// A store over a key-value engine.
///
/// After a commit of unknown outcome, or a panic of the engine while it writes, the engine is
/// dropped and every call refused: open the store again and [`settle`](Backend::settle) the batch
/// there. The engine's lock makes it impossible that the lost batch is stored later.
///
/// Engines block: the calls do file I/O on the thread that polls them and never yield.
#[derive(Debug)]
pub struct KvBackend<E> {
    state: RwLock<State<E>>,
}

#[derive(Debug)]
enum State<E> {
    Open(E),
    Poisoned(Cause),
    Released,
}

impl<E: Engine> KvBackend<E> {
    /// A backend over an engine that is open on a store of its newest format.
    pub fn new(engine: E) -> KvBackend<E> {
        KvBackend { state: RwLock::new(State::Open(engine)) }
    }

    /// Where the store stands, without a claim.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if the store's own rows are damaged.
    pub fn head(&self) -> Result<Head, BackendError> {
        self.read(|rows| head::head(rows))
    }

    /// Lets `work` have the engine to itself. If it finds the store damaged, the store is closed.
    #[cfg(feature = "redb")]
    pub(crate) fn examine(
        &self,
        work: impl FnOnce(&mut E) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State::Open(engine) = &mut *state else { return Err(state.closed().into()) };
        let result = catch(|| work(engine)).unwrap_or_else(|panicked| {
            Err(BackendError::Corrupt { record: "file".into(), cause: Arc::new(panicked) })
        });
        if let Err(BackendError::Corrupt { cause, .. }) = &result {
            close(state, State::Poisoned(cause.clone()));
        }
        result
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let state = self.state();
        let State::Open(engine) = &*state else { return Err(state.closed().into()) };
        catch(|| engine.read(work))?
    }

    fn write<T, X>(
        &self,
        work: impl FnOnce(&mut dyn WriteRows) -> Result<T, X>,
    ) -> Result<T, WriteError<X>> {
        let state = self.state();
        let State::Open(engine) = &*state else {
            return Err(WriteError::NotStored(Arc::new(state.closed())));
        };
        let mut committing = false;
        let written = catch(|| {
            engine.write(|rows| {
                let done = work(rows)?;
                committing = true;
                Ok(done)
            })
        });
        let (error, cause) = match written {
            Ok(Err(WriteError::Unknown(cause))) => (WriteError::Unknown(cause.clone()), cause),
            Ok(result) => return result,
            Err(panicked) => {
                let cause: Cause = Arc::new(panicked);
                let error = if committing { WriteError::Unknown } else { WriteError::NotStored };
                (error(cause.clone()), cause)
            }
        };
        drop(state);
        self.close(State::Poisoned(cause));
        Err(error)
    }

    fn state(&self) -> RwLockReadGuard<'_, State<E>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, closed: State<E>) {
        close(self.state.write().unwrap_or_else(PoisonError::into_inner), closed);
    }
}

fn close<E>(mut state: RwLockWriteGuard<'_, State<E>>, closed: State<E>) {
    if let State::Open(_) = *state {
        let open = std::mem::replace(&mut *state, closed);
        // What cannot be closed well is repaired when it is opened again.
        let _ = catch(|| drop(open));
    }
}

impl<E> State<E> {
    /// Why calls are refused when the engine is gone.
    fn closed(&self) -> Fault {
        match self {
            State::Poisoned(cause) => Fault::Poisoned(cause.clone()),
            State::Open(_) | State::Released => Fault::Released,
        }
    }
}

#[async_trait]
impl<E: Engine> Backend for KvBackend<E> {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.write(|rows| head::claim(rows, at_least)).map_err(|failed| match failed {
            WriteError::Work(error) => error,
            WriteError::NotStored(cause) | WriteError::Unknown(cause) => {
                ClaimError::Backend(BackendError::Unavailable(cause))
            }
        })
    }

    /// Drops the engine. Every later call fails with `Unavailable`.
    async fn release(&self) -> Result<(), BackendError> {
        self.close(State::Released);
        Ok(())
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.write(|rows| head::commit(rows, batch)).map_err(|failed| match failed {
            WriteError::Work(error) => error,
            WriteError::NotStored(cause) => CommitError::NotStored(cause),
            WriteError::Unknown(cause) => CommitError::Unknown(cause),
        })
    }

    /// `Unavailable` from the backend whose commit was `Unknown`; the answer comes from the store
    /// when it is open again, before or after the next claim.
    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.read(|rows| head::settle(rows, batch))
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.read(|rows| keys.iter().map(|key| read(rows, key)).collect())
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.read(|rows| scan(rows, range, limit))
    }
}
