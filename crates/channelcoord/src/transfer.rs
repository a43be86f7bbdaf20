//! Whether a store is for a node to open, while content is moved from one store into another.

use std::sync::Arc;

use bytes::Bytes;
use chanstate::codec::{Codec, DecodeError, Reader};
use chanstate::codec_struct;
use chanstate::key::RecordKey;
use thiserror::Error;

use crate::backend::{Backend, BackendError, Seq};
use crate::record::{MetaRecord, Record, meta_key};

/// Name of the value that says what part a store has in a transfer.
const NAME: &str = "transfer";

/// The part that a store has, or had, in a transfer of content from one store into another.
///
/// It is a record of the store, so it changes in the same commit as the content, in every backend.
/// It is no part of the content: copies, comparisons and checks of content pass over it. A store
/// without one was never part of a transfer and is for its node to open.
///
/// # Obligations
/// * `refused`: [`Store::open`](crate::Store::open) refuses a store that is being filled, differs
///   from its source, is not activated or was moved elsewhere, each with its [`NotReady`]. Nothing of
///   its content changes, and its backend is released.
/// * `ready`: it opens a store without such a record, and one that was activated.
/// * `atomic`: the record is stored with the other records of its change set, or none of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The same on both sides.
    pub id: TransferId,
    /// How far this side is.
    pub stage: Stage,
    /// The store on the other side, for messages; holds no secrets.
    pub other: String,
    /// What the tool that moves the content keeps here.
    pub detail: Bytes,
}
codec_struct!(Transfer { id, stage, other, detail });

/// Names one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransferId(pub [u8; 16]);

/// What a store is in a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The target, which holds a part of the content.
    Filling,
    /// The target, which was found to differ from the source.
    Differing,
    /// The target, which was compared with the source and is not in use yet.
    Complete,
    /// The target, in use since the commit with this sequence number.
    Active {
        /// Sequence number of the store when it was activated.
        at: Seq,
    },
    /// The source, whose content is in use elsewhere.
    Moved,
}

/// Why a store is not for a node to open.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// It holds a part of the content.
    #[error(
        "store is being filled from {from}: go on with `migrate copy --resume --from {from} --to \
         THIS`, then activate it"
    )]
    Filling {
        /// Where its content comes from.
        from: String,
    },
    /// It is not what it was copied from.
    #[error("store differs from {from}, of which it was to be a copy: throw it away, copy again")]
    Differing {
        /// Where its content comes from.
        from: String,
    },
    /// Its source may still be in use.
    #[error(
        "store is a complete copy of {from}, but not the one in use: make it that with `migrate \
         activate --from {from} --to THIS`"
    )]
    Inactive {
        /// Where its content comes from.
        from: String,
    },
    /// Its content is outdated.
    #[error(
        "store was moved to {to}: open that one, or take it back with `migrate unseal --from THIS \
         --to {to}`"
    )]
    Moved {
        /// Where its content went.
        to: String,
    },
}

impl Transfer {
    /// Key of the record.
    pub fn key() -> RecordKey {
        meta_key(NAME)
    }

    /// Whether a record is that of a transfer, and so none of the content.
    pub fn is(record: &Record) -> bool {
        matches!(record, Record::Meta(meta) if meta.name == NAME)
    }

    /// The record that is stored.
    pub fn to_record(&self) -> Record {
        Record::Meta(MetaRecord { name: NAME.into(), value: self.to_bytes().into() })
    }

    /// Reads the part that a store has in a transfer; `None` if it has none.
    ///
    /// # Errors
    /// As for [`Backend::read`]; `Corrupt` also for a record that a newer release wrote.
    pub async fn of(backend: &dyn Backend) -> Result<Option<Transfer>, BackendError> {
        let found = backend.read(&[Transfer::key()]).await?;
        let Some(Record::Meta(meta)) = found.into_iter().flatten().next() else { return Ok(None) };
        Transfer::from_bytes(meta.value).map(Some).map_err(|error| BackendError::Corrupt {
            record: Transfer::key().to_string(),
            cause: Arc::new(error),
        })
    }

    /// Refuses a store that is not for a node to open.
    ///
    /// # Errors
    /// Any [`NotReady`].
    pub fn require_ready(&self) -> Result<(), NotReady> {
        let other = self.other.clone();
        Err(match self.stage {
            Stage::Filling => NotReady::Filling { from: other },
            Stage::Differing => NotReady::Differing { from: other },
            Stage::Complete => NotReady::Inactive { from: other },
            Stage::Moved => NotReady::Moved { to: other },
            Stage::Active { .. } => return Ok(()),
        })
    }
}

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Codec for TransferId {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.0.encode_to(out);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Codec::decode_from(reader).map(TransferId)
    }
}

impl Codec for Stage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Stage::Filling => out.push(1),
            Stage::Differing => out.push(2),
            Stage::Complete => out.push(3),
            Stage::Active { at } => {
                out.push(4);
                at.0.encode_to(out);
            }
            Stage::Moved => out.push(5),
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match u8::decode_from(reader)? {
            1 => Stage::Filling,
            2 => Stage::Differing,
            3 => Stage::Complete,
            4 => Stage::Active { at: Seq(Codec::decode_from(reader)?) },
            5 => Stage::Moved,
            _ => return Err(reader.invalid("stage of a transfer")),
        })
    }
}
