//! Compares a source with a view of a store, entry by entry, both ways and in flat memory.

use std::iter::Peekable;

use bytes::Bytes;
use channelcoord::Backend;
use thiserror::Error;

use super::codec::chan_info::ChanInfo;
use super::codec::keys::{bucket as top, channel as key, package as package_key};
use super::codec::revocation::RevocationKeys;
use super::codec::{
    close, commitment, keys, link_node, package, residue, revocation_log, small, update,
};
use super::path::Path;
use super::residue::Residue;
use super::source::{Content, LndEntry, LndSource, Refused, Walk};
use super::view::{self, ViewError};
use crate::bolt::{ReadError, display_path};
use crate::progress::Progress;
use crate::writer::{WriteError, Writer};

/// Why a comparison stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiffError {
    /// The source cannot be read.
    #[error("source cannot be read")]
    Source(#[from] ReadError),
    /// The store cannot be shown as lnd's.
    #[error("store cannot be read as lnd's")]
    View(#[from] ViewError),
    /// The residue cannot be written.
    #[error("residue cannot be written")]
    Write(#[from] WriteError),
    /// The store does not hold what the source holds.
    #[error("store differs from the source: {0}")]
    Lost(Box<Difference>),
}

/// One place where source and view differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What the source has.
    pub source: Option<Content>,
    /// What the view has.
    pub view: Option<Content>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", display_path(&self.path))?;
        match (&self.source, &self.view) {
            (Some(source), None) => write!(f, "only in the source ({source})"),
            (None, Some(view)) => write!(f, "only in the store ({view})"),
            (Some(Content::Value(source)), Some(Content::Value(view))) => {
                let at = source.iter().zip(view).take_while(|(a, b)| a == b).count();
                let field = field_at(&self.path, source, at);
                write!(f, "{} and {} bytes, differ from byte {at}{field}", source.len(), view.len())
            }
            (Some(source), Some(view)) => write!(f, "{source} in the source, {view} in the store"),
            (None, None) => Ok(()),
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Bucket(0) => f.write_str("bucket"),
            Content::Bucket(sequence) => write!(f, "bucket, sequence {sequence}"),
            Content::Value(value) => write!(f, "{} bytes", value.len()),
        }
    }
}

/// Hands every difference between a source and the view of `backend` with its residue to `report`.
/// Returns the number of entries compared.
///
/// # Errors
/// `Source`, `View`.
pub fn compare(
    source: &LndSource,
    refused: &Refused,
    backend: &dyn Backend,
    progress: &Progress,
    mut report: impl FnMut(Difference),
) -> Result<u64, DiffError> {
    let mut differ = Differ::new(source.walk(refused), progress);
    view::walk_with_residue(backend, &mut |entry| {
        differ.push(entry, &mut |difference| {
            report(difference);
            Ok(())
        })
    })?;
    differ.finish(&mut |difference| {
        report(difference);
        Ok(())
    })
}

/// Stores what the source holds beyond the view of the store, so that nothing is lost.
///
/// Only what our records cannot express may go there: another encoding of equal content, indexes
/// and buckets, keys without a meaning. Anything else means that a record was not taken over.
///
/// # Errors
/// `Lost`, `Source`, `View`, `Write`.
pub fn store_residue(
    source: &LndSource,
    refused: &Refused,
    backend: &dyn Backend,
    writer: &mut Writer<'_>,
    progress: &Progress,
) -> Result<u64, DiffError> {
    let mut stored = 0;
    let mut differ = Differ::new(source.walk(refused), progress);
    let mut keep = |difference: Difference| {
        let residue = residue_of(&difference);
        let residue = residue.ok_or_else(|| DiffError::Lost(Box::new(difference.clone())))?;
        writer.put(residue.to_record(&difference.path))?;
        stored += 1;
        Ok(())
    };
    view::walk(backend, &mut |entry| differ.push(entry, &mut keep))?;
    differ.finish(&mut keep)?;
    writer.flush()?;
    Ok(stored)
}

