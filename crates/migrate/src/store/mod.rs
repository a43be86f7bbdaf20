//! Jobs on stores of ours: copy, compare, check, count.

mod check;
mod compare;
mod content;
mod digest;
mod directory;
mod fields;
mod survey;
mod through;

use std::thread;

use channelcoord::{Backend, BackendError, ChangeSet, Record};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::{ChannelChange, Record as ChannelRecordKind, Version};
use linknode::LinkNodeChange;
use thiserror::Error;

pub use self::check::{check, unseen};
pub use self::compare::{Comparison, Difference, Reread, compare};
pub use self::content::{is_content, unversioned};
pub use self::digest::{Digester, StoreDigest};
pub use self::survey::{Survey, survey};
use crate::counts::Counts;
use crate::progress::Progress;
use crate::records::{Ahead, Records};
use crate::writer::{WriteError, Writer};

/// Why a job on stores stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreJobError {
    /// A store cannot be read.
    #[error("cannot be read")]
    Read(#[from] BackendError),
    /// The target cannot be written.
    #[error("cannot be written")]
    Write(#[from] WriteError),
}

/// Copies every record behind the one that `writer` stored last. Versions are assigned anew by the
/// target. The source is read by a thread of its own, a few pages ahead of what is written.
///
/// # Errors
/// `Read`, `Write`.
pub fn copy(
    source: &dyn Backend,
    writer: &mut Writer<'_>,
    progress: &Progress,
) -> Result<(), StoreJobError> {
    let ranges = ranges_after(writer.skip_stored());
    thread::scope(|scope| {
        for record in Ahead::start(scope, source, ranges) {
            progress.add(1);
            let record = record?;
            writer.comes_to(record.key());
            match record {
                Record::Channel(ChannelRecordKind::Channel(mut row)) => {
                    row.version = Version::ABSENT;
                    let channels = vec![ChannelChange::new(row)];
                    writer.add(ChangeSet { channels, ..ChangeSet::default() })?;
                }
                Record::LinkNode(linknode::Record::LinkNode(row)) => {
                    // Addresses follow as records of their own.
                    let node = row.assemble(Vec::new());
                    let link_nodes = vec![LinkNodeChange::put(&node, None, Version::ABSENT)];
                    writer.add(ChangeSet { link_nodes, ..ChangeSet::default() })?;
                }
                record => writer.put(record)?,
            }
        }
        writer.flush()?;
        Ok(())
    })
}

/// What comes behind a key, kind by kind.
fn ranges_after(key: Option<RecordKey>) -> impl Iterator<Item = KeyRange> + Send {
    let first = key.as_ref().map(|key| key.kind);
    let kinds = Kind::ALL.into_iter().filter(move |kind| Some(*kind) >= first);
    kinds.map(move |kind| match &key {
        Some(key) if key.kind == kind => KeyRange::all(kind).after(key.clone()),
        _ => KeyRange::all(kind),
    })
}

/// Counts records by kind, as `inspect` shows them.
///
/// # Errors
/// `Read`.
pub fn count(backend: &dyn Backend) -> Result<Counts, StoreJobError> {
    let mut counts = Counts::default();
    let mut closed = std::collections::HashSet::new();
    for record in Records::new(backend, KeyRange::all(Kind::Channel)) {
        if let Record::Channel(ChannelRecordKind::Channel(row)) = record? {
            if row.closed {
                closed.insert(row.no);
            } else {
                counts.open_channels += 1;
            }
        }
    }
    for record in Records::new(backend, KeyRange::all(Kind::Terms)) {
        if let Record::Channel(ChannelRecordKind::Terms(terms)) = record? {
            counts.historical_channels += u64::from(closed.contains(&terms.no));
        }
    }
    let tally = |kind, counter: &mut u64| -> Result<(), StoreJobError> {
        for record in Records::new(backend, KeyRange::all(kind)) {
            record?;
            *counter += 1;
        }
        Ok(())
    };
    tally(Kind::Close, &mut counts.closed_channels)?;
    tally(Kind::LinkNode, &mut counts.link_nodes)?;
    tally(Kind::Package, &mut counts.forwarding_packages)?;
    tally(Kind::RevokedState, &mut counts.revoked_states)?;
    tally(Kind::RevokedCommitment, &mut counts.revoked_states)?;
    tally(Kind::FinalHtlc, &mut counts.final_htlcs)?;
    tally(Kind::OpeningState, &mut counts.opening_states)?;
    tally(Kind::ForwardingPolicy, &mut counts.forwarding_policies)?;
    Ok(counts)
}
