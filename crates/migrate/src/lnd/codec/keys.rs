//! Names of lnd's buckets and keys, and keys that are numbers, hashes or outpoints.

use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::{ChannelId, CommitmentHeight, HtlcId, ShortChannelId, Side};

use super::cursor::Cursor;
use super::error::LndError;

/// Top-level buckets that hold channel state or link nodes.
pub mod bucket {
    /// Open channels: peer, chain, outpoint, then the channel's keys.
    pub const OPEN_CHANNELS: &[u8] = b"open-chan-bucket";
    /// Closed channels as they were: outpoint, then some of the channel's keys.
    pub const HISTORICAL_CHANNELS: &[u8] = b"historical-chan-bucket";
    /// Close summaries by outpoint.
    pub const CLOSED_CHANNELS: &[u8] = b"closed-chan-bucket";
    /// Forwarding packages: source, height, then the package's keys.
    pub const PACKAGES: &[u8] = b"fwd-packages";
    /// Status by outpoint.
    pub const OUTPOINTS: &[u8] = b"outpoint-bucket";
    /// Channel ids with empty values.
    pub const CHANNEL_IDS: &[u8] = b"chan-id-bucket";
    /// Link nodes by peer.
    pub const LINK_NODES: &[u8] = b"nib";
    /// HTLC outcomes: short channel id, then HTLC id.
    pub const FINAL_HTLCS: &[u8] = b"final-htlcs";
    /// States of channel openings by their owner's key; both are opaque.
    pub const OPENING_STATES: &[u8] = b"channelOpeningState";
    /// Forwarding policies by channel id.
    pub const FORWARDING_POLICIES: &[u8] = b"initialChannelFwdingPolicy";
    /// Version of the database.
    pub const METADATA: &[u8] = b"metadata";
    /// Mark of a database that was copied elsewhere; the key inside has the same name.
    pub const TOMBSTONE: &[u8] = b"data-migration-tombstone";
}

/// Keys of a channel's bucket.
pub mod channel {
    /// [`ChanInfo`](super::super::chan_info::ChanInfo).
    pub const INFO: &[u8] = b"chan-info-key";
    /// Our commitment. The last byte is 0, not a digit.
    pub const LOCAL_COMMITMENT: &[u8] = b"chan-commitment-key\x00";
    /// The peer's commitment.
    pub const REMOTE_COMMITMENT: &[u8] = b"chan-commitment-key\x01";
    /// [`RevocationKeys`](super::super::revocation::RevocationKeys).
    pub const REVOCATION_STATE: &[u8] = b"revocation-state-key";
    /// Script that we committed to for a cooperative close.
    pub const LOCAL_UPFRONT_SHUTDOWN: &[u8] = b"local-upfront-shutdown-key";
    /// Script that the peer committed to for a cooperative close.
    pub const REMOTE_UPFRONT_SHUTDOWN: &[u8] = b"remote-upfront-shutdown-key";
    /// Thaw height.
    pub const THAW_HEIGHT: &[u8] = b"frozen-chans";
    /// The commitment that awaits a revocation.
    pub const COMMIT_DIFF: &[u8] = b"commit-diff-key";
    /// The peer's updates that our commitment has and the peer's commitment in force has not.
    pub const UNSIGNED_ACKED_UPDATES: &[u8] = b"unsigned-acked-updates-key";
    /// Our updates that the peer's commitment has and our commitment has not.
    pub const REMOTE_UNSIGNED_LOCAL_UPDATES: &[u8] = b"remote-unsigned-local-updates-key";
    /// Whether our last message was `revoke_and_ack`.
    pub const LAST_WAS_REVOKE: &[u8] = b"last-was-revoke";
    /// Point with which the peer proved that we lost state.
    pub const DATA_LOSS_POINT: &[u8] = b"data-loss-commit-point-key";
    /// The commitment transaction that was broadcast.
    pub const CLOSING_TX: &[u8] = b"closing-tx-key";
    /// The cooperative closing transaction that was broadcast.
    pub const COOP_CLOSING_TX: &[u8] = b"coop-closing-tx-key";
    /// Script and initiator of a cooperative close.
    pub const SHUTDOWN_INFO: &[u8] = b"shutdown-info-key";
    /// Bucket: the revocation log by height.
    pub const REVOCATION_LOG: &[u8] = b"revocation-log";
    /// Bucket: the deprecated revocation log by height.
    pub const DEPRECATED_LOG: &[u8] = b"revocation-log-key";
}

