//! chan-info and the records that this project spreads its content over.

use bitcoin::ScriptBuf;
use bitcoin::secp256k1::PublicKey;
use chanstate::record::ChannelRecord;
use chanstate::{ChannelId, ChannelNo, ChannelTerms, CommitmentHeight, Version};

use super::chan_info::ChanInfo;

/// The parts of a channel that are not in chan-info: lnd keeps them under other keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The channel was closed.
    pub closed: bool,
    /// Height of our commitment.
    pub local_height: Option<CommitmentHeight>,
    /// Height of the peer's commitment.
    pub remote_height: Option<CommitmentHeight>,
    /// There is a commitment that awaits the peer's revocation.
    pub has_pending: bool,
    /// The last message of the commitment protocol that we sent was `revoke_and_ack`.
    pub last_was_revoke: Option<bool>,
    /// The peer's current commitment point.
    pub remote_current_point: PublicKey,
    /// The peer's next commitment point.
    pub remote_next_point: Option<PublicKey>,
    /// Index (BOLT 3, counted down) that the peer's next secret will have.
    pub next_secret_index: u64,
    /// Root that our revocation secrets are derived from. Secret.
    pub revocation_root: [u8; 32],
    /// Height until which a frozen or leased channel may not be closed cooperatively.
    pub thaw_height: Option<u32>,
    /// Script that we committed to for a cooperative close.
    pub local_upfront_shutdown: Option<ScriptBuf>,
    /// Script that the peer committed to for a cooperative close.
    pub remote_upfront_shutdown: Option<ScriptBuf>,
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The revocation root must not reach a log.
        f.debug_struct("Elsewhere")
            .field("local_height", &self.local_height)
            .field("remote_height", &self.remote_height)
            .finish_non_exhaustive()
    }
}

impl ChanInfo {
    /// Joins the parts of a channel that chan-info holds.
    pub fn from_parts(record: &ChannelRecord, terms: &ChannelTerms) -> ChanInfo {
        ChanInfo {
            channel_type: record.channel_type,
            chain: record.chain,
            funding_outpoint: record.funding_outpoint,
            scid: record.scid,
            pending: record.pending,
            initiator: terms.initiator,
            status: record.status,
            funding_broadcast_height: terms.funding_broadcast_height,
            confirmations_required: terms.confirmations_required,
            channel_flags: terms.channel_flags,
            peer: record.peer,
            capacity: terms.capacity,
            total_sent: record.total_sent,
            total_received: record.total_received,
            funding_tx: terms.funding_tx.clone(),
            local_config: terms.local_config.clone(),
            remote_config: terms.remote_config.clone(),
            revocation_root_locator: terms.revocation_root_locator,
            initial_local_balance: terms.initial_local_balance,
            initial_remote_balance: terms.initial_remote_balance,
            confirmed_scid: record.confirmed_scid,
            memo: terms.memo.clone(),
            tapscript_root: terms.tapscript_root,
            custom_blob: terms.custom_blob.clone(),
            confirmation_height: record.confirmation_height,
            close_confirmation_height: record.close_confirmation_height,
            unknown_tlvs: terms.unknown_tlvs.clone(),
        }
    }

    /// Splits into the parts of a new channel record, adding what lnd keeps elsewhere.
    pub fn into_parts(self, no: ChannelNo, elsewhere: Elsewhere) -> (ChannelRecord, ChannelTerms) {
        let record = ChannelRecord {
            no,
            version: Version::ABSENT,
            funding_outpoint: self.funding_outpoint,
            channel_id: ChannelId::from_outpoint(self.funding_outpoint),
            peer: self.peer,
            chain: self.chain,
            closed: elsewhere.closed,
            pending: self.pending,
            channel_type: self.channel_type,
            status: self.status,
            scid: self.scid,
            confirmed_scid: self.confirmed_scid,
            confirmation_height: self.confirmation_height,
            close_confirmation_height: self.close_confirmation_height,
            local_height: elsewhere.local_height,
            remote_height: elsewhere.remote_height,
            has_pending: elsewhere.has_pending,
            last_was_revoke: elsewhere.last_was_revoke,
            total_sent: self.total_sent,
            total_received: self.total_received,
            remote_current_point: elsewhere.remote_current_point,
            remote_next_point: elsewhere.remote_next_point,
            next_secret_index: elsewhere.next_secret_index,
        };
        let terms = ChannelTerms {
            initiator: self.initiator,
            channel_flags: self.channel_flags,
            confirmations_required: self.confirmations_required,
            funding_broadcast_height: self.funding_broadcast_height,
            capacity: self.capacity,
            local_config: self.local_config,
            remote_config: self.remote_config,
            revocation_root: elsewhere.revocation_root,
            revocation_root_locator: self.revocation_root_locator,
            funding_tx: self.funding_tx,
            initial_local_balance: self.initial_local_balance,
            initial_remote_balance: self.initial_remote_balance,
            memo: self.memo,
            tapscript_root: self.tapscript_root,
            custom_blob: self.custom_blob,
            thaw_height: elsewhere.thaw_height,
            local_upfront_shutdown: elsewhere.local_upfront_shutdown,
            remote_upfront_shutdown: elsewhere.remote_upfront_shutdown,
            unknown_tlvs: self.unknown_tlvs,
        };
        (record, terms)
    }
}
