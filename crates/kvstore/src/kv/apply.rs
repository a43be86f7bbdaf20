//! Change sets over rows.

use std::sync::Arc;

use channelcoord::{
    BackendError, Batch, ChangeSet, Op, PackageAck, Record, RecordRef, Seq, Subject, Verdict,
};
use chanstate::Version;

use super::{ReadError, ReadRows, Table, WriteRows, find, find_version, seal};

/// A row to write, and the record it holds.
struct Put<'a> {
    record: RecordRef<'a>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Applies each change set whose guards hold, and gives a verdict on each in the same order.
///
/// A set that is not applied writes nothing. The sets of a batch touch different records, so
/// checking each when its turn comes is checking all of them against the state before the batch.
///
/// # Errors
/// The engine's. The transaction must then not be committed.
pub(super) fn apply<R: WriteRows + ?Sized>(
    rows: &mut R,
    sets: &[ChangeSet],
) -> Result<Vec<Verdict>, BackendError> {
    sets.iter().map(|set| apply_set(rows, set)).collect()
}

fn apply_set<R: WriteRows + ?Sized>(
    rows: &mut R,
    set: &ChangeSet,
) -> Result<Verdict, BackendError> {
    // Everything is measured and read before anything is written: a refusal must leave no trace.
    let puts = puts(set);
    if let Some(refused) = misfit(rows, &puts) {
        return Ok(refused);
    }
    let acked = match check(rows, set) {
        Ok(Ok(acked)) => acked,
        Ok(Err(subject)) => return Ok(Verdict::Conflict(subject)),
        Err(ReadError::Engine(error)) => return Err(error),
        Err(ReadError::Damaged(record, damage)) => {
            return Ok(Verdict::Damaged { record, cause: Arc::new(damage) });
        }
    };
    for op in set.ops() {
        if let Op::Remove(key) = op {
            rows.remove(Table::Records(key.kind), &key.to_bytes())?;
        }
    }
    for put in puts.into_iter().chain(acked.iter().map(|record| Put::new(record.as_ref()))) {
        rows.put(Table::Records(put.record.kind()), &put.key, &put.value)?;
    }
    Ok(Verdict::Applied)
}

fn puts(set: &ChangeSet) -> Vec<Put<'_>> {
    let puts = set.ops().filter_map(|op| match op {
        Op::Put(record) => Some(Put::new(record)),
        Op::Remove(_) | Op::Ack(_) => None,
    });
    puts.collect()
}

/// The refusal of a set with a record that the engine cannot take. It shows without the store:
/// whoever settles the batch later finds the same.
fn misfit<R: ReadRows + ?Sized>(rows: &R, puts: &[Put<'_>]) -> Option<Verdict> {
    puts.iter().find_map(|put| {
        let cause = rows.fits(put.key.len(), put.value.len()).err()?;
        Some(Verdict::Refused { record: put.record.key(), cause })
    })
}

impl Put<'_> {
    fn new(record: RecordRef<'_>) -> Put<'_> {
        let key = record.key().to_bytes();
        let mut value = record.encode();
        seal(&key, &mut value);
        Put { record, key, value }
    }
}

/// Checks the guards, and works out what the acknowledgements change.
fn check<R: ReadRows + ?Sized>(
    rows: &mut R,
    set: &ChangeSet,
) -> Result<Result<Vec<Record>, Subject>, ReadError> {
    for (subject, expected) in set.guards() {
        if find_version(rows, &subject.key())? != expected {
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
fn acknowledge<R: ReadRows + ?Sized>(
    rows: &mut R,
    ack: &PackageAck,
) -> Result<Option<Record>, ReadError> {
    let mut record = find(rows, &ack.key())?;
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
/// # Errors
/// `Corrupt`; the engine's.
pub(super) fn verdicts_of<R: ReadRows + ?Sized>(
    rows: &mut R,
    batch: Batch<'_>,
    now: Seq,
) -> Result<Option<Vec<Verdict>>, BackendError> {
    let newest = now == batch.last();
    let mut verdicts = Vec::with_capacity(batch.sets.len());
    for (number, set) in (batch.before.0 + 1..).zip(batch.sets) {
        // Where a damaged update stands now, the commit met it too and left out the set.
        set.acks.iter().try_for_each(|ack| find(rows, &ack.key()).map(drop))?;
        let verdict = match misfit(rows, &puts(set)) {
            Some(refused) => Some(refused),
            None => {
                set.fate(Version(number), newest, |subject| find_version(rows, &subject.key()))?
            }
        };
        let Some(verdict) = verdict else { return Ok(None) };
        verdicts.push(verdict);
    }
    Ok(Some(verdicts))
}
