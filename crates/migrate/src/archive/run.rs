//! What is known of the blocks so far, whoever writes or reads them.

use std::collections::BTreeMap;
use std::fmt;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bytes::Bytes;
use chanstate::key::Kind;

use super::index::IndexEntry;

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Number of records.
    pub records: u64,
    /// Number of records by kind, without those of which there are none.
    pub counts: BTreeMap<Kind, u64>,
    /// SHA-256 of all records one behind the other, as they are before compression. Archives where it
    /// is equal hold equal records, whatever release wrote them.
    pub sha256: sha256::Hash,
}

/// The blocks so far.
#[derive(Default)]
pub(super) struct Run {
    /// An entry for each block.
    pub(super) index: Vec<IndexEntry>,
    /// Key of the last record.
    pub(super) last: Option<Bytes>,
    counts: BTreeMap<Kind, u64>,
    sha256: sha256::HashEngine,
}

impl Run {
    /// Number of blocks, which is the number of the next one.
    pub(super) fn blocks(&self) -> u32 {
        self.index.len() as u32
    }

    /// Number of records.
    pub(super) fn records(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Counts a record.
    pub(super) fn count(&mut self, kind: Kind) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Adds a block that begins at `offset` and whose records are counted.
    pub(super) fn add(&mut self, offset: u64, first: Bytes, last: Bytes, content: &[u8]) {
        self.index.push(IndexEntry { offset, first });
        self.last = Some(last);
        self.sha256.input(content);
    }

    /// What the blocks hold.
    pub(super) fn contents(&self) -> Contents {
        Contents {
            records: self.records(),
            counts: self.counts.clone(),
            sha256: sha256::Hash::from_engine(self.sha256.clone()),
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({} blocks, {:?})", self.index.len(), self.counts)
    }
}
