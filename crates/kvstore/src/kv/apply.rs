//! Change sets over rows.

use channelcoord::{Batch, ChangeSet, Op, PackageAck, Record, RecordRef, Seq, Subject, Verdict};
use chanstate::Version;
use std::sync::Arc;

use super::{ReadError, ReadRows, WriteRows, read, read_version, seal};

/// Applies each change set whose guards hold, and gives a verdict on each in the same order.
///
/// A set that is not applied writes nothing. The sets of a batch touch different records, so
/// checking each when its turn comes is checking all of them against the state before the batch.
///
/// # Errors
/// The engine's. The transaction must then not be committed.
pub fn apply<R: WriteRows>(rows: &mut R, sets: &[ChangeSet]) -> Result<Vec<Verdict>, R::Error> {
    sets.iter().map(|set| apply_set(rows, set)).collect()
}

fn apply_set<R: WriteRows>(rows: &mut R, set: &ChangeSet) -> Result<Verdict, R::Error> {
    // Everything is read before anything is written, as a refusal must leave no trace.
    let acked = match check(rows, set) {
        Ok(Ok(acked)) => acked,
        Ok(Err(subject)) => return Ok(Verdict::Conflict(subject)),
        Err(ReadError::Engine { error, .. }) => return Err(error),
        Err(ReadError::Damaged { key, damage }) => {
            return Ok(Verdict::Refused { record: key, cause: Arc::new(damage) });
        }
    };
    for op in set.ops() {
        match op {
            Op::Put(record) => put(rows, record)?,
            Op::Remove(key) => rows.remove(key.kind, &key.to_bytes())?,
            Op::Ack(_) => {}
        }
    }
    acked.iter().try_for_each(|record| put(rows, record.as_ref()))?;
    Ok(Verdict::Applied)
}

fn put<R: WriteRows>(rows: &mut R, record: RecordRef<'_>) -> Result<(), R::Error> {
    let key = record.key().to_bytes();
    let mut value = record.encode();
    seal(&key, &mut value);
    rows.put(record.kind(), &key, &value)
}

/// Checks the guards, and works out what the acknowledgements change.
fn check<R: ReadRows>(
    rows: &mut R,
    set: &ChangeSet,
) -> Result<Result<Vec<Record>, Subject>, ReadError<R::Error>> {
    for (subject, expected) in set.guards() {
        if read_version(rows, &subject.key())? != expected {
            return Ok(Err(subject));
        }
    }
    let mut acked = Vec::new();
    for op in set.ops() {
        if let Op::Ack(ack) = op {
            acked.extend(acknowledge(rows, ack)?);
        }
    }
    Ok(Ok(acked))
}

/// The update with its acknowledgement; `None` if there is no such update or it has one.
fn acknowledge<R: ReadRows>(
    rows: &mut R,
    ack: &PackageAck,
) -> Result<Option<Record>, ReadError<R::Error>> {
    let mut record = read(rows, &ack.key())?;
    match &mut record {
        Some(Record::Channel(chanstate::Record::PackageUpdate(update))) if !update.acked => {
            update.acked = true;
            Ok(record)
        }
        _ => Ok(None),
    }
}

/// The verdicts on a batch that is known to be stored, from the versions that its subjects carry
/// while the store is at `now`. `None` if later changes hide them.
///
/// A change set that removes a subject counts as applied if the subject is gone. One without
/// subjects has no guards, so it was applied.
///
/// # Errors
/// `Engine`, `Damaged`.
pub fn verdicts_of<R: ReadRows>(
    rows: &mut R,
    batch: Batch<'_>,
    now: Seq,
) -> Result<Option<Vec<Verdict>>, ReadError<R::Error>> {
    let mut verdicts = Vec::with_capacity(batch.sets.len());
    for (number, set) in (batch.before.0 + 1..).zip(batch.sets) {
        match verdict_of(rows, set, Version(number), now == batch.last())? {
            Some(verdict) => verdicts.push(verdict),
            None => return Ok(None),
        }
    }
    Ok(Some(verdicts))
}

fn verdict_of<R: ReadRows>(
    rows: &mut R,
    set: &ChangeSet,
    ours: Version,
    newest: bool,
) -> Result<Option<Verdict>, ReadError<R::Error>> {
    for (subject, _) in set.guards() {
        let key = subject.key();
        let found = read_version(rows, &key)?;
        let removes = set.ops().any(|op| op == Op::Remove(&key));
        let applied = match found {
            Version::ABSENT => removes,
            found => found == ours,
        };
        let hidden = found > ours || found == Version::ABSENT && !newest;
        match (applied, hidden) {
            (true, _) => {}
            (false, true) => return Ok(None),
            (false, false) => return Ok(Some(Verdict::Conflict(subject))),
        }
    }
    Ok(Some(Verdict::Applied))
}
