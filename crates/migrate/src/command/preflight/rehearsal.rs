//! A copy without a target: every record is made, looked at and thrown away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Op, Record, RecordRef,
    Settled, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use chanstate::{Cause, Record as ChannelRecordKind};

use super::check::NAMED;
use super::duplicates::Duplicates;
use crate::tally::Tally;

/// Bytes of records that are kept to measure how fast they are written.
const SAMPLE: u64 = 8 << 20;

/// Whether a target can hold a record.
pub(super) type Fits = Box<dyn Fn(RecordRef<'_>) -> Result<(), Cause> + Send + Sync>;

/// What passed by.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) tally: Tally,
    pub(super) duplicates: Duplicates,
    /// Records that the target cannot hold.
    pub(super) misfits: u64,
    pub(super) first_misfits: Vec<String>,
    /// Channels by chain.
    pub(super) chains: BTreeMap<ChainHash, u64>,
    /// Channels with the node itself as their peer.
    pub(super) own_peer: u64,
    /// The first batches.
    pub(super) sample: Vec<(Head, Vec<ChangeSet>)>,
    /// What is in them.
    pub(super) sampled: Tally,
}

/// A backend that stores nothing.
pub(super) struct Rehearsal {
    fits: Fits,
    node: Option<PublicKey>,
    seen: Arc<Mutex<Seen>>,
}

impl Rehearsal {
    pub(super) fn new(fits: Fits, node: Option<PublicKey>) -> Rehearsal {
        Rehearsal { fits, node, seen: Arc::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, seen: &mut Seen, record: RecordRef<'_>, in_sample: bool) {
        seen.tally.add(record);
        if in_sample {
            seen.sampled.add(record);
        }
        seen.duplicates.add(record);
        if let Err(cause) = (self.fits)(record) {
            seen.misfits += 1;
            if seen.first_misfits.len() < NAMED {
                seen.first_misfits.push(format!("{}: {cause}", record.key()));
            }
        }
        if let RecordRef::Channel(ChannelRecordKind::Channel(row)) = record {
            *seen.chains.entry(row.chain).or_default() += 1;
            seen.own_peer += u64::from(self.node == Some(row.peer));
        }
    }
}

#[async_trait]
impl Backend for Rehearsal {
    async fn claim(&self, _: Option<channelcoord::Seq>) -> Result<Head, ClaimError> {
        Ok(Head::default())
    }

    async fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let mut seen = self.seen();
        let in_sample = seen.sampled.total().bytes < SAMPLE;
        for op in batch.sets.iter().flat_map(ChangeSet::ops) {
            if let Op::Put(record) = op {
                self.see(&mut seen, record, in_sample);
            }
        }
        if in_sample {
            let before = Head { epoch: batch.epoch, seq: batch.before };
            seen.sample.push((before, batch.sets.to_vec()));
        }
        Ok(batch.sets.iter().map(|_| Verdict::Applied).collect())
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        Ok(Settled::NotStored(Head { epoch: batch.epoch, seq: batch.before }))
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        Ok(vec![None; keys.len()])
    }

    async fn scan(&self, _: &KeyRange, _: usize) -> Result<Vec<Record>, BackendError> {
        Ok(Vec::new())
    }
}