/// Keys of a forwarding package's bucket.
pub mod package {
    /// Bucket: adds by index.
    pub const ADDS: &[u8] = b"add-updates";
    /// Bucket: settles and fails by index.
    pub const SETTLE_FAILS: &[u8] = b"fail-settle-updates";
    /// Adds that were answered.
    pub const ACK_FILTER: &[u8] = b"ack-filter-key";
    /// Settles and fails that reached the incoming channel.
    pub const SETTLE_FAIL_FILTER: &[u8] = b"settle-fail-filter-key";
    /// Adds that were forwarded; there once the package was processed.
    pub const FORWARD_FILTER: &[u8] = b"fwd-filter-key";
}

/// Keys of the bucket [`METADATA`](bucket::METADATA).
pub mod metadata {
    /// Number of the last mandatory migration.
    pub const DB_VERSION: &[u8] = b"dbp";
    /// Optional migrations that were applied.
    pub const OPTIONAL_MIGRATIONS: &[u8] = b"ovk";
}

/// The key of a commitment.
pub fn commitment(side: Side) -> &'static [u8] {
    match side {
        Side::Local => channel::LOCAL_COMMITMENT,
        Side::Remote => channel::REMOTE_COMMITMENT,
    }
}

/// Reads a key that is a funding outpoint.
///
/// # Errors
///
/// [`LndError`]: not 36 bytes.
pub fn decode_outpoint(key: &[u8]) -> Result<OutPoint, LndError> {
    read("outpoint key", key, |cursor| cursor.outpoint("outpoint"))
}

/// Returns the key of a funding outpoint. The index is big-endian.
pub fn encode_outpoint(outpoint: &OutPoint) -> [u8; 36] {
    let mut key = [0; 36];
    let (txid, index) = key.split_at_mut(32);
    txid.copy_from_slice(outpoint.txid.as_byte_array());
    index.copy_from_slice(&outpoint.vout.to_be_bytes());
    key
}

/// Reads a key that is a node id.
///
/// # Errors
///
/// [`LndError`]: not 33 bytes, or not a point.
pub fn decode_node_id(key: &[u8]) -> Result<PublicKey, LndError> {
    read("node key", key, |cursor| cursor.point("node id"))
}

/// Reads a key that is a chain hash.
///
/// # Errors
///
/// [`LndError`]: not 32 bytes.
pub fn decode_chain(key: &[u8]) -> Result<ChainHash, LndError> {
    read("chain key", key, |cursor| cursor.array::<32>("chain hash").map(ChainHash::from))
}

/// Reads a key that is a channel id.
///
/// # Errors
///
/// [`LndError`]: not 32 bytes.
pub fn decode_channel_id(key: &[u8]) -> Result<ChannelId, LndError> {
    read("channel id key", key, |cursor| cursor.array("channel id").map(ChannelId))
}

/// Reads a key that is a short channel id.
///
/// # Errors
///
/// [`LndError`]: not 8 bytes.
pub fn decode_scid(key: &[u8]) -> Result<ShortChannelId, LndError> {
    read("short channel id key", key, |cursor| cursor.u64("short channel id").map(ShortChannelId))
}

/// Reads a key that is the height of a revoked state or of a forwarding package.
///
/// # Errors
///
/// [`LndError`]: not 8 bytes, or 2^63 or more.
pub fn decode_height(key: &[u8]) -> Result<CommitmentHeight, LndError> {
    read("height key", key, |cursor| cursor.key_number("height").map(CommitmentHeight))
}

/// Reads a key that is an HTLC id.
///
/// # Errors
///
/// [`LndError`]: not 8 bytes, or 2^63 or more.
pub fn decode_htlc_id(key: &[u8]) -> Result<HtlcId, LndError> {
    read("HTLC key", key, |cursor| cursor.key_number("HTLC id").map(HtlcId))
}

/// Reads a key that is an update's position in a forwarding package.
///
/// # Errors
///
/// [`LndError`]: not 2 bytes.
pub fn decode_update_index(key: &[u8]) -> Result<u16, LndError> {
    read("update key", key, |cursor| cursor.u16("index"))
}

fn read<T>(
    record: &'static str,
    key: &[u8],
    read: impl FnOnce(&mut Cursor) -> Result<T, LndError>,
) -> Result<T, LndError> {
    Cursor::whole(record, Bytes::copy_from_slice(key), read)
}
