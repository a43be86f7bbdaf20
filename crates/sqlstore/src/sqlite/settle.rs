//! Finding out what became of a batch.

use channelcoord::{
    BackendError, Batch, ChangeSet, Epoch, Head, Op, Seq, Settled, Subject, Verdict,
};
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
    let mut session = Session::new(&transaction);
    let store = session.store()?;
    let head = Head { epoch: Epoch(store.epoch), seq: Seq(store.seq) };
    if reached(&mut session, head, batch.epoch)? < batch.last() {
        return Ok(Settled::NotStored(head));
    }
    let versions = batch.before.0 + 1..;
    let verdicts = batch.sets.iter().zip(versions);
    let verdicts = verdicts.map(|(set, version)| verdict(&mut session, set, version));
    let verdicts = verdicts.collect::<Result<_, _>>()?;
    Ok(Settled::Stored(verdicts, head))
}

/// The last sequence number that `epoch` committed: where its successor began, or where the store
/// stands. 0 for an epoch that the store never had.
fn reached(session: &mut Session<'_>, head: Head, epoch: Epoch) -> Result<Seq, BackendError> {
    match head.epoch.cmp(&epoch) {
        std::cmp::Ordering::Less => Ok(Seq(0)),
        std::cmp::Ordering::Equal => Ok(head.seq),
        // Epochs are counted without gaps.
        std::cmp::Ordering::Greater => Ok(Seq(session.began_at(epoch.0 + 1)?)),
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
