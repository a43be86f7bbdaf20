//! Finding out what became of a batch.

use channelcoord::{BackendError, Batch, ChangeSet, Epoch, Head, Seq, Settled};
use rusqlite::Connection;

use super::error::Engine;
use super::session::Session;
use crate::verdict;

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
    let began_at = |epoch: Epoch| session.began_at(epoch.0).map(Seq);
    if verdict::reached(head, batch.epoch, began_at)? < batch.last() {
        return Ok(Settled::NotStored(head));
    }
    let newest = head.seq == batch.last();
    let refused = |_, set: &ChangeSet| verdict::misfit(set);
    let verdicts = verdict::of_stored(batch, newest, refused, |subject| session.version(subject));
    Ok(Settled::Stored(verdicts?, head))
}
