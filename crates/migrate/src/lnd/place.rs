//! What the values of an lnd database are, by their place, and what of them our records say.

use bytes::Bytes;

use super::codec::chan_info::ChanInfo;
use super::codec::keys::{bucket as top, channel as key, package as package_key};
use super::codec::revocation::RevocationKeys;
use super::codec::small::OutpointStatus;
use super::codec::{close, commitment, keys, link_node, package, revocation_log, small, update};
use super::path::Path;

/// What kind of value a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A channel id, which follows from an outpoint.
    ChannelId,
    /// An outpoint with the channel's status, which follows from its row.
    Status,
    /// A value of a closed channel as lnd archives it.
    Historical(Option<ChannelValue>),
    Channel(ChannelValue),
    Log {
        deprecated: bool,
    },
    PackageUpdate,
    PackageFilter,
    Summary,
    LinkNode,
    FinalHtlc,
    OpeningState,
    ForwardingPolicy,
    /// Nothing that has a record.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelValue {
    Info,
    Commitment,
    Diff,
    Revocation,
    Updates,
    Script,
    Thaw,
    Flag,
    Point,
    Transaction,
    Shutdown,
}

impl Place {
    /// Sorts a path.
    pub(super) fn of(path: &[Vec<u8>]) -> Place {
        let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        match path.as_slice() {
            [top::CHANNEL_IDS, _] => Place::ChannelId,
            [top::OUTPOINTS, _] => Place::Status,
            [top::HISTORICAL_CHANNELS, _, name] => Place::Historical(ChannelValue::of(name)),
            [top::OPEN_CHANNELS, _, _, _, name] => {
                ChannelValue::of(name).map_or(Place::Unknown, Place::Channel)
            }
            [top::OPEN_CHANNELS, _, _, _, key::REVOCATION_LOG, _] => {
                Place::Log { deprecated: false }
            }
            [top::OPEN_CHANNELS, _, _, _, key::DEPRECATED_LOG, _] => {
                Place::Log { deprecated: true }
            }
            [top::PACKAGES, _, _, package_key::ADDS | package_key::SETTLE_FAILS, _] => {
                Place::PackageUpdate
            }
            [
                top::PACKAGES,
                _,
                _,
                package_key::ACK_FILTER
                | package_key::SETTLE_FAIL_FILTER
                | package_key::FORWARD_FILTER,
            ] => Place::PackageFilter,
            [top::CLOSED_CHANNELS, _] => Place::Summary,
            [top::LINK_NODES, _] => Place::LinkNode,
            [top::FINAL_HTLCS, _, _] => Place::FinalHtlc,
            [top::OPENING_STATES, _] => Place::OpeningState,
            [top::FORWARDING_POLICIES, _] => Place::ForwardingPolicy,
            _ => Place::Unknown,
        }
    }

    /// The channel's outpoint, where the path of a value that follows from other records names it.
    pub(super) fn outpoint(self, path: &[Vec<u8>]) -> Option<&[u8]> {
        let named = matches!(self, Place::Status | Place::Historical(_));
        path.get(1).filter(|_| named).map(Vec::as_slice)
    }

    /// Whether the source may lack the value, because it follows from other records.
    pub(super) fn may_be_absent(self, has_open_copy: bool) -> bool {
        match self {
            Place::ChannelId | Place::Status => true,
            // Without an open copy, the archived one is what the channel's records came from.
            Place::Historical(_) => has_open_copy,
            _ => false,
        }
    }

    /// Whether the view may lack the value, because it follows from other records or has none.
    pub(super) fn may_be_extra(self, has_open_copy: bool) -> bool {
        match self {
            Place::ChannelId | Place::Unknown => true,
            // An entry of no channel. A channel that was taken over has one in the view.
            Place::Status => !has_open_copy,
            Place::Historical(value) => has_open_copy || !value.is_some_and(ChannelValue::is_shown),
            _ => false,
        }
    }

    /// Whether a value of other content than the view's may be kept whole beside the record.
    pub(super) fn may_differ(self, has_open_copy: bool, value: &Bytes, canonical: &Bytes) -> bool {
        match self {
            Place::ChannelId => true,
            Place::Historical(_) => has_open_copy,
            Place::Status => {
                // A channel that only its summary or archived copy knows is closed, whatever the
                // index says. Any other's row has the status of the index.
                let status = |value: &Bytes| small::decode_outpoint_status(value.clone()).ok();
                !has_open_copy
                    && status(value) == Some(OutpointStatus::Open)
                    && status(canonical) == Some(OutpointStatus::Closed)
            }
            Place::PackageFilter => {
                // A filter of the wrong size, or with bits behind its end, has no other form; the
                // bits of the package's updates were taken over.
                let filter = |value: &Bytes| package::decode_filter(value.clone()).ok();
                let (Some(ours), Some(theirs)) = (filter(canonical), filter(value)) else {
                    return false;
                };
                let is_theirs = |index| index < theirs.count() && theirs.contains(index);
                (0..ours.count()).all(|index| ours.contains(index) == is_theirs(index))
            }
            _ => false,
        }
    }

