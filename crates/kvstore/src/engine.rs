//! The open file and its end: release, unknown outcome, damage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use channelcoord::BackendError;
use chanstate::Cause;
use redb::{
    Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageError, WriteTransaction,
};

use crate::error::Fault;

pub(crate) enum Engine {
    ReadWrite(Database),
    ReadOnly(ReadOnlyDatabase),
}

/// An engine that is open until it is released or can no longer be trusted.
#[derive(Debug)]
pub(crate) struct Handle {
    state: RwLock<State>,
}

#[derive(Debug)]
enum State {
    Open(Engine),
    Poisoned(Cause),
    Released,
}

/// How a write transaction failed.
pub(crate) enum WriteError<E> {
    /// Its work failed, so it was undone.
    Work(E),
    /// It did not get as far as its commit.
    NotStored(Cause),
    /// Its commit failed.
    Unknown(Cause),
}

impl Handle {
    pub(crate) fn new(engine: Engine) -> Handle {
        Handle { state: RwLock::new(State::Open(engine)) }
    }

    /// Runs `work` in a write transaction, and commits it durably if `work` succeeds.
    pub(crate) fn write<T, E>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, E>,
    ) -> Result<T, WriteError<E>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let db = match state.engine() {
            Ok(Engine::ReadWrite(db)) => db,
            Ok(Engine::ReadOnly(_)) => return Err(WriteError::NotStored(Fault::ReadOnly.cause())),
            Err(fault) => return Err(WriteError::NotStored(fault.cause())),
        };
        let worked = catch(|| {
            let txn = begin(db).map_err(|fault| WriteError::NotStored(fault.cause()))?;
            let done = work(&txn).map_err(WriteError::Work)?;
            Ok((txn, done))
        });
        let (txn, done) = match worked {
            Ok(worked) => worked?,
            Err(panicked) => {
                drop(state);
                return Err(WriteError::NotStored(self.poison(panicked)));
            }
        };
        match catch(|| txn.commit().map_err(Fault::from)).and_then(|result| result) {
            Ok(()) => Ok(done),
            Err(fault) => {
                drop(state);
                Err(WriteError::Unknown(self.poison(fault)))
            }
        }
    }

    /// Runs `work` in a read transaction.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let engine = state.engine()?;
        catch(|| {
            let txn = match engine {
                Engine::ReadWrite(db) => db.begin_read(),
                Engine::ReadOnly(db) => db.begin_read(),
            };
            work(&txn.map_err(Fault::from)?)
        })?
    }

    /// Checks every page. After a failure the handle is poisoned.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *state {
            State::Open(Engine::ReadWrite(db)) => db,
            State::Open(Engine::ReadOnly(_)) => return Err(Fault::ReadOnly),
            closed => return closed.engine().map(drop),
        };
        let fault = match catch(|| db.check_integrity()) {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false) | Err(DatabaseError::Storage(StorageError::Corrupted(_)))) => {
                Fault::DamagedFile
            }
            Ok(Err(error)) => Fault::Redb(error.into()),
            Err(panicked) => panicked,
        };
        close(state, State::Poisoned(Fault::DamagedFile.cause()));
        Err(fault)
    }

    /// Waits for the calls under way, then closes the file.
    pub(crate) fn release(&self) {
        close(self.state.write().unwrap_or_else(PoisonError::into_inner), State::Released);
    }

    fn poison(&self, fault: Fault) -> Cause {
        let cause = fault.cause();
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        close(state, State::Poisoned(cause.clone()));
        cause
    }
}

/// Runs code that goes into redb, which panics on some damaged files.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Fault::Panicked { message: message.unwrap_or_default() }
    })
}

fn begin(db: &Database) -> Result<WriteTransaction, Fault> {
    let mut txn = db.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    Ok(txn)
}

fn close(mut state: RwLockWriteGuard<'_, State>, closed: State) {
    if let State::Open(_) = *state {
        let open = std::mem::replace(&mut *state, closed);
        // A file that cannot be closed well is repaired when it is opened again.
        let _ = catch(|| drop(open));
    }
}

impl State {
    fn engine(&self) -> Result<&Engine, Fault> {
        match self {
            State::Open(engine) => Ok(engine),
            State::Poisoned(cause) => Err(Fault::Poisoned(cause.clone())),
            State::Released => Err(Fault::Released),
        }
    }
}

impl Fault {
    fn cause(self) -> Cause {
        Arc::new(self)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Engine::ReadWrite(_) => "ReadWrite",
            Engine::ReadOnly(_) => "ReadOnly",
        })
    }
}
