//! What is fixed when a channel is opened.

use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, ScriptBuf, Transaction};
use bytes::Bytes;

use crate::codec_struct;
use crate::ids::MilliSatoshi;

/// Where a wallet key is found: family and index (BIP 43 style).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyLocator {
    /// Purpose of the key.
    pub family: u32,
    /// Number within the family.
    pub index: u32,
}
codec_struct!(KeyLocator { family, index });

/// A key, its place in the wallet, or both. Remote keys have locator 0/0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyDescriptor {
    /// Place in the wallet.
    pub locator: KeyLocator,
    /// The key, where it is known.
    pub public_key: Option<PublicKey>,
}
codec_struct!(KeyDescriptor { locator, public_key });

/// Limits and keys of one side of a channel, its owner.
///
/// A limit binds the owner, whoever asked for it when the channel was opened: our reserve is what
/// we must keep, our limits on HTLCs are for those that we offer. The dust limit and the delay are
/// those of the owner's commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Outputs below are left out of the owner's commitment.
    pub dust_limit: Amount,
    /// Most that HTLCs offered by the owner may be worth at a time.
    pub max_pending_amount: MilliSatoshi,
    /// What the owner must keep for itself.
    pub channel_reserve: Amount,
    /// Smallest HTLC that the owner may offer.
    pub min_htlc: MilliSatoshi,
    /// Most HTLCs that the owner may offer at a time, at most 483 (BOLT 2).
    pub max_accepted_htlcs: u16,
    /// Blocks that the owner has to wait for what its own commitment pays it.
    pub csv_delay: u16,
    /// Key of the funding output.
    pub multisig_key: KeyDescriptor,
    /// Revocation base point.
    pub revocation_base_point: KeyDescriptor,
    /// Payment base point.
    pub payment_base_point: KeyDescriptor,
    /// Delayed payment base point.
    pub delay_base_point: KeyDescriptor,
    /// HTLC base point.
    pub htlc_base_point: KeyDescriptor,
}
codec_struct!(ChannelConfig {
    dust_limit,
    max_pending_amount,
    channel_reserve,
    min_htlc,
    max_accepted_htlcs,
    csv_delay,
    multisig_key,
    revocation_base_point,
    payment_base_point,
    delay_base_point,
    htlc_base_point,
});

/// What is agreed when a channel is opened and hardly changes afterwards.
///
/// `None` means "not stored", which is different from zero or empty.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelTerms {
    /// We opened the channel.
    pub initiator: bool,
    /// `channel_flags` of `open_channel`; bit 0 announces the channel (BOLT 2).
    pub channel_flags: u8,
    /// Confirmations that the funding transaction needs.
    pub confirmations_required: u16,
    /// Chain height when the funding transaction was broadcast.
    pub funding_broadcast_height: u32,
    /// Value of the funding output.
    pub capacity: Amount,
    /// Limits that bind us, and our keys.
    pub local_config: ChannelConfig,
    /// Limits that bind the peer, and its keys.
    pub remote_config: ChannelConfig,
    /// Root that our revocation secrets are derived from. Secret.
    pub revocation_root: [u8; 32],
    /// Wallet place of the revocation root.
    pub revocation_root_locator: Option<KeyLocator>,
    /// Funding transaction, kept by the initiator of a single-funded channel.
    pub funding_tx: Option<Arc<Transaction>>,
    /// Our balance when the channel was opened.
    pub initial_local_balance: Option<MilliSatoshi>,
    /// The peer's balance when the channel was opened.
    pub initial_remote_balance: Option<MilliSatoshi>,
    /// The user's note.
    pub memo: Option<Bytes>,
    /// Tapscript root that the funding output commits to.
    pub tapscript_root: Option<[u8; 32]>,
    /// Data of custom channels.
    pub custom_blob: Option<Bytes>,
    /// Until this height a frozen or leased channel may not be closed cooperatively by us.
    pub thaw_height: Option<u32>,
    /// Script that we committed to for a cooperative close.
    pub local_upfront_shutdown: Option<ScriptBuf>,
    /// Script that the peer committed to for a cooperative close.
    pub remote_upfront_shutdown: Option<ScriptBuf>,
    /// TLV records without a meaning here, kept as they came (a TLV stream).
    pub unknown_tlvs: Bytes,
}
codec_struct!(ChannelTerms {
    initiator,
    channel_flags,
    confirmations_required,
    funding_broadcast_height,
    capacity,
    local_config,
    remote_config,
    revocation_root,
    revocation_root_locator,
    funding_tx,
    initial_local_balance,
    initial_remote_balance,
    memo,
    tapscript_root,
    custom_blob,
    thaw_height,
    local_upfront_shutdown,
    remote_upfront_shutdown,
    unknown_tlvs,
});

impl std::fmt::Debug for ChannelTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The revocation root must not reach a log.
        f.debug_struct("ChannelTerms")
            .field("initiator", &self.initiator)
            .field("capacity", &self.capacity)
            .field("local_config", &self.local_config)
            .field("remote_config", &self.remote_config)
            .finish_non_exhaustive()
    }
}
