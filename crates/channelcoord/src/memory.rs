//! A backend without a disk.

use std::collections::BTreeMap;
use std::ops::Bound;
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
/// Clones share their content, so a store can be closed and opened again on it. "Durable" lasts as
/// long as one clone does.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    head: Head,
    records: BTreeMap<RecordKey, Record>,
}

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

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut content = self.content();
        match at_least {
            Some(at_least) if content.head.seq < at_least => {
                return Err(ClaimError::TooOld { at_least, found: content.head.seq });
            }
            _ => {}
        }
        content.head.epoch = Epoch(content.head.epoch.0 + 1);
        Ok(content.head)
    }

    async fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let mut content = self.content();
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
        let content = self.content();
        if content.head.seq < batch.last() {
            return Ok(Settled::NotStored(content.head));
        }
        let verdicts = batch.sets.iter().map(|_| Verdict::Applied).collect();
        Ok(Settled::Stored(verdicts, content.head))
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        let content = self.content();
        Ok(keys.iter().map(|key| content.records.get(key).cloned()).collect())
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        let first = RecordKey { kind: range.kind, parts: range.prefix.clone() };
        let start = match &range.after {
            None => Bound::Included(first),
            Some(after) => Bound::Excluded(RecordKey { kind: range.kind, parts: after.clone() }),
        };
        let content = self.content();
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
