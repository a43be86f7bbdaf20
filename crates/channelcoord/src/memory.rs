//! A backend without a disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chanstate::Version;
use chanstate::key::{KeyRange, RecordKey};
use thiserror::Error;

use crate::backend::{
    Backend, BackendError, Batch, ClaimError, CommitError, Epoch, Head, Seq, Settled, Verdict,
};
use crate::change_set::Op;
use crate::record::Record;

/// Keeps records in memory: for tests, and as the shortest model of what a backend does.
///
/// Clones share their content, so a store can be closed and opened again on it: a clone is not
/// released if the other one was. "Durable" lasts as long as one clone does.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    content: Arc<Mutex<Content>>,
    released: AtomicBool,
}

#[derive(Debug, Default)]
struct Content {
    head: Head,
    records: BTreeMap<RecordKey, Record>,
    // Where each claim began.
    began: BTreeMap<Epoch, Seq>,
}

/// The store was released.
#[derive(Debug, Error)]
#[error("store was released")]
struct Released;

/// Later commits hide which sets of a batch were applied.
#[derive(Debug, Error)]
#[error("traces of the batch were overwritten")]
struct Overwritten;

/// The batch does not follow the last commit.
#[derive(Debug, Error)]
#[error("batch starts after {batch}, store is at {store}")]
struct OutOfStep {
    batch: u64,
    store: u64,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> MemoryBackend {
        MemoryBackend::default()
    }

    fn content(&self) -> Result<MutexGuard<'_, Content>, Released> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a release waits for the calls before it.
        if self.released.load(Ordering::Relaxed) { Err(Released) } else { Ok(content) }
    }
}

impl Clone for MemoryBackend {
    fn clone(&self) -> MemoryBackend {
        MemoryBackend { content: Arc::clone(&self.content), released: AtomicBool::new(false) }
    }
}

impl From<Released> for BackendError {
    fn from(released: Released) -> BackendError {
        BackendError::Unavailable(Arc::new(released))
    }
}

impl Content {
    fn version(&self, key: &RecordKey) -> Version {
        self.records.get(key).and_then(Record::version).unwrap_or(Version::ABSENT)
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        let mut content = self.content().map_err(BackendError::from)?;
        match at_least {
            Some(at_least) if content.head.seq < at_least => {
                return Err(ClaimError::TooOld { at_least, found: content.head.seq });
            }
            _ => {}
        }
        content.head.epoch = Epoch(content.head.epoch.0 + 1);
        let Head { epoch, seq } = content.head;
        content.began.insert(epoch, seq);
        Ok(content.head)
    }

    async fn release(&self) -> Result<(), BackendError> {
        let _content = self.content();
        self.released.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let content = self.content().map_err(|released| CommitError::NotStored(Arc::new(released)));
        let mut content = content?;
        if batch.epoch != content.head.epoch {
            return Err(CommitError::Fenced { ours: batch.epoch, found: content.head.epoch });
        }
        if batch.before != content.head.seq {
            let (batch, store) = (batch.before.0, content.head.seq.0);
            return Err(CommitError::NotStored(Arc::new(OutOfStep { batch, store })));
        }
        let verdicts = batch.sets.iter().map(|set| {
            let stale =
                set.guards().find(|(subject, expect)| content.version(&subject.key()) != *expect);
            if let Some((subject, _)) = stale {
                return Verdict::Conflict(subject);
            }
            for op in set.ops() {
                match op {
                    Op::Put(record) => {
                        content.records.insert(record.key(), record.to_owned());
                    }
                    Op::Remove(key) => {
                        content.records.remove(key);
                    }
                    Op::Ack(ack) => {
                        if let Some(Record::Channel(chanstate::Record::PackageUpdate(update))) =
                            content.records.get_mut(&ack.key())
                        {
                            update.acked = true;
                        }
                    }
                }
            }
            Verdict::Applied
        });
        let verdicts = verdicts.collect();
        content.head.seq = batch.last();
        Ok(verdicts)
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        // A commit here is never in doubt; answer all the same.
        let content = self.content()?;
        let head = content.head;
        let next = Epoch(batch.epoch.0 + 1);
        let reached = content.began.get(&next).copied().unwrap_or(head.seq);
        if reached < batch.last() {
            return Ok(Settled::NotStored(head));
        }
        let sets = (batch.before.0 + 1..).zip(batch.sets);
        let verdicts = sets.map(|(number, set)| {
            set.fate(Version(number), head.seq == batch.last(), |subject| {
                Ok::<_, Released>(content.version(&subject.key()))
            })
        });
        let verdicts: Option<_> = verdicts.collect::<Result<_, _>>()?;
        let hidden = || BackendError::Unavailable(Arc::new(Overwritten));
        Ok(Settled::Stored(verdicts.ok_or_else(hidden)?, head))
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        let content = self.content()?;
        Ok(keys.iter().map(|key| content.records.get(key).cloned()).collect())
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        let first = RecordKey { kind: range.kind, parts: range.prefix.clone() };
        let start = match &range.after {
            Some(after) if *after >= range.prefix => {
                Bound::Excluded(RecordKey { kind: range.kind, parts: after.clone() })
            }
            _ => Bound::Included(first),
        };
        let content = self.content()?;
        let inside =
            |key: &RecordKey| key.kind == range.kind && key.parts.starts_with(&range.prefix);
        let found = content.records.range((start, Bound::Unbounded));
        Ok(found
            .take_while(|(key, _)| inside(key))
            .take(limit)
            .map(|(_, record)| record.clone())
            .collect())
    }
}
