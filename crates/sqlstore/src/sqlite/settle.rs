//! Finding out what became of a batch.

use channelcoord::{BackendError, Batch, ChangeSet, Epoch, Op, Settled, Subject, Verdict};
use rusqlite::Connection;

use super::commit::misfit;
use super::error::Engine;
use super::session::Session;

/// Tells the fate of a batch from the sequence numbers of its claim and the versions of its subjects.
pub(crate) fn settle(
    connection: &mut Connection,
    batch: Batch<'_>,
) -> Result<Settled, BackendError> {
    let transaction = connection
        .transaction()
        .map_err(|error| BackendError::Unavailable(Engine::cause("settling")(error)))?;
    if reached(&transaction, batch.epoch)? < batch.last().0 {
        return Ok(Settled::NotStored);
    }
    let mut session = Session::new(&transaction);
    let versions = batch.before.0 + 1..;
    let verdicts = batch.sets.iter().zip(versions);
    let verdicts = verdicts.map(|(set, version)| verdict(&mut session, set, version));
    verdicts.collect::<Result<_, _>>().map(Settled::Stored)
}

/// The last sequence number that `epoch` committed: where its successor began, or where the store
/// stands. 0 for an epoch that the store never had.
fn reached(connection: &Connection, epoch: Epoch) -> Result<u64, BackendError> {
    let mut session = Session::new(connection);
    let store = session.store()?;
    match store.epoch.cmp(&epoch.0) {
        std::cmp::Ordering::Less => Ok(0),
        std::cmp::Ordering::Equal => Ok(store.seq),
        // Epochs are counted without gaps.
        std::cmp::Ordering::Greater => Ok(session.began_at(epoch.0 + 1)?),
    }
}

/// Whether a set of a stored batch was applied.
fn verdict(
    session: &mut Session<'_>,
    set: &ChangeSet,
    version: u64,
) -> Result<Verdict, BackendError> {
    if let Some(refused) = misfit(set) {
        return Ok(refused);
    }
    for (subject, _) in set.guards() {
        let found = session.version(&subject).map_err(BackendError::Unavailable)?.0;
        // A set that removes its subject leaves no version behind.
        let applied = if writes(set, &subject) { found >= version } else { found == 0 };
        if !applied {
            return Ok(Verdict::Conflict(subject));
        }
    }
    Ok(Verdict::Applied)
}

fn writes(set: &ChangeSet, subject: &Subject) -> bool {
    let key = subject.key();
    set.ops().any(|op| matches!(op, Op::Put(record) if record.key() == key))
}
