//! The model finds a backend that is wrong, and shows how with few operations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::panic::catch_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Record, Seq, Settled,
    Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use conformance::model::{Settings, play};
use conformance::{InMemory, Place, Unusable};

/// Says that it stored what `edit` takes out of a change set.
struct Forgetful {
    inner: Arc<dyn Backend>,
    edit: fn(&mut ChangeSet),
}

#[async_trait]
impl Backend for Forgetful {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.inner.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.inner.release().await
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let mut sets = batch.sets.to_vec();
        sets.iter_mut().for_each(self.edit);
        self.inner.commit(Batch { sets: &sets, ..batch }).await
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.inner.settle(batch).await
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.inner.read(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.inner.scan(range, limit).await
    }
}

struct InForgetful(InMemory, fn(&mut ChangeSet));

impl Place for InForgetful {
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
        Ok(Arc::new(Forgetful { inner: self.0.open()?, edit: self.1 }))
    }

    fn set_newer(&self, newer: bool) -> Result<bool, Unusable> {
        self.0.set_newer(newer)
    }
}

/// What is said of a backend, and the number of operations that show it.
fn found(edit: fn(&mut ChangeSet)) -> (String, usize) {
    let played =
        catch_unwind(|| play(&InForgetful(InMemory::default(), edit), Settings::default()));
    let report = *played.unwrap_err().downcast::<String>().unwrap();
    let numbered = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let operations = report.lines().filter(numbered).count();
    (report, operations)
}

#[test]
fn lost_acknowledgements_are_found() {
    let (report, operations) = found(|set| set.acks.clear());
    // A channel, a commitment of each side, a revocation and the acknowledgement at the least.
    assert!((5..8).contains(&operations) && report.contains("ack_filter"), "{report}");
    assert!(report.contains("CONFORMANCE_SEED=1"), "{report}");
}

#[test]
fn a_lost_value_is_found_with_one_operation() {
    let (report, operations) = found(|set| set.puts.clear());
    assert_eq!(operations, 1, "{report}");
}
