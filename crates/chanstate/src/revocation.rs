//! Revoked states of the peer, kept to punish their broadcast.

use bitcoin::Txid;
use bytes::Bytes;

use crate::codec_struct;
use crate::commitment::Commitment;
use crate::ids::{CommitmentHeight, Direction, HtlcId, MilliSatoshi};

/// A commitment of the peer that it has revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedState {
    /// Height of the revoked commitment.
    pub height: CommitmentHeight,
    /// Our output in its transaction; `None` if there is none.
    pub our_output_index: Option<u16>,
    /// The peer's output in its transaction; `None` if there is none.
    pub their_output_index: Option<u16>,
    /// Its transaction id.
    pub commit_txid: Txid,
    /// Our balance; `None` if amounts are not kept.
    pub our_balance: Option<MilliSatoshi>,
    /// The peer's balance; `None` if amounts are not kept.
    pub their_balance: Option<MilliSatoshi>,
    /// HTLCs with an output, in commitment order.
    pub htlcs: Vec<RevokedHtlc>,
    /// Data of custom channels.
    pub custom_blob: Option<Bytes>,
    /// How an imported encoding differs from the canonical one; empty for our own states.
    pub residue: Bytes,
}
codec_struct!(RevokedState {
    height,
    our_output_index,
    their_output_index,
    commit_txid,
    our_balance,
    their_balance,
    htlcs,
    custom_blob,
    residue,
});

/// What punishing a revoked state needs of one of its HTLCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedHtlc {
    /// Who offered it.
    pub direction: Direction,
    /// Its id; `None` in states written by old releases of lnd.
    pub id: Option<HtlcId>,
    /// Payment hash.
    pub payment_hash: [u8; 32],
    /// Amount in satoshi, rounded down.
    pub amount_sat: u64,
    /// Absolute expiry height.
    pub cltv_expiry: u32,
    /// Output of the revoked transaction.
    pub output_index: u16,
    /// Custom records of the HTLC, a TLV stream.
    pub custom_records: Option<Bytes>,
}
codec_struct!(RevokedHtlc {
    direction,
    id,
    payment_hash,
    amount_sat,
    cltv_expiry,
    output_index,
    custom_records,
});

/// A revoked state in the deprecated form of lnd: the whole commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCommitment {
    /// The commitment, onions included.
    pub commitment: Commitment,
    /// Bytes after the commitment, which lnd ignores.
    pub trailing: Bytes,
}
codec_struct!(RevokedCommitment { commitment, trailing });

/// A previous state in either form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousState {
    /// From the current log.
    State(RevokedState),
    /// From the deprecated log of an imported channel.
    Commitment(Box<Commitment>),
}
