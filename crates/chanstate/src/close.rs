//! What remains of a channel that is closing or closed.

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};

use crate::codec::{Codec, DecodeError, Reader};
use crate::codec_struct;
use crate::ids::ShortChannelId;
use crate::message::Message;
use crate::terms::ChannelConfig;

/// How a channel was closed. Numbers are lnd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseKind {
    /// Both sides signed the closing transaction.
    Cooperative,
    /// Our commitment was broadcast.
    LocalForce,
    /// The peer broadcast a revoked commitment.
    Breach,
    /// The funding transaction never confirmed.
    FundingCanceled,
    /// The peer's commitment was broadcast.
    RemoteForce,
    /// The channel was given up without a transaction.
    Abandoned,
    /// A kind without a name here.
    Other(u8),
}

impl CloseKind {
    /// The number stored for the kind.
    pub fn to_u8(self) -> u8 {
        match self {
            CloseKind::Cooperative => 0,
            CloseKind::LocalForce => 1,
            CloseKind::Breach => 2,
            CloseKind::FundingCanceled => 3,
            CloseKind::RemoteForce => 4,
            CloseKind::Abandoned => 5,
            CloseKind::Other(kind) => kind,
        }
    }

    /// The kind with this number.
    pub fn from_u8(kind: u8) -> CloseKind {
        match kind {
            0 => CloseKind::Cooperative,
            1 => CloseKind::LocalForce,
            2 => CloseKind::Breach,
            3 => CloseKind::FundingCanceled,
            4 => CloseKind::RemoteForce,
            5 => CloseKind::Abandoned,
            other => CloseKind::Other(other),
        }
    }
}

impl Codec for CloseKind {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.push(self.to_u8());
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        u8::decode_from(reader).map(CloseKind::from_u8)
    }
}

/// The result of a close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseSummary {
    /// Funding outpoint of the channel.
    pub channel_point: OutPoint,
    /// Short channel id it ran under.
    pub scid: ShortChannelId,
    /// Chain of the channel.
    pub chain: ChainHash,
    /// Transaction that closed it; all zero if there is none.
    pub closing_txid: Txid,
    /// Height at which that transaction confirmed.
    pub close_height: u32,
    /// The peer.
    pub peer: PublicKey,
    /// Value of the funding output.
    pub capacity: Amount,
    /// What we got at once.
    pub settled_balance: Amount,
    /// What we get after a delay.
    pub time_locked_balance: Amount,
    /// How it was closed.
    pub kind: CloseKind,
    /// Outputs are still to be resolved on chain.
    pub pending: bool,
    /// State at the close, for answering a peer that reconnects; the store fills it in.
    pub resume: Option<CloseResume>,
}
codec_struct!(CloseSummary {
    channel_point,
    scid,
    chain,
    closing_txid,
    close_height,
    peer,
    capacity,
    settled_balance,
    time_locked_balance,
    kind,
    pending,
    resume,
});

/// State of a channel at its close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseResume {
    /// The peer's current revocation point.
    pub remote_current_point: PublicKey,
    /// The peer's next revocation point.
    pub remote_next_point: Option<PublicKey>,
    /// Our limits and keys.
    pub local_config: ChannelConfig,
    /// The last `channel_reestablish` to answer a peer with.
    pub reestablish: Option<Message>,
}
codec_struct!(CloseResume { remote_current_point, remote_next_point, local_config, reestablish });

/// Our part of a cooperative close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownInfo {
    /// Script that our funds go to.
    pub script: ScriptBuf,
    /// We sent `shutdown` first.
    pub local_initiator: bool,
}
codec_struct!(ShutdownInfo { script, local_initiator });

/// Who started a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closer {
    /// We did.
    Local,
    /// The peer did.
    Remote,
}

/// A record that a channel has at most one of, written when something unusual happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Script and initiator of a cooperative close.
    Shutdown(ShutdownInfo),
    /// Commitment point with which the peer proved that we lost state.
    DataLossPoint(PublicKey),
    /// The commitment transaction that was broadcast.
    BroadcastCommitment(Arc<Transaction>),
    /// The cooperative closing transaction that was broadcast.
    BroadcastCooperative(Arc<Transaction>),
}

/// Names a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MarkKind {
    /// [`Mark::Shutdown`].
    Shutdown = 0,
    /// [`Mark::DataLossPoint`].
    DataLossPoint = 1,
    /// [`Mark::BroadcastCommitment`].
    BroadcastCommitment = 2,
    /// [`Mark::BroadcastCooperative`].
    BroadcastCooperative = 3,
}
crate::codec_enum!(MarkKind { Shutdown, DataLossPoint, BroadcastCommitment, BroadcastCooperative });

impl Mark {
    /// Its name.
    pub fn kind(&self) -> MarkKind {
        match self {
            Mark::Shutdown(_) => MarkKind::Shutdown,
            Mark::DataLossPoint(_) => MarkKind::DataLossPoint,
            Mark::BroadcastCommitment(_) => MarkKind::BroadcastCommitment,
            Mark::BroadcastCooperative(_) => MarkKind::BroadcastCooperative,
        }
    }
}

impl Codec for Mark {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.kind().encode_to(out);
        match self {
            Mark::Shutdown(info) => info.encode_to(out),
            Mark::DataLossPoint(point) => point.encode_to(out),
            Mark::BroadcastCommitment(tx) | Mark::BroadcastCooperative(tx) => tx.encode_to(out),
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match MarkKind::decode_from(reader)? {
            MarkKind::Shutdown => Mark::Shutdown(Codec::decode_from(reader)?),
            MarkKind::DataLossPoint => Mark::DataLossPoint(Codec::decode_from(reader)?),
            MarkKind::BroadcastCommitment => Mark::BroadcastCommitment(Codec::decode_from(reader)?),
            MarkKind::BroadcastCooperative => {
                Mark::BroadcastCooperative(Codec::decode_from(reader)?)
            }
        })
    }
}
