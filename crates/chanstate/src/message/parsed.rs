//! The fields of the messages that channel records contain.

use std::fmt;

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;

use super::reader::{Reader, check_tlv};
use super::{Message, MessageError, MessageKind, ONION_LEN};

/// Length of the optional data-loss fields of a `channel_reestablish`.
const DATA_LOSS_LEN: usize = 32 + 33;

/// The fields of one wire message (BOLT 2).
///
/// `extra` is what follows the named fields, byte for byte, so nothing is lost that this version
/// does not know. Whether it must be a TLV stream is said at each message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParsedMessage {
    /// `update_add_htlc`: offers an HTLC.
    UpdateAddHtlc {
        /// The channel.
        channel_id: [u8; 32],
        /// Number of the HTLC among those its sender offered in this channel.
        id: u64,
        /// Amount in millisatoshi.
        amount_msat: u64,
        /// SHA-256 of the preimage that claims the HTLC.
        payment_hash: [u8; 32],
        /// Block height at which the HTLC expires.
        cltv_expiry: u32,
        /// The routing packet for the receiver, [`ONION_LEN`] bytes.
        onion: Bytes,
        /// A TLV stream.
        extra: Bytes,
    },
    /// `update_fulfill_htlc`: claims an HTLC.
    UpdateFulfillHtlc {
        /// The channel.
        channel_id: [u8; 32],
        /// Number of the HTLC among those the peer offered.
        id: u64,
        /// The preimage of the payment hash.
        preimage: [u8; 32],
        /// A TLV stream.
        extra: Bytes,
    },
    /// `update_fail_htlc`: fails an HTLC.
    UpdateFailHtlc {
        /// The channel.
        channel_id: [u8; 32],
        /// Number of the HTLC among those the peer offered.
        id: u64,
        /// The encrypted failure for the sender of the payment, at most 65535 bytes.
        reason: Bytes,
        /// Any bytes.
        extra: Bytes,
    },
    /// `update_fail_malformed_htlc`: fails an HTLC whose onion could not be read.
    UpdateFailMalformedHtlc {
        /// The channel.
        channel_id: [u8; 32],
        /// Number of the HTLC among those the peer offered.
        id: u64,
        /// SHA-256 of the onion.
        sha256_of_onion: [u8; 32],
        /// Failure code of BOLT 4.
        failure_code: u16,
        /// Any bytes.
        extra: Bytes,
    },
    /// `commitment_signed`: signs the receiver's next commitment.
    CommitmentSigned {
        /// The channel.
        channel_id: [u8; 32],
        /// Signature of the commitment transaction; all zero in taproot channels, where the real
        /// one is a TLV record.
        signature: [u8; 64],
        /// Signatures of the HTLC transactions, in output order, at most 65535.
        htlc_signatures: Vec<[u8; 64]>,
        /// A TLV stream.
        extra: Bytes,
    },
    /// `update_fee`: changes the feerate of the commitment.
    UpdateFee {
        /// The channel.
        channel_id: [u8; 32],
        /// Feerate in satoshi per 1000 weight units.
        feerate_per_kw: u32,
        /// Any bytes.
        extra: Bytes,
    },
    /// `channel_reestablish`: tells the peer after reconnecting what was received.
    ChannelReestablish {
        /// The channel.
        channel_id: [u8; 32],
        /// Height of the commitment that the sender expects to be signed next.
        next_commitment_number: u64,
        /// Height of the receiver's commitment that the sender expects to be revoked next.
        next_revocation_number: u64,
        /// The fields that prove a lost state, if they are there.
        data_loss: Option<DataLoss>,
        /// A TLV stream. Without data-loss fields it is shorter than these, 65 bytes, since it
        /// could not be told from them.
        extra: Bytes,
    },
    /// A message of another type.
    Unknown {
        /// Message type.
        ty: u16,
        /// Everything behind the type.
        body: Bytes,
    },
}

/// The fields of `channel_reestablish` by which a peer learns that it lost state (BOLT 2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DataLoss {
    /// The last revocation secret that the sender received; zero if none.
    pub last_secret: [u8; 32],
    /// Commitment point of the sender's current commitment.
    pub commit_point: PublicKey,
}

