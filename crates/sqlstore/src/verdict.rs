//! What becomes of the sets of a batch.

use std::sync::Arc;

use channelcoord::{
    BackendError, Batch, ChangeSet, Epoch, Head, Op, RecordRef, Seq, Subject, Verdict,
};
use chanstate::{Cause, Version};

use crate::fault::Overwritten;
use crate::{keys, table};

/// The refusal of a set with a record that does not fit.
pub(crate) fn misfit(set: &ChangeSet) -> Option<Verdict> {
    let puts = set.ops().filter_map(|op| match op {
        Op::Put(record) => Some(record),
        Op::Remove(_) | Op::Ack(_) => None,
    });
    puts.filter_map(refuse).next()
}

fn refuse(record: RecordRef<'_>) -> Option<Verdict> {
    let cause = fits(record).err()?;
    Some(Verdict::Refused { record: record.key(), cause })
}

/// Whether a record fits the columns of its table, in SQLite as in PostgreSQL, which has a further
/// limit: [`PostgresOptions::fits`](crate::PostgresOptions::fits). A commit refuses the sets with
/// records that do not; this asks before anything is written.
///
/// # Errors
/// What is too large.
pub fn fits(record: RecordRef<'_>) -> Result<(), Cause> {
    let key = record.key();
    keys::check(table::of_kind(key.kind), &key).map_err(|misfit| Arc::new(misfit) as Cause)
}

/// The last sequence number that `epoch` committed: where its successor began, or where the store
/// stands. 0 for an epoch that the store never had.
///
/// # Errors
/// Those of `began_at`, which is asked at most once.
pub(crate) fn reached<E>(
    head: Head,
    epoch: Epoch,
    began_at: impl FnOnce(Epoch) -> Result<Seq, E>,
) -> Result<Seq, E> {
    match head.epoch.cmp(&epoch) {
        std::cmp::Ordering::Less => Ok(Seq(0)),
        std::cmp::Ordering::Equal => Ok(head.seq),
        // Epochs are counted without gaps.
        std::cmp::Ordering::Greater => began_at(Epoch(epoch.0 + 1)),
    }
}

/// What became of the sets of a batch that is stored, told from the versions that their subjects have
/// now. `newest` says that nothing was committed since, `refused` which sets do not fit, by their place
/// in the batch.
///
/// # Errors
/// Those of `version`; `Unavailable` if later commits hide a verdict.
pub(crate) fn of_stored(
    batch: Batch<'_>,
    newest: bool,
    refused: impl Fn(usize, &ChangeSet) -> Option<Verdict>,
    mut version: impl FnMut(&Subject) -> Result<Version, Cause>,
) -> Result<Vec<Verdict>, BackendError> {
    let mut of_set = |(position, (set, ours)): (usize, (&ChangeSet, u64))| {
        if let Some(refused) = refused(position, set) {
            return Ok(refused);
        }
        let fate = set.fate(Version(ours), newest, &mut version);
        let overwritten = || BackendError::Unavailable(Arc::new(Overwritten));
        fate.map_err(BackendError::Unavailable)?.ok_or_else(overwritten)
    };
    batch.sets.iter().zip(batch.before.0 + 1..).enumerate().map(&mut of_set).collect()
}
