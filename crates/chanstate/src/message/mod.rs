//! BOLT 2 wire messages as channel records keep them.
//!
//! A [`Message`] is the truth: the bytes that were or will be sent, kept verbatim. A
//! [`ParsedMessage`] is a view of them. What parses encodes back to the same bytes, and what was
//! built from a view parses back to an equal view.

mod parsed;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;

use bitcoin::secp256k1;
use bytes::Bytes;

pub use self::parsed::{DataLoss, ParsedMessage};
use crate::tlv::TlvError;

/// Greatest length of a message in bytes, type included (BOLT 1).
pub const MAX_MESSAGE_LEN: usize = 65535;

/// Length of the onion of an `update_add_htlc` in bytes (BOLT 4).
pub const ONION_LEN: usize = 1366;

/// Length of the channel id that every message named here begins with.
const CHANNEL_ID_LEN: usize = 32;

/// Length of the type in front of the body.
const TYPE_LEN: usize = 2;

/// The verbatim bytes of one wire message: u16 type, then the body, without a length prefix.
///
/// Cloning shares the bytes. Two messages are equal if their bytes are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Message {
    ty: u16,
    bytes: Bytes,
}

impl Message {
    /// Takes the bytes of a message, the u16 type first, and does not look at the body.
    ///
    /// # Errors
    ///
    /// [`MessageError::NoType`] below 2 bytes, [`MessageError::TooLong`] above
    /// [`MAX_MESSAGE_LEN`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, MessageError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_MESSAGE_LEN {
            return Err(MessageError::TooLong { max: MAX_MESSAGE_LEN, found: bytes.len() });
        }
        let (ty, _) = bytes
            .split_first_chunk::<TYPE_LEN>()
            .ok_or(MessageError::NoType { found: bytes.len() })?;
        let ty = u16::from_be_bytes(*ty);
        Ok(Self { ty, bytes })
    }

    /// Returns the message type.
    pub fn ty(&self) -> u16 {
        self.ty
    }

    /// Returns the message type by name.
    pub fn kind(&self) -> MessageKind {
        MessageKind::from_type(self.ty)
    }

    /// Returns the bytes, the u16 type first.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the id of the HTLC that the message adds or removes, without parsing the rest.
    ///
    /// `None` for messages that do not name one HTLC, and for bodies that end before the id.
    pub fn htlc_id(&self) -> Option<u64> {
        if !self.kind().names_an_htlc() {
            return None;
        }
        let id = self.bytes.get(TYPE_LEN + CHANNEL_ID_LEN..)?;
        id.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// Parses the message; byte fields of the result share its memory.
    ///
    /// TLV streams are checked for form only: what their records mean is up to the reader. The
    /// extra bytes of `update_fail_htlc`, `update_fail_malformed_htlc` and `update_fee` are taken
    /// as they are.
    ///
    /// # Errors
    ///
    /// * [`MessageError::Truncated`]: the body ends inside a field.
    /// * [`MessageError::InvalidPoint`]: the commitment point of a `channel_reestablish` is not on
    ///   the curve.
    /// * [`MessageError::InvalidTlv`]: what follows the fields is not a TLV stream.
    pub fn parse(&self) -> Result<ParsedMessage, MessageError> {
        ParsedMessage::parse(self)
    }
}

impl TryFrom<&ParsedMessage> for Message {
    type Error = MessageError;

    /// Encodes the message, as [`ParsedMessage::encode`].
    fn try_from(parsed: &ParsedMessage) -> Result<Self, Self::Error> {
        parsed.encode()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Message");
        out.field("kind", &self.kind());
        if let Some(id) = self.htlc_id() {
            out.field("htlc_id", &id);
        }
        out.field("len", &self.bytes.len()).finish()
    }
}

/// The messages that channel records contain, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// `update_add_htlc`, type 128.
    UpdateAddHtlc,
    /// `update_fulfill_htlc`, type 130.
    UpdateFulfillHtlc,
    /// `update_fail_htlc`, type 131.
    UpdateFailHtlc,
    /// `commitment_signed`, type 132.
    CommitmentSigned,
    /// `update_fee`, type 134.
    UpdateFee,
    /// `update_fail_malformed_htlc`, type 135.
    UpdateFailMalformedHtlc,
    /// `channel_reestablish`, type 136.
    ChannelReestablish,
    /// Any other type.
    Unknown(u16),
}