impl fmt::Debug for DataLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataLoss").field("commit_point", &self.commit_point).finish_non_exhaustive()
    }
}

impl ParsedMessage {
    /// Returns the message type by name.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::UpdateAddHtlc { .. } => MessageKind::UpdateAddHtlc,
            Self::UpdateFulfillHtlc { .. } => MessageKind::UpdateFulfillHtlc,
            Self::UpdateFailHtlc { .. } => MessageKind::UpdateFailHtlc,
            Self::UpdateFailMalformedHtlc { .. } => MessageKind::UpdateFailMalformedHtlc,
            Self::CommitmentSigned { .. } => MessageKind::CommitmentSigned,
            Self::UpdateFee { .. } => MessageKind::UpdateFee,
            Self::ChannelReestablish { .. } => MessageKind::ChannelReestablish,
            Self::Unknown { ty, .. } => MessageKind::Unknown(*ty),
        }
    }

    pub(super) fn parse(message: &Message) -> Result<Self, MessageError> {
        let mut body = Reader::new(message);
        Ok(match message.kind() {
            MessageKind::UpdateAddHtlc => Self::UpdateAddHtlc {
                channel_id: body.array("channel id")?,
                id: body.u64("HTLC id")?,
                amount_msat: body.u64("amount")?,
                payment_hash: body.array("payment hash")?,
                cltv_expiry: body.u32("expiry")?,
                onion: body.slice("onion", ONION_LEN)?,
                extra: body.tlv()?,
            },
            MessageKind::UpdateFulfillHtlc => Self::UpdateFulfillHtlc {
                channel_id: body.array("channel id")?,
                id: body.u64("HTLC id")?,
                preimage: body.array("preimage")?,
                extra: body.tlv()?,
            },
            MessageKind::UpdateFailHtlc => Self::UpdateFailHtlc {
                channel_id: body.array("channel id")?,
                id: body.u64("HTLC id")?,
                reason: {
                    let len = usize::from(body.u16("reason length")?);
                    body.slice("reason", len)?
                },
                extra: body.rest(),
            },
            MessageKind::UpdateFailMalformedHtlc => Self::UpdateFailMalformedHtlc {
                channel_id: body.array("channel id")?,
                id: body.u64("HTLC id")?,
                sha256_of_onion: body.array("onion hash")?,
                failure_code: body.u16("failure code")?,
                extra: body.rest(),
            },
            MessageKind::CommitmentSigned => Self::CommitmentSigned {
                channel_id: body.array("channel id")?,
                signature: body.array("signature")?,
                htlc_signatures: body.arrays("HTLC signatures")?,
                extra: body.tlv()?,
            },
            MessageKind::UpdateFee => Self::UpdateFee {
                channel_id: body.array("channel id")?,
                feerate_per_kw: body.u32("feerate")?,
                extra: body.rest(),
            },
            MessageKind::ChannelReestablish => Self::ChannelReestablish {
                channel_id: body.array("channel id")?,
                next_commitment_number: body.u64("next commitment number")?,
                next_revocation_number: body.u64("next revocation number")?,
                // The fields are optional together. A shorter rest cannot hold them.
                data_loss: if body.remaining() >= DATA_LOSS_LEN {
                    Some(DataLoss {
                        last_secret: body.array("last secret")?,
                        commit_point: body.point("commitment point")?,
                    })
                } else {
                    None
                },
                extra: body.tlv()?,
            },
            MessageKind::Unknown(ty) => Self::Unknown { ty, body: body.rest() },
        })
    }

    /// Encodes the message. Parsing the result gives an equal parsed form.
    ///
    /// # Errors
    ///
    /// * [`MessageError::FieldLength`]: the onion does not have [`ONION_LEN`] bytes.
    /// * [`MessageError::FieldTooLong`]: the reason or the list of signatures is too long.
    /// * [`MessageError::InvalidTlv`]: `extra` must be a TLV stream and is not.
    /// * [`MessageError::AmbiguousExtra`]: a `channel_reestablish` without data-loss fields has so
    ///   many extra bytes that they would be read as these.
    /// * [`MessageError::KnownType`]: the type of an unknown message is known.
    /// * [`MessageError::TooLong`]: the message exceeds the greatest length.
    pub fn encode(&self) -> Result<Message, MessageError> {
        let ty = self.kind().ty();
        let mut out = Vec::new();
        out.extend_from_slice(&ty.to_be_bytes());
        match self {
            Self::UpdateAddHtlc {
                channel_id,
                id,
                amount_msat,
                payment_hash,
                cltv_expiry,
                onion,
                extra,
            } => {
                if onion.len() != ONION_LEN {
                    return Err(MessageError::FieldLength {
                        ty,
                        field: "onion",
                        expected: ONION_LEN,
                        found: onion.len(),
                    });
                }
                out.reserve(ONION_LEN + 84 + extra.len());
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(&amount_msat.to_be_bytes());
                out.extend_from_slice(payment_hash);
                out.extend_from_slice(&cltv_expiry.to_be_bytes());
                out.extend_from_slice(onion);
                push_tlv(&mut out, ty, extra)?;
            }
            Self::UpdateFulfillHtlc { channel_id, id, preimage, extra } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(preimage);
                push_tlv(&mut out, ty, extra)?;
            }
            Self::UpdateFailHtlc { channel_id, id, reason, extra } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&id.to_be_bytes());
                push_u16(&mut out, ty, "reason", reason.len())?;
                out.extend_from_slice(reason);
                out.extend_from_slice(extra);
            }
            Self::UpdateFailMalformedHtlc {
                channel_id,
                id,
                sha256_of_onion,
                failure_code,
                extra,
            } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(sha256_of_onion);
                out.extend_from_slice(&failure_code.to_be_bytes());
                out.extend_from_slice(extra);
            }
            Self::CommitmentSigned { channel_id, signature, htlc_signatures, extra } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(signature);
                push_u16(&mut out, ty, "HTLC signatures", htlc_signatures.len())?;
                out.extend_from_slice(htlc_signatures.as_flattened());
                push_tlv(&mut out, ty, extra)?;
            }
            Self::UpdateFee { channel_id, feerate_per_kw, extra } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&feerate_per_kw.to_be_bytes());
                out.extend_from_slice(extra);
            }
            Self::ChannelReestablish {
                channel_id,
                next_commitment_number,
                next_revocation_number,
                data_loss,
                extra,
            } => {
                out.extend_from_slice(channel_id);
                out.extend_from_slice(&next_commitment_number.to_be_bytes());
                out.extend_from_slice(&next_revocation_number.to_be_bytes());
                match data_loss {
                    Some(data_loss) => {
                        out.extend_from_slice(&data_loss.last_secret);
                        out.extend_from_slice(&data_loss.commit_point.serialize());
                    }
                    None if extra.len() >= DATA_LOSS_LEN => {
                        return Err(MessageError::AmbiguousExtra {
                            expected: DATA_LOSS_LEN,
                            found: extra.len(),
                        });
                    }
                    None => {}
                }
                push_tlv(&mut out, ty, extra)?;
            }
            Self::Unknown { ty, body } => {
                if !matches!(MessageKind::from_type(*ty), MessageKind::Unknown(_)) {
                    return Err(MessageError::KnownType { ty: *ty });
                }
                out.extend_from_slice(body);
            }
        }
        Message::new(out)
    }
}

fn push_tlv(out: &mut Vec<u8>, ty: u16, extra: &[u8]) -> Result<(), MessageError> {
    check_tlv(ty, out.len(), extra)?;
    out.extend_from_slice(extra);
    Ok(())
}

fn push_u16(
    out: &mut Vec<u8>,
    ty: u16,
    field: &'static str,
    len: usize,
) -> Result<(), MessageError> {
    let encoded = u16::try_from(len).map_err(|_| MessageError::FieldTooLong {
        ty,
        field,
        max: usize::from(u16::MAX),
        found: len,
    })?;
    out.extend_from_slice(&encoded.to_be_bytes());
    Ok(())
}
