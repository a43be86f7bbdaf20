//! Why stored bytes are not a value, and why a value has no stored form.

use std::sync::Arc;

use bitcoin::consensus::encode;
use bitcoin::secp256k1;
use chanstate::message::MessageError;
use chanstate::tlv::TlvError;
use thiserror::Error;

use super::residue::ResidueError;

/// Stored bytes that are not a value of their kind: which field, where, and why.
#[derive(Clone, Debug, Error)]
#[error("{field} of {record} at byte {offset}")]
pub struct LndError {
    /// Kind of value, in lnd's words.
    pub record: &'static str,
    /// Field that cannot be read.
    pub field: &'static str,
    /// Where the field begins, in bytes from the start of the value.
    pub offset: usize,
    /// What is wrong with it.
    #[source]
    pub fault: LndFault,
}

/// What is wrong with a stored field.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LndFault {
    /// The bytes end inside the field.
    #[error("needs {expected} bytes, found {found}")]
    Truncated {
        /// Bytes that the field takes.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// Bytes are left after the last field.
    #[error("{found} bytes left over")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// A key or an onion does not have the length it must have.
    #[error("has {found} bytes instead of {expected}")]
    Length {
        /// Length it must have.
        expected: usize,
        /// Length it has.
        found: usize,
    },
    /// A field is longer than lnd reads.
    #[error("has {found} bytes, at most {max}")]
    TooLong {
        /// Greatest length that lnd reads.
        max: u64,
        /// Length it has.
        found: u64,
    },
    /// A height or id is so large that no store can hold it.
    #[error("{found} is over {max}")]
    TooLarge {
        /// Greatest number that can be held.
        max: u64,
        /// The number.
        found: u64,
    },
    /// A number is not in its shortest form.
    #[error("number {value} takes {found} bytes instead of {expected}")]
    NonMinimal {
        /// The number.
        value: u64,
        /// Bytes of the shortest form.
        expected: usize,
        /// Bytes it was written with.
        found: usize,
    },
    /// A flag of a TLV record is neither 0 nor 1.
    #[error("flag is {found}")]
    NotAFlag {
        /// The byte.
        found: u8,
    },
    /// An enumeration has no such value.
    #[error("unknown kind {found}")]
    UnknownKind {
        /// The byte.
        found: u8,
    },
    /// A public key is not a point on the curve.
    #[error("is not a point")]
    NotAPoint(#[source] secp256k1::Error),
    /// The bytes are not a transaction.
    #[error("is not a transaction")]
    Transaction(#[source] Arc<encode::Error>),
    /// The bytes are not a message of the type they claim. Offsets in the source count from the
    /// message's type.
    #[error("is not a valid message")]
    Message(#[source] MessageError),
    /// A message is of another type than belongs here.
    #[error("has message type {found} instead of {expected}")]
    MessageType {
        /// Type that belongs here.
        expected: u16,
        /// Type of the message.
        found: u16,
    },
    /// A TLV record's type is not greater than the one before it.
    #[error("record {found} follows record {previous}")]
    TlvOrder {
        /// Type of the record before.
        previous: u64,
        /// Type of this record.
        found: u64,
    },
    /// A TLV record that must be there is missing.
    #[error("record {ty} is missing")]
    MissingRecord {
        /// Its type.
        ty: u64,
    },
    /// A store of the peer's secrets has more buckets than lnd's.
    #[error("{found} secrets, at most {max}")]
    TooManySecrets {
        /// Greatest number.
        max: usize,
        /// Number found.
        found: usize,
    },
}

/// A value that has no form in lnd's database: which field, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} of {record} cannot be written")]
pub struct EncodeError {
    /// Kind of value, in lnd's words.
    pub record: &'static str,
    /// Field that cannot be written.
    pub field: &'static str,
    /// Why not.
    #[source]
    pub fault: EncodeFault,
}

/// Why a field has no form in lnd's database.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeFault {
    /// It has more bytes or elements than its length field or lnd's reader allows.
    #[error("has length {found}, at most {max}")]
    TooLong {
        /// Greatest length.
        max: usize,
        /// Length it has.
        found: usize,
    },
    /// It does not have the length it must have.
    #[error("has length {found} instead of {expected}")]
    Length {
        /// Length it must have.
        expected: usize,
        /// Length it has.
        found: usize,
    },
    /// A number does not fit its field.
    #[error("{found} is over {max}")]
    TooLarge {
        /// Greatest number.
        max: u64,
        /// The number.
        found: u64,
    },
    /// lnd always has it here, and the value has none.
    #[error("is missing")]
    Missing,
    /// The unknown records are not a TLV stream.
    #[error("is not a TLV stream")]
    NotATlvStream(#[source] TlvError),
    /// The unknown records contain one that has a field of its own.
    #[error("contains record {ty}, which has a field of its own")]
    KnownRecord {
        /// Type of the record.
        ty: u64,
    },
    /// The residue of a revoked state does not fit the state.
    #[error("does not apply")]
    Residue(#[source] ResidueError),
}
