//! One channel's part of a change: what to write, and the version it was computed from.

use crate::codec::{Codec, DecodeError, Reader};
use crate::ids::{ChannelNo, Version};
use crate::key::{Kind, RecordKey};
use crate::record::*;
use crate::setup::{FinalHtlcRecord, ForwardingPolicyRecord, OpeningStateRecord};

macro_rules! records {
    ($( $kind:ident($record:ty) ),* $(,)?) => {
        /// A stored record of the channel domain.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant holds the record of its kind")]
        #[allow(clippy::large_enum_variant, reason = "close records are rare, and moved once")]
        pub enum Record {
            $( $kind($record), )*
        }

        impl Record {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $( Record::$kind(_) => Kind::$kind, )* }
            }

            /// Appends the record's fields, key included.
            pub fn encode_to(&self, out: &mut Vec<u8>) {
                match self { $( Record::$kind(record) => record.encode_to(out), )* }
            }

            /// Reads the fields of a record of `kind`.
            ///
            /// # Errors
            /// `Truncated` or `Invalid`; `Invalid` also for a kind of another domain.
            pub fn decode_from(kind: Kind, reader: &mut Reader) -> Result<Record, DecodeError> {
                match kind {
                    $( Kind::$kind => <$record>::decode_from(reader).map(Record::$kind), )*
                    _ => Err(reader.invalid("kind of a channel record")),
                }
            }
        }
    };
}
records! {
    Channel(ChannelRecord),
    Terms(TermsRecord),
    Commitment(CommitmentRecord),
    Diff(DiffRecord),
    Htlc(HtlcRecord),
    UpdateList(UpdateListRecord),
    Secret(SecretRecord),
    Mark(MarkRecord),
    RevokedState(RevokedStateRecord),
    RevokedCommitment(RevokedCommitmentRecord),
    Package(PackageRecord),
    PackageUpdate(PackageUpdateRecord),
    Close(CloseRecord),
    Reclaim(ReclaimRecord),
    FinalHtlc(FinalHtlcRecord),
    OpeningState(OpeningStateRecord),
    ForwardingPolicy(ForwardingPolicyRecord),
}

impl Record {
    /// The key that names the record.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Channel(r) => RecordKey::single(Kind::Channel, r.no),
            Record::Terms(r) => RecordKey::single(Kind::Terms, r.no),
            Record::Commitment(r) => RecordKey::commitment(r.no, r.side, r.height),
            Record::Diff(r) => RecordKey::single(Kind::Diff, r.no),
            Record::Htlc(r) => RecordKey::htlc(r.no, r.key()),
            Record::UpdateList(r) => RecordKey::of(Kind::UpdateList, [r.no.0, r.list as u64]),
            Record::Secret(r) => RecordKey::of(Kind::Secret, [r.no.0, r.slot.into()]),
            Record::Mark(r) => RecordKey::of(Kind::Mark, [r.no.0, r.mark.kind() as u64]),
            Record::RevokedState(r) => {
                RecordKey::of(Kind::RevokedState, [r.no.0, r.state.height.0])
            }
            Record::RevokedCommitment(r) => {
                RecordKey::of(Kind::RevokedCommitment, [r.no.0, r.height.0])
            }
            Record::Package(r) => RecordKey::package(r.source, r.height),
            Record::PackageUpdate(r) => RecordKey::of(
                Kind::PackageUpdate,
                [r.source.0, r.height.0, r.list as u64, r.index.into()],
            ),
            Record::Close(r) => RecordKey::single(Kind::Close, r.no),
            Record::Reclaim(r) => RecordKey::single(Kind::Reclaim, r.no),
            Record::FinalHtlc(r) => RecordKey::final_htlc(r.scid, r.id),
            Record::OpeningState(r) => RecordKey::of_bytes(Kind::OpeningState, r.key.clone()),
            Record::ForwardingPolicy(r) => {
                RecordKey::of_bytes(Kind::ForwardingPolicy, r.channel_id.0.to_vec())
            }
        }
    }
}

/// What a transition wants written for one channel. Applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelChange {
    no: ChannelNo,
    expect: Version,
    // The channel's row comes first: every change writes it, it carries the version.
    puts: Vec<Record>,
    removes: Vec<RecordKey>,
}

impl ChannelChange {
    /// A change that leaves the channel with this row.
    ///
    /// The version in `row` is the one the change was computed from, [`Version::ABSENT`] to
    /// create the channel; the commit replaces it.
    pub fn new(row: ChannelRecord) -> ChannelChange {
        ChannelChange {
            no: row.no,
            expect: row.version,
            puts: vec![Record::Channel(row)],
            removes: Vec::new(),
        }
    }

    /// Adds a record to write, replacing one with the same key.
    pub fn put(&mut self, record: Record) {
        self.puts.push(record);
    }

    /// Adds a record to remove; it need not exist.
    pub fn remove(&mut self, key: RecordKey) {
        self.removes.push(key);
    }

    /// The channel.
    pub fn channel(&self) -> ChannelNo {
        self.no
    }

    /// The version it was computed from.
    pub fn expect(&self) -> Version {
        self.expect
    }

    /// Records to write.
    pub fn puts(&self) -> &[Record] {
        &self.puts
    }

    /// Records to remove.
    pub fn removes(&self) -> &[RecordKey] {
        &self.removes
    }

    /// Gives the channel its new version.
    pub fn stamp(&mut self, version: Version) {
        for record in &mut self.puts {
            if let Record::Channel(row) = record {
                row.version = version;
            }
        }
    }
}
