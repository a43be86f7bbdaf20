//! What a backend stores of a channel: one value per row.
//!
//! A channel's domain values are taken apart so that a change writes only what changed: an HTLC's
//! terms and onion are one record that commitments, update lists and packages refer to.

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, Transaction};
use bytes::Bytes;

use crate::close::{CloseSummary, Mark};
use crate::codec::{Codec, DecodeError, Reader};
use crate::commitment::{CircuitKey, HtlcTerms};
use crate::flags::{ChannelStatus, ChannelType};
use crate::ids::{
    ChannelId, ChannelNo, CommitmentHeight, Direction, HtlcId, HtlcKey, LogIndex, MilliSatoshi,
    ShortChannelId, Side, Version,
};
use crate::message::Message;
use crate::package::{Filter, PackageList};
use crate::revocation::{RevokedCommitment, RevokedState};
use crate::terms::ChannelTerms;
use crate::{codec_enum, codec_struct};

/// The part of a channel that changes; every change of the channel writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Sequence number of the last change.
    pub version: Version,
    /// Funding outpoint, unique in the store.
    pub funding_outpoint: OutPoint,
    /// Channel id, unique in the store.
    pub channel_id: ChannelId,
    /// The peer.
    pub peer: PublicKey,
    /// Its chain.
    pub chain: ChainHash,
    /// The channel was closed; it stays for the historical view.
    pub closed: bool,
    /// The funding transaction is not confirmed yet.
    pub pending: bool,
    /// Features.
    pub channel_type: ChannelType,
    /// Why it is not usable.
    pub status: ChannelStatus,
    /// Short channel id; an alias for zero-conf channels, 0 while unconfirmed.
    pub scid: ShortChannelId,
    /// Confirmed short channel id of a zero-conf channel.
    pub confirmed_scid: Option<ShortChannelId>,
    /// Height at which the funding transaction confirmed.
    pub confirmation_height: Option<u32>,
    /// Height at which the closing transaction confirmed.
    pub close_confirmation_height: Option<u32>,
    /// Height of our commitment; `None` for a restored channel.
    pub local_height: Option<CommitmentHeight>,
    /// Height of the peer's commitment; `None` for a restored channel.
    pub remote_height: Option<CommitmentHeight>,
    /// A commitment at the height after `remote_height` was signed and not revoked yet.
    pub has_pending: bool,
    /// The last message of the commitment protocol that we sent was `revoke_and_ack`.
    pub last_was_revoke: Option<bool>,
    /// Total settled towards the peer.
    pub total_sent: MilliSatoshi,
    /// Total settled towards us.
    pub total_received: MilliSatoshi,
    /// The peer's current commitment point.
    pub remote_current_point: PublicKey,
    /// The peer's next commitment point.
    pub remote_next_point: Option<PublicKey>,
    /// Index (BOLT 3, counted down) that the peer's next secret will have.
    pub next_secret_index: u64,
}
codec_struct!(ChannelRecord {
    no,
    version,
    funding_outpoint,
    channel_id,
    peer,
    chain,
    closed,
    pending,
    channel_type,
    status,
    scid,
    confirmed_scid,
    confirmation_height,
    close_confirmation_height,
    local_height,
    remote_height,
    has_pending,
    last_was_revoke,
    total_sent,
    total_received,
    remote_current_point,
    remote_next_point,
    next_secret_index,
});

/// The part of a channel that hardly changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsRecord {
    /// The channel.
    pub no: ChannelNo,
    /// The terms.
    pub terms: Arc<ChannelTerms>,
}

impl Codec for TermsRecord {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.no.encode_to(out);
        self.terms.encode_to(out);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { no: Codec::decode_from(reader)?, terms: Arc::new(Codec::decode_from(reader)?) })
    }
}

/// A commitment without the terms of its HTLCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitmentRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Whose commitment.
    pub side: Side,
    /// Its number.
    pub height: CommitmentHeight,
    /// Our updates below are contained.
    pub local_log_index: LogIndex,
    /// Our HTLC ids below are contained.
    pub local_htlc_index: HtlcId,
    /// The peer's updates below are contained.
    pub remote_log_index: LogIndex,
    /// The peer's HTLC ids below are contained.
    pub remote_htlc_index: HtlcId,
    /// Our balance.
    pub local_balance: MilliSatoshi,
    /// The peer's balance.
    pub remote_balance: MilliSatoshi,
    /// Fee.
    pub commit_fee: Amount,
    /// Fee rate in satoshi per 1000 weight units.
    pub fee_per_kw: Amount,
    /// Commitment transaction.
    pub commit_tx: Arc<Transaction>,
    /// The peer's signature.
    pub commit_sig: Bytes,
    /// HTLCs in the caller's order.
    pub slots: Vec<HtlcSlot>,
    /// Data of custom channels.
    pub custom_blob: Option<Bytes>,
    /// TLV records without a meaning here.
    pub unknown_tlvs: Bytes,
}
codec_struct!(CommitmentRecord {
    no,
    side,
    height,
    local_log_index,
    local_htlc_index,
    remote_log_index,
    remote_htlc_index,
    local_balance,
    remote_balance,
    commit_fee,
    fee_per_kw,
    commit_tx,
    commit_sig,
    slots,
    custom_blob,
    unknown_tlvs,
});

/// An HTLC's place in one commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtlcSlot {
    /// Which HTLC.
    pub key: HtlcKey,
    /// Output of the commitment transaction; `None` for dust.
    pub output_index: Option<u32>,
    /// The peer's signature for the second-level transaction.
    pub signature: Bytes,
    /// The terms, where they differ from the HTLC's record. Does not happen in normal use.
    pub own_terms: Option<Box<HtlcTerms>>,
}
codec_struct!(HtlcSlot { key, output_index, signature, own_terms });