impl MessageKind {
    /// Names a message type (BOLT 2).
    pub fn from_type(ty: u16) -> Self {
        match ty {
            128 => Self::UpdateAddHtlc,
            130 => Self::UpdateFulfillHtlc,
            131 => Self::UpdateFailHtlc,
            132 => Self::CommitmentSigned,
            134 => Self::UpdateFee,
            135 => Self::UpdateFailMalformedHtlc,
            136 => Self::ChannelReestablish,
            other => Self::Unknown(other),
        }
    }

    /// Returns the number of the message type.
    pub fn ty(self) -> u16 {
        match self {
            Self::UpdateAddHtlc => 128,
            Self::UpdateFulfillHtlc => 130,
            Self::UpdateFailHtlc => 131,
            Self::CommitmentSigned => 132,
            Self::UpdateFee => 134,
            Self::UpdateFailMalformedHtlc => 135,
            Self::ChannelReestablish => 136,
            Self::Unknown(ty) => ty,
        }
    }

    fn names_an_htlc(self) -> bool {
        match self {
            Self::UpdateAddHtlc
            | Self::UpdateFulfillHtlc
            | Self::UpdateFailHtlc
            | Self::UpdateFailMalformedHtlc => true,
            Self::CommitmentSigned
            | Self::UpdateFee
            | Self::ChannelReestablish
            | Self::Unknown(_) => false,
        }
    }
}

/// Why bytes are not a message, or why a parsed form cannot be encoded.
///
/// Offsets and lengths are in bytes; offsets count from the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// There are not even the two bytes of the type.
    #[error("message of {found} bytes has no type")]
    NoType {
        /// Length of the bytes.
        found: usize,
    },
    /// The message is longer than the protocol allows.
    #[error("message of {found} bytes is longer than {max}")]
    TooLong {
        /// Greatest length allowed.
        max: usize,
        /// Length of the message.
        found: usize,
    },
    /// The body ends inside a field.
    #[error(
        "{field} of message type {ty} needs {expected} bytes at offset {offset}, found {found}"
    )]
    Truncated {
        /// Message type.
        ty: u16,
        /// Name of the field.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// Bytes the field takes.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A public key is not a point on the curve.
    #[error("{field} of message type {ty} at offset {offset} is not a point")]
    InvalidPoint {
        /// Message type.
        ty: u16,
        /// Name of the field.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// What the curve library said.
        source: secp256k1::Error,
    },
    /// What follows the fields is not a TLV stream.
    #[error("message type {ty} has no valid TLV stream at offset {offset}")]
    InvalidTlv {
        /// Message type.
        ty: u16,
        /// Where the stream begins; offsets in the source count from here.
        offset: usize,
        /// What is wrong with the stream.
        source: TlvError,
    },
    /// A field to be encoded has the wrong length.
    #[error("{field} of message type {ty} has length {found} instead of {expected}")]
    FieldLength {
        /// Message type.
        ty: u16,
        /// Name of the field.
        field: &'static str,
        /// Length the field must have.
        expected: usize,
        /// Length it has.
        found: usize,
    },
    /// A field to be encoded does not fit its u16 length or count.
    #[error("{field} of message type {ty} has length {found}, more than {max}")]
    FieldTooLong {
        /// Message type.
        ty: u16,
        /// Name of the field.
        field: &'static str,
        /// Greatest length or count.
        max: usize,
        /// Length or count it has.
        found: usize,
    },
    /// A message to be encoded as unknown has a type that is known.
    #[error("message type {ty} has a parsed form of its own")]
    KnownType {
        /// Message type.
        ty: u16,
    },
    /// Extra bytes of a `channel_reestablish` without data-loss fields would be read as those.
    #[error("{found} extra bytes would read as data-loss fields, which take {expected}")]
    AmbiguousExtra {
        /// Length of the data-loss fields.
        expected: usize,
        /// Length of the extra bytes.
        found: usize,
    },
}
