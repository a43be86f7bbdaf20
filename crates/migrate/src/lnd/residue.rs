//! What a source holds beyond the view of the store, path by path.

use bytes::Bytes;
use channelcoord::{LndRecord, Record};
use chanstate::codec::{Codec, DecodeError, Reader};
use thiserror::Error;

use super::codec::residue;
use super::path::{self, Path};
use super::source::{Content, LndEntry};

/// A difference between a source and the view of the store, kept so that both can be made equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Residue {
    /// The value differs in its encoding, not in its content.
    Patch(Bytes),
    /// The source has this value; the view has none, or one of other content.
    Value {
        /// The source's value.
        value: Bytes,
        /// CRC-32 of the view's value, if there is one.
        over: Option<[u8; 4]>,
    },
    /// The source has nothing where the view has something.
    Absent {
        /// CRC-32 of the view's value; `None` for a bucket.
        over: Option<[u8; 4]>,
    },
    /// The source has a bucket with this sequence; the view has none, or one without a sequence.
    Bucket(u64),
    /// A closed channel that the source still keeps among the open ones.
    OpenCopy,
}

impl Codec for Residue {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Residue::Patch(patch) => {
                out.push(1);
                patch.encode_to(out);
            }
            Residue::Value { value, over } => {
                out.push(2);
                value.encode_to(out);
                over.encode_to(out);
            }
            Residue::Absent { over } => {
                out.push(3);
                over.encode_to(out);
            }
            Residue::Bucket(sequence) => {
                out.push(4);
                sequence.encode_to(out);
            }
            Residue::OpenCopy => out.push(5),
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match u8::decode_from(reader)? {
            1 => Residue::Patch(Codec::decode_from(reader)?),
            2 => Residue::Value {
                value: Codec::decode_from(reader)?,
                over: Codec::decode_from(reader)?,
            },
            3 => Residue::Absent { over: Codec::decode_from(reader)? },
            4 => Residue::Bucket(Codec::decode_from(reader)?),
            5 => Residue::OpenCopy,
            _ => return Err(reader.invalid("residue")),
        })
    }
}

/// A stored residue cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResidueFault {
    /// The path is not one.
    #[error("path of a residue is damaged")]
    Path,
    /// It does not decode.
    #[error("residue does not decode")]
    Decode(#[from] DecodeError),
}

impl Residue {
    /// The record that stores the residue of `path`.
    pub fn to_record(&self, path: &[Vec<u8>]) -> Record {
        let path = path::to_sort_key(path).into();
        Record::Lnd(LndRecord { path, residue: self.to_bytes().into() })
    }

    /// Reads a stored residue and its path.
    ///
    /// # Errors
    /// `Path`, `Decode`.
    pub fn from_record(record: &LndRecord) -> Result<(Path, Residue), ResidueFault> {
        let path = path::from_sort_key(&record.path).ok_or(ResidueFault::Path)?;
        Ok((path, Residue::from_bytes(record.residue.clone())?))
    }

    /// Why it is kept, for people.
    pub fn reason(&self) -> &'static str {
        match self {
            Residue::Patch(_) => "values in another encoding than lnd writes today",
            Residue::Value { over: Some(_), .. } => "values with more than our records say",
            Residue::Value { over: None, .. } => "values under keys that have no record",
            Residue::Absent { .. } => "values and buckets that lnd left out",
            Residue::Bucket(_) => "empty buckets and sequence counters",
            Residue::OpenCopy => "closed channels that lnd keeps among the open ones",
        }
    }

    /// The source's value where the view has `canonical`.
    pub fn value(value: Bytes, canonical: Option<&Bytes>) -> Residue {
        Residue::Value { value, over: canonical.map(|canonical| residue::checksum(canonical)) }
    }

    /// Nothing where the view has the value `canonical`, or a bucket.
    pub fn absent(canonical: Option<&Bytes>) -> Residue {
        Residue::Absent { over: canonical.map(|canonical| residue::checksum(canonical)) }
    }

    /// The entry that the source has at `path`, where the view has `canonical`. A residue of another
    /// content belongs to a record that changed since; the view counts then.
    pub fn apply(self, path: Path, canonical: Option<Content>) -> Option<LndEntry> {
        let found = match &canonical {
            Some(Content::Value(value)) => Some(residue::checksum(value)),
            _ => None,
        };
        let content = match (self, canonical) {
            (Residue::Absent { over }, Some(_)) if over == found => return None,
            (Residue::Value { value, over }, None | Some(Content::Value(_))) if over == found => {
                Content::Value(value)
            }
            (Residue::Bucket(sequence), None | Some(Content::Bucket(_))) => {
                Content::Bucket(sequence)
            }
            (Residue::Patch(patch), Some(Content::Value(value))) => {
                let patched = residue::apply(&value, &patch).map_or(value, Bytes::from);
                Content::Value(patched)
            }
            (_, canonical) => canonical?,
        };
        Some(LndEntry { path, content })
    }
}
