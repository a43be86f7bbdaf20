//! Commitments, the HTLCs in them, and updates on their way into them.

use std::sync::Arc;

use bitcoin::{Amount, Transaction};
use bytes::Bytes;

use crate::codec_struct;
use crate::ids::{
    CommitmentHeight, Direction, HtlcId, HtlcKey, LogIndex, MilliSatoshi, ShortChannelId,
};
use crate::message::{Message, MessageError, ParsedMessage};

pub use crate::message::ONION_LEN;

/// One side's commitment with everything needed to broadcast or to continue from it.
///
/// `local` and `remote` are our view, also in the peer's commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Its number, from 0.
    pub height: CommitmentHeight,
    /// Our updates below this index are contained.
    pub local_log_index: LogIndex,
    /// Our HTLC ids below are contained.
    pub local_htlc_index: HtlcId,
    /// The peer's updates below this index are contained.
    pub remote_log_index: LogIndex,
    /// The peer's HTLC ids below are contained.
    pub remote_htlc_index: HtlcId,
    /// Our balance without HTLCs.
    pub local_balance: MilliSatoshi,
    /// The peer's balance without HTLCs.
    pub remote_balance: MilliSatoshi,
    /// Fee of the commitment transaction.
    pub commit_fee: Amount,
    /// Fee rate in satoshi per 1000 weight units.
    pub fee_per_kw: Amount,
    /// The commitment transaction, without witness.
    pub commit_tx: Arc<Transaction>,
    /// The peer's signature: DER, or partial signature and nonce for taproot; empty on the peer's
    /// commitment.
    pub commit_sig: Bytes,
    /// HTLCs in flight, in the order given by the caller.
    pub htlcs: Vec<Htlc>,
    /// Data of custom channels.
    pub custom_blob: Option<Bytes>,
    /// TLV records without a meaning here, kept as they came (a TLV stream).
    pub unknown_tlvs: Bytes,
}
codec_struct!(Commitment {
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
    htlcs,
    custom_blob,
    unknown_tlvs,
});

/// What both sides agreed on for an HTLC; it does not change while the HTLC lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtlcTerms {
    /// Index of the `update_add_htlc` in its sender's log.
    pub log_index: LogIndex,
    /// Amount.
    pub amount: MilliSatoshi,
    /// Payment hash.
    pub payment_hash: [u8; 32],
    /// Absolute block height after which the sender may take the amount back.
    pub cltv_expiry: u32,
    /// Onion packet, [`ONION_LEN`] bytes.
    pub onion: Bytes,
    /// TLV records of the HTLC (blinding point, custom records), kept as they came.
    pub extra: Bytes,
}
codec_struct!(HtlcTerms { log_index, amount, payment_hash, cltv_expiry, onion, extra });

/// An HTLC as one commitment holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Htlc {
    /// Who offered it.
    pub direction: Direction,
    /// Its id in that direction.
    pub id: HtlcId,
    /// Output of the commitment transaction; `None` if it is below the dust limit.
    pub output_index: Option<u32>,
    /// The peer's signature for our second-level transaction; empty on the peer's commitment and
    /// for dust.
    pub signature: Bytes,
    /// The rest, equal in every commitment that holds the HTLC.
    pub terms: HtlcTerms,
}
codec_struct!(Htlc { direction, id, output_index, signature, terms });

impl Htlc {
    /// Direction and id.
    pub fn key(&self) -> HtlcKey {
        HtlcKey { direction: self.direction, id: self.id }
    }
}

/// An update of one side's log, with the message that announced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogUpdate {
    /// Position in the sender's log.
    pub log_index: LogIndex,
    /// The wire message, verbatim.
    pub message: Message,
}
codec_struct!(LogUpdate { log_index, message });

impl LogUpdate {
    /// The HTLC that the update offers; `None` if it is another kind of update.
    ///
    /// # Errors
    /// Any [`MessageError`] of [`Message::parse`].
    pub fn offered_htlc(&self) -> Result<Option<(HtlcId, HtlcTerms)>, MessageError> {
        let ParsedMessage::UpdateAddHtlc {
            channel_id: _,
            id,
            amount_msat,
            payment_hash,
            cltv_expiry,
            onion,
            extra,
        } = self.message.parse()?
        else {
            return Ok(None);
        };
        let (log_index, amount) = (self.log_index, amount_msat.into());
        let terms = HtlcTerms { log_index, amount, payment_hash, cltv_expiry, onion, extra };
        Ok(Some((HtlcId(id), terms)))
    }
}

/// An HTLC on its way through the switch: the channel it is in, and its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CircuitKey {
    /// Channel; 0 denotes a payment that starts or ends here.
    pub scid: ShortChannelId,
    /// HTLC id.
    pub htlc_id: HtlcId,
}
codec_struct!(CircuitKey { scid, htlc_id });

/// A commitment signed for the peer whose predecessor the peer has not revoked yet.
///
/// Everything needed to send it again after a reconnect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCommitment {
    /// The peer's next commitment.
    pub commitment: Commitment,
    /// The `commitment_signed` that was or will be sent.
    pub commit_sig: Message,
    /// Our updates that it covers for the first time.
    pub updates: Vec<LogUpdate>,
    /// Circuits that these updates open.
    pub opened_circuits: Vec<CircuitKey>,
    /// Circuits that these updates close.
    pub closed_circuits: Vec<CircuitKey>,
}
