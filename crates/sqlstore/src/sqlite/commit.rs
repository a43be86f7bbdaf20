//! Claiming the store and committing batches.

use std::sync::Arc;

use channelcoord::{
    BackendError, Batch, ChangeSet, ClaimError, CommitError, Epoch, Head, Op, Seq, Verdict,
};
use chanstate::Cause;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::error::Engine;
use super::session::Session;
use super::text;
use crate::fault::{Exhausted, WrongSeq};
use crate::table::{EpochRow, StoreRow};
use crate::verdict::misfit;

/// Commits the sets of a batch whose guards hold.
pub(crate) fn commit(
    connection: &mut Connection,
    batch: Batch<'_>,
) -> Result<Vec<Verdict>, CommitError> {
    let transaction = begin(connection).map_err(CommitError::NotStored)?;
    // An error drops the transaction, which rolls it back.
    let verdicts = store(&transaction, batch)?;
    match finish(transaction) {
        Ok(()) => Ok(verdicts),
        Err(Unfinished::NotStored(cause)) => Err(CommitError::NotStored(cause)),
        Err(Unfinished::Unknown(cause)) => Err(CommitError::Unknown(cause)),
    }
}

/// Why a claim failed.
pub(crate) enum Unclaimed {
    /// Nothing changed.
    No(ClaimError),
    /// It is not known whether it was stored.
    Unknown(Cause),
}

/// Raises the epoch.
pub(crate) fn claim(connection: &mut Connection, at_least: Option<Seq>) -> Result<Head, Unclaimed> {
    let transaction = begin(connection).map_err(unclaimed)?;
    let head = take_over(&transaction, at_least).map_err(Unclaimed::No)?;
    match finish(transaction) {
        Ok(()) => Ok(head),
        Err(Unfinished::NotStored(cause)) => Err(unclaimed(cause)),
        Err(Unfinished::Unknown(cause)) => Err(Unclaimed::Unknown(cause)),
    }
}

fn unclaimed(cause: Cause) -> Unclaimed {
    Unclaimed::No(BackendError::Unavailable(cause).into())
}

/// Starts a transaction that no other one can come before.
fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Cause> {
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(Engine::cause("beginning a transaction"))
}

/// How a COMMIT failed.
enum Unfinished {
    NotStored(Cause),
    Unknown(Cause),
}

/// Makes a transaction durable.
///
/// A full disk is a failed write of the log's frames, of which the commit mark is the last: without
/// it no recovery brings the transaction back. A busy database was not written at all. Anything
/// else, above all a failed sync, leaves it open whether the mark reached the disk.
fn finish(transaction: Transaction<'_>) -> Result<(), Unfinished> {
    transaction.commit().map_err(Unfinished::of)
}

impl Unfinished {
    fn of(error: rusqlite::Error) -> Unfinished {
        let code = error.sqlite_error_code();
        let cause = Engine::cause("committing")(error);
        match code {
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Unfinished::NotStored(cause),
            _ => Unfinished::Unknown(cause),
        }
    }
}

fn take_over(connection: &Connection, at_least: Option<Seq>) -> Result<Head, ClaimError> {
    let mut session = Session::new(connection);
    let mut row = session.store()?;
    if let Some(at_least) = at_least.filter(|at_least| row.seq < at_least.0) {
        return Err(ClaimError::TooOld { at_least, found: Seq(row.seq) });
    }
    let next = row.epoch.checked_add(1).ok_or(Exhausted);
    row.epoch = next.map_err(unavailable)?;
    session.put_row(text::store(), &row).map_err(unavailable)?;
    let began = EpochRow { epoch: row.epoch, began_at: row.seq };
    session.put_row(text::epoch(), &began).map_err(unavailable)?;
    Ok(Head { epoch: Epoch(row.epoch), seq: Seq(row.seq) })
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ClaimError {
    BackendError::Unavailable(Arc::new(error)).into()
}

fn store(connection: &Connection, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
    let mut session = Session::new(connection);
    raise(&mut session, batch)?;
    // Guards are about the state before the batch.
    let verdicts: Result<Vec<_>, Cause> =
        batch.sets.iter().map(|set| judge(&mut session, set)).collect();
    let verdicts = verdicts.map_err(CommitError::NotStored)?;
    for (set, verdict) in batch.sets.iter().zip(&verdicts) {
        if matches!(verdict, Verdict::Applied) {
            set.ops().try_for_each(|op| apply(&mut session, op)).map_err(CommitError::NotStored)?;
        }
    }
    Ok(verdicts)
}

/// Checks that the batch is due, and gives the store its new sequence number.
fn raise(session: &mut Session<'_>, batch: Batch<'_>) -> Result<(), CommitError> {
    let found = session.store().map_err(|error| CommitError::NotStored(Arc::new(error)))?;
    if found.epoch != batch.epoch.0 {
        return Err(CommitError::Fenced { ours: batch.epoch, found: Epoch(found.epoch) });
    }
    if found.seq != batch.before.0 {
        let wrong = WrongSeq { expected: batch.before.0, found: found.seq };
        return Err(CommitError::NotStored(Arc::new(wrong)));
    }
    let raised = StoreRow { seq: batch.last().0, ..found };
    let put = session.put_row(text::store(), &raised);
    put.map_err(|error| CommitError::NotStored(Arc::new(error)))
}

/// What is to become of a set, judged by what is stored.
fn judge(session: &mut Session<'_>, set: &ChangeSet) -> Result<Verdict, Cause> {
    // First, as it shows without the store: whoever settles the batch later finds the same.
    if let Some(refused) = misfit(set) {
        return Ok(refused);
    }
    for (subject, expected) in set.guards() {
        if session.version(&subject)? != expected {
            return Ok(Verdict::Conflict(subject));
        }
    }
    Ok(Verdict::Applied)
}

fn apply(session: &mut Session<'_>, op: Op<'_>) -> Result<(), Cause> {
    match op {
        Op::Put(record) => session.put(record).map_err(|error| Arc::new(error) as Cause),
        Op::Remove(key) => session.remove(key).map_err(|error| Arc::new(error) as Cause),
        Op::Ack(ack) => session.ack(ack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_and_a_busy_database_store_nothing_for_certain() {
        let unfinished = |code| {
            let error = rusqlite::ffi::Error::new(code);
            Unfinished::of(rusqlite::Error::SqliteFailure(error, None))
        };
        use rusqlite::ffi;
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY] {
            assert!(matches!(unfinished(code), Unfinished::NotStored(_)));
        }
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_NOMEM] {
            assert!(matches!(unfinished(code), Unfinished::Unknown(_)));
        }
    }
}