/// An HTLC that a commitment, an update list or a package refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtlcRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Who offered it.
    pub direction: Direction,
    /// Its id.
    pub id: HtlcId,
    /// What was agreed.
    pub terms: HtlcTerms,
}
codec_struct!(HtlcRecord { no, direction, id, terms });

impl HtlcRecord {
    /// Direction and id.
    pub fn key(&self) -> HtlcKey {
        HtlcKey { direction: self.direction, id: self.id }
    }
}

/// An update whose message is kept, or follows from an HTLC's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRef {
    /// Position in the sender's log.
    pub log_index: LogIndex,
    /// The message.
    pub body: UpdateBody,
}
codec_struct!(UpdateRef { log_index, body });

/// The message of an [`UpdateRef`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateBody {
    /// The `update_add_htlc` of this HTLC; the direction follows from where the update is kept.
    Add(HtlcId),
    /// A message kept verbatim.
    Message(Message),
}

impl Codec for UpdateBody {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            UpdateBody::Add(id) => {
                out.push(0);
                id.encode_to(out);
            }
            UpdateBody::Message(message) => {
                out.push(1);
                message.encode_to(out);
            }
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        match u8::decode_from(reader)? {
            0 => Codec::decode_from(reader).map(UpdateBody::Add),
            1 => Codec::decode_from(reader).map(UpdateBody::Message),
            _ => Err(reader.invalid("update")),
        }
    }
}

/// Which of a channel's two lists of updates between commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ListKind {
    /// The peer's updates that our commitment has and the peer's commitment in force has not.
    UnsignedAcked = 0,
    /// Our updates that the peer's commitment has and our commitment has not.
    RemoteUnsignedLocal = 1,
}
codec_enum!(ListKind { UnsignedAcked, RemoteUnsignedLocal });

impl ListKind {
    /// Direction of the HTLCs that the list adds.
    pub fn direction(self) -> Direction {
        match self {
            ListKind::UnsignedAcked => Direction::Incoming,
            ListKind::RemoteUnsignedLocal => Direction::Outgoing,
        }
    }
}

/// A list of updates between commitments. An empty list is not an absent one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateListRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Which list.
    pub list: ListKind,
    /// The updates, in order.
    pub updates: Vec<UpdateRef>,
}
codec_struct!(UpdateListRecord { no, list, updates });

/// What belongs to a pending commitment beside the commitment itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRecord {
    /// The channel.
    pub no: ChannelNo,
    /// The `commitment_signed`.
    pub commit_sig: Message,
    /// Our updates that it covers for the first time.
    pub updates: Vec<UpdateRef>,
    /// Circuits opened.
    pub opened_circuits: Vec<CircuitKey>,
    /// Circuits closed.
    pub closed_circuits: Vec<CircuitKey>,
}
codec_struct!(DiffRecord { no, commit_sig, updates, opened_circuits, closed_circuits });

/// One bucket of the peer's revealed secrets (BOLT 3).
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Bucket, 0 to 47.
    pub slot: u8,
    /// Index of the secret (BOLT 3, counted down).
    pub index: u64,
    /// The secret.
    pub secret: [u8; 32],
}
codec_struct!(SecretRecord { no, slot, index, secret });

impl std::fmt::Debug for SecretRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretRecord({}, slot {}, index {})", self.no, self.slot, self.index)
    }
}

/// A [`Mark`] with its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRecord {
    /// The channel.
    pub no: ChannelNo,
    /// The mark.
    pub mark: Mark,
}
codec_struct!(MarkRecord { no, mark });

/// A [`RevokedState`] with its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedStateRecord {
    /// The channel.
    pub no: ChannelNo,
    /// The state.
    pub state: RevokedState,
}
codec_struct!(RevokedStateRecord { no, state });

/// A [`RevokedCommitment`] with its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCommitmentRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Height under which it is kept.
    pub height: CommitmentHeight,
    /// The commitment.
    pub revoked: RevokedCommitment,
}
codec_struct!(RevokedCommitmentRecord { no, height, revoked });

/// A forwarding package without its updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRecord {
    /// Short channel id it is kept under.
    pub source: ShortChannelId,
    /// Height of the peer's commitment.
    pub height: CommitmentHeight,
    /// The channel, if the store has it.
    pub no: Option<ChannelNo>,
    /// Adds that were forwarded; `None` until the package was processed.
    pub forward_filter: Option<Filter>,
}
codec_struct!(PackageRecord { source, height, no, forward_filter });

/// One update of a forwarding package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageUpdateRecord {
    /// Short channel id of the package.
    pub source: ShortChannelId,
    /// Height of the package.
    pub height: CommitmentHeight,
    /// Which list.
    pub list: PackageList,
    /// Position in the list.
    pub index: u16,
    /// The update; an add refers to an incoming HTLC of the package's channel.
    pub update: UpdateRef,
    /// It was acknowledged.
    pub acked: bool,
}
codec_struct!(PackageUpdateRecord { source, height, list, index, update, acked });

/// A [`CloseSummary`] with its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseRecord {
    /// The channel.
    pub no: ChannelNo,
    /// Status before the close.
    pub status_before: ChannelStatus,
    /// The summary.
    pub summary: CloseSummary,
}
codec_struct!(CloseRecord { no, status_before, summary });

/// A closed channel whose log and packages wait to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReclaimRecord {
    /// The channel.
    pub no: ChannelNo,
}
codec_struct!(ReclaimRecord { no });
