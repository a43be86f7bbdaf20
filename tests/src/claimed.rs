//! A backend that is claimed, asked directly.

use std::sync::Arc;

use channelcoord::{Backend, Batch, ChangeSet, CommitError, Head, Record, Seq, Verdict};
use chanstate::Version;
use chanstate::key::RecordKey;

use crate::inspect::{self, Contents};
use crate::place::Place;
use crate::values::sets::meta;

/// A claimed backend at its newest sequence number.
pub struct Claimed<'a> {
    place: &'a dyn Place,
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Our claim, and where the store stands.
    pub head: Head,
}

impl<'a> Claimed<'a> {
    /// Opens and claims what is on the place.
    pub async fn new(place: &'a dyn Place) -> Claimed<'a> {
        let backend = place.must_open();
        let head = backend.claim(None).await.expect("the backend is free");
        Claimed { place, backend, head }
    }

    /// Releases the backend, opens it again and claims it.
    pub async fn reopen(self) -> Claimed<'a> {
        self.backend.release().await.expect("the backend is given up");
        self.crash().await
    }

    /// As [`reopen`](Claimed::reopen), without a release.
    pub async fn crash(self) -> Claimed<'a> {
        let Claimed { place, backend, .. } = self;
        drop(backend);
        Claimed::new(place).await
    }

    /// Gives sets that are to be committed next their versions.
    pub fn stamped(&self, mut sets: Vec<ChangeSet>) -> Vec<ChangeSet> {
        for (version, set) in (self.head.seq.0 + 1..).zip(&mut sets) {
            set.stamp(Version(version));
        }
        sets
    }

    /// The next batch.
    pub fn batch<'s>(&self, sets: &'s [ChangeSet]) -> Batch<'s> {
        Batch { epoch: self.head.epoch, before: self.head.seq, sets }
    }

    /// Commits sets as the store does, and gives each its verdict.
    pub async fn commit(&mut self, sets: Vec<ChangeSet>) -> Vec<Verdict> {
        self.try_commit(sets).await.expect("the batch is stored")
    }

    /// As [`commit`](Claimed::commit), for a batch that may fail.
    ///
    /// # Errors
    /// The backend's.
    pub async fn try_commit(&mut self, sets: Vec<ChangeSet>) -> Result<Vec<Verdict>, CommitError> {
        let sets = self.stamped(sets);
        let batch = self.batch(&sets);
        let verdicts = self.backend.commit(batch).await?;
        assert_eq!(verdicts.len(), sets.len(), "one verdict for each set");
        self.head.seq = batch.last();
        Ok(verdicts)
    }

    /// Commits one set that must apply, and returns its number.
    pub async fn apply(&mut self, set: ChangeSet) -> Seq {
        let verdicts = self.commit(vec![set]).await;
        assert!(matches!(verdicts[..], [Verdict::Applied]), "{verdicts:?}");
        self.head.seq
    }

    /// Reads one record.
    pub async fn get(&self, key: &RecordKey) -> Option<Record> {
        let mut found = self.backend.read(std::slice::from_ref(key)).await.expect("a record");
        found.pop().expect("an answer for the key")
    }

    /// Whether a value of the store is there.
    pub async fn has(&self, name: &str) -> bool {
        self.get(&meta(name).key()).await == Some(meta(name))
    }

    /// Everything that is stored.
    pub async fn contents(&self) -> Contents {
        inspect::contents(self.backend.as_ref()).await
    }
}
