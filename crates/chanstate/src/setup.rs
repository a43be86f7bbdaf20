//! Records that exist beside a channel: while it is set up, or after it is gone.

use bytes::Bytes;

use crate::codec_struct;
use crate::ids::{ChannelId, HtlcId, MilliSatoshi, ShortChannelId};

/// Forwarding policy to use once a channel is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardingPolicy {
    /// Smallest HTLC to forward.
    pub min_htlc: MilliSatoshi,
    /// Largest HTLC to forward.
    pub max_htlc: MilliSatoshi,
    /// Base fee.
    pub base_fee: MilliSatoshi,
    /// Proportional fee in millionths.
    pub fee_rate: u64,
    /// Blocks between incoming and outgoing expiry.
    pub time_lock_delta: u32,
}
codec_struct!(ForwardingPolicy { min_htlc, max_htlc, base_fee, fee_rate, time_lock_delta });

/// How an HTLC ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FinalHtlc {
    /// The preimage was revealed; otherwise it failed.
    pub settled: bool,
    /// It ended in the channel; otherwise on chain.
    pub offchain: bool,
}
codec_struct!(FinalHtlc { settled, offchain });

/// A [`FinalHtlc`] with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalHtlcRecord {
    /// Channel.
    pub scid: ShortChannelId,
    /// HTLC id.
    pub id: HtlcId,
    /// How it ended.
    pub outcome: FinalHtlc,
}
codec_struct!(FinalHtlcRecord { scid, id, outcome });

/// Opaque progress of a channel opening, keyed by its owner's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningStateRecord {
    /// Key.
    pub key: Bytes,
    /// Value.
    pub value: Bytes,
}
codec_struct!(OpeningStateRecord { key, value });

/// A [`ForwardingPolicy`] with its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingPolicyRecord {
    /// Channel.
    pub channel_id: ChannelId,
    /// The policy.
    pub policy: ForwardingPolicy,
}
codec_struct!(ForwardingPolicyRecord { channel_id, policy });