type Report<'a> = dyn FnMut(Difference) -> Result<(), DiffError> + 'a;

/// Walks two sequences in step.
struct Differ<'a> {
    source: Peekable<Walk<'a>>,
    progress: &'a Progress,
    entries: u64,
}

impl<'a> Differ<'a> {
    fn new(source: Walk<'a>, progress: &'a Progress) -> Differ<'a> {
        Differ { source: source.peekable(), progress, entries: 0 }
    }

    fn push(&mut self, entry: LndEntry, report: &mut Report<'_>) -> Result<(), DiffError> {
        let LndEntry { path, content } = entry;
        loop {
            let before = |next: &Result<LndEntry, ReadError>| {
                next.as_ref().map_or(true, |next| next.path <= path)
            };
            let Some(next) = self.source.next_if(before).transpose()? else {
                return report(Difference { path, source: None, view: Some(content) });
            };
            self.count();
            if next.path < path {
                report(Difference { path: next.path, source: Some(next.content), view: None })?;
            } else if next.content != content {
                let (source, view) = (Some(next.content), Some(content));
                return report(Difference { path, source, view });
            } else {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, report: &mut Report<'_>) -> Result<u64, DiffError> {
        while let Some(next) = self.source.next().transpose()? {
            self.count();
            report(Difference { path: next.path, source: Some(next.content), view: None })?;
        }
        Ok(self.entries)
    }

    fn count(&mut self) {
        self.entries += 1;
        self.progress.add(1);
    }
}

/// What makes the view equal to the source at one place; `None` if that would hide a loss.
fn residue_of(difference: &Difference) -> Option<Residue> {
    let place = Place::of(&difference.path);
    match (&difference.source, &difference.view) {
        (Some(Content::Bucket(sequence)), _) => Some(Residue::Bucket(*sequence)),
        (None, Some(Content::Bucket(_))) => Some(Residue::Absent),
        (None, Some(Content::Value(_))) => place.is_derived().then_some(Residue::Absent),
        (Some(Content::Value(value)), None) => {
            let kept = place.is_derived() || place == Place::Unknown;
            kept.then(|| Residue::Value(value.clone()))
        }
        (Some(Content::Value(value)), Some(Content::Value(canonical))) => {
            if place.encode_again(&difference.path, value).as_deref() == Some(canonical) {
                return residue::between(canonical, value).map(Residue::Patch);
            }
            place.may_differ().then(|| Residue::Value(value.clone()))
        }
        (Some(Content::Value(_)), Some(Content::Bucket(_))) | (None, None) => None,
    }
}

/// What kind of value a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// An index, or a copy: it follows from other records.
    Index,
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
enum ChannelValue {
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
    fn of(path: &[Vec<u8>]) -> Place {
        let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        match path.as_slice() {
            [first, _] if [top::CHANNEL_IDS, top::OUTPOINTS].contains(first) => Place::Index,
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

    /// Whether the value follows from other records, so that its presence is no content.
    fn is_derived(self) -> bool {
        matches!(self, Place::Index | Place::Historical(_))
    }

    /// Whether a value of other content may be kept whole beside the record.
    fn may_differ(self) -> bool {
        // A filter of the wrong size has no other form; its bits were taken over.
        self.is_derived() || self == Place::PackageFilter
    }

    /// The value decoded and encoded canonically; `None` if it does not decode.
    fn encode_again(self, path: &Path, value: &Bytes) -> Option<Bytes> {
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
            Place::Index if value.is_empty() => Vec::new(),
            Place::Index => {
                small::encode_outpoint_status(small::decode_outpoint_status(value).ok()?)
            }
            Place::OpeningState | Place::Historical(None) | Place::Unknown => return None,
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
fn field_at(path: &[Vec<u8>], value: &Bytes, at: usize) -> String {
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