    /// The value decoded and encoded canonically; `None` if it does not decode.
    pub(super) fn encode_again(self, path: &Path, value: &Bytes) -> Option<Bytes> {
        let value = value.clone();
        let name = path.last()?;
        let encoded = match self {
            Place::Channel(kind) | Place::Historical(Some(kind)) => kind.encode_again(value)?,
            Place::Log { deprecated: false } => {
                let state = revocation_log::decode(keys::decode_height(name).ok()?, value).ok()?;
                revocation_log::encode(&state).ok()?
            }
            Place::Log { deprecated: true } => {
                let revoked = revocation_log::decode_deprecated(value).ok()?;
                revocation_log::encode_deprecated(&revoked).ok()?
            }
            Place::PackageUpdate => update::encode(&update::decode(value).ok()?).ok()?,
            Place::PackageFilter => package::encode_filter(&package::decode_filter(value).ok()?),
            Place::Summary => close::encode(&close::decode(value).ok()?).ok()?,
            Place::LinkNode => {
                let stored = link_node::decode(keys::decode_node_id(name).ok()?, value).ok()?;
                link_node::encode(&stored.node).ok()?
            }
            Place::FinalHtlc => small::encode_final_htlc(small::decode_final_htlc(value).ok()?),
            Place::ForwardingPolicy => {
                small::encode_forwarding_policy(&small::decode_forwarding_policy(value).ok()?)
            }
            Place::ChannelId if value.is_empty() => Vec::new(),
            Place::Status => {
                small::encode_outpoint_status(small::decode_outpoint_status(value).ok()?)
            }
            Place::ChannelId | Place::OpeningState | Place::Historical(None) | Place::Unknown => {
                return None;
            }
        };
        Some(encoded.into())
    }
}

impl ChannelValue {
    fn of(name: &[u8]) -> Option<ChannelValue> {
        Some(match name {
            key::INFO => ChannelValue::Info,
            key::LOCAL_COMMITMENT | key::REMOTE_COMMITMENT => ChannelValue::Commitment,
            key::COMMIT_DIFF => ChannelValue::Diff,
            key::REVOCATION_STATE => ChannelValue::Revocation,
            key::UNSIGNED_ACKED_UPDATES | key::REMOTE_UNSIGNED_LOCAL_UPDATES => {
                ChannelValue::Updates
            }
            key::LOCAL_UPFRONT_SHUTDOWN | key::REMOTE_UPFRONT_SHUTDOWN => ChannelValue::Script,
            key::THAW_HEIGHT => ChannelValue::Thaw,
            key::LAST_WAS_REVOKE => ChannelValue::Flag,
            key::DATA_LOSS_POINT => ChannelValue::Point,
            key::CLOSING_TX | key::COOP_CLOSING_TX => ChannelValue::Transaction,
            key::SHUTDOWN_INFO => ChannelValue::Shutdown,
            _ => return None,
        })
    }

    /// Whether lnd archives the value, so that the view of a closed channel shows it.
    fn is_shown(self) -> bool {
        matches!(
            self,
            ChannelValue::Info
                | ChannelValue::Commitment
                | ChannelValue::Revocation
                | ChannelValue::Script
                | ChannelValue::Thaw
        )
    }

    fn encode_again(self, value: Bytes) -> Option<Vec<u8>> {
        match self {
            ChannelValue::Info => ChanInfo::decode(value).ok()?.encode().ok(),
            ChannelValue::Commitment => commitment::encode(&commitment::decode(value).ok()?).ok(),
            ChannelValue::Diff => {
                commitment::encode_diff(&commitment::decode_diff(value).ok()?).ok()
            }
            ChannelValue::Revocation => Some(RevocationKeys::decode(value).ok()?.encode()),
            ChannelValue::Updates => update::encode_list(&update::decode_list(value).ok()?).ok(),
            ChannelValue::Script => {
                small::encode_upfront_shutdown(&small::decode_upfront_shutdown(value).ok()?).ok()
            }
            ChannelValue::Thaw => {
                Some(small::encode_thaw_height(small::decode_thaw_height(value).ok()?))
            }
            ChannelValue::Flag => {
                Some(small::encode_last_was_revoke(small::decode_last_was_revoke(value).ok()?))
            }
            ChannelValue::Point => {
                Some(small::encode_public_key(&small::decode_public_key(value).ok()?))
            }
            ChannelValue::Transaction => {
                Some(small::encode_transaction(small::decode_transaction(value).ok()?.as_ref()))
            }
            ChannelValue::Shutdown => {
                Some(small::encode_shutdown_info(&small::decode_shutdown_info(value).ok()?))
            }
        }
    }
}

/// Names the field of a value that byte `at` is in, found by decoding the value cut there.
pub(super) fn field_at(path: &[Vec<u8>], value: &Bytes, at: usize) -> String {
    let cut = value.slice(..at.min(value.len()));
    let field = match Place::of(path) {
        Place::Channel(kind) | Place::Historical(Some(kind)) => kind.field_of(cut),
        Place::Log { deprecated: false } => revocation_log::decode(0.into(), cut).err(),
        Place::Log { deprecated: true } => revocation_log::decode_deprecated(cut).err(),
        Place::PackageUpdate => update::decode(cut).err(),
        Place::Summary => close::decode(cut).err(),
        Place::ForwardingPolicy => small::decode_forwarding_policy(cut).err(),
        _ => None,
    };
    field.map_or_else(String::new, |error| format!(" ({})", error.field))
}

impl ChannelValue {
    fn field_of(self, cut: Bytes) -> Option<super::codec::LndError> {
        match self {
            ChannelValue::Info => ChanInfo::decode(cut).err(),
            ChannelValue::Commitment => commitment::decode(cut).err(),
            ChannelValue::Diff => commitment::decode_diff(cut).err(),
            ChannelValue::Revocation => RevocationKeys::decode(cut).err(),
            ChannelValue::Updates => update::decode_list(cut).err(),
            _ => None,
        }
    }
}
