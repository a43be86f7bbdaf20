//! How many records of each kind, and how large they are.

use std::collections::BTreeMap;

use channelcoord::RecordRef;
use chanstate::key::Kind;
use serde::{Serialize, Serializer};

/// Records and bytes by kind. Bytes are those of the records' own form, without what an engine adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    kinds: BTreeMap<Kind, Amount>,
    scratch: Vec<u8>,
}

/// Records with their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub records: u64,
    /// Their size.
    pub bytes: u64,
}

impl Tally {
    /// Counts a record.
    pub fn add(&mut self, record: RecordRef<'_>) {
        self.scratch.clear();
        record.encode_to(&mut self.scratch);
        let amount = self.kinds.entry(record.kind()).or_default();
        amount.records += 1;
        amount.bytes += self.scratch.len() as u64;
    }

    /// All records together.
    pub fn total(&self) -> Amount {
        self.kinds.values().fold(Amount::default(), |total, amount| Amount {
            records: total.records + amount.records,
            bytes: total.bytes + amount.bytes,
        })
    }

    /// Kinds that there are records of, in the order of a store.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Amount)> + '_ {
        self.kinds.iter().map(|(kind, amount)| (name(*kind), *amount))
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.kinds())
    }
}

/// Records of a kind, as an operator calls them.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Channel => "channels",
        Kind::Terms => "channel terms",
        Kind::Commitment => "commitments",
        Kind::Diff => "pending commitments",
        Kind::Htlc => "HTLCs",
        Kind::UpdateList => "update lists",
        Kind::Secret => "revocation secrets",
        Kind::Mark => "channel marks",
        Kind::RevokedState => "revoked states",
        Kind::RevokedCommitment => "revoked commitments",
        Kind::Package => "forwarding packages",
        Kind::PackageUpdate => "package updates",
        Kind::Close => "close summaries",
        Kind::Reclaim => "removals under way",
        Kind::FinalHtlc => "final HTLCs",
        Kind::OpeningState => "opening states",
        Kind::ForwardingPolicy => "forwarding policies",
        Kind::LinkNode => "link nodes",
        Kind::LinkAddress => "link node addresses",
        Kind::Meta => "notes of the store",
        Kind::Lnd => "residues",
    }
}
