//! Jobs on stores of ours: copy, compare, check, count.

mod check;
mod fields;

use std::iter::Peekable;

use channelcoord::{Backend, BackendError, ChangeSet, Record};
use chanstate::key::{KeyRange, Kind};
use chanstate::{ChannelChange, Record as ChannelRecordKind, Version};
use linknode::LinkNodeChange;
use thiserror::Error;

pub use self::check::{check, unseen};
use self::fields::first_difference;
use crate::counts::Counts;
use crate::progress::Progress;
use crate::records::Records;
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

/// Copies every record. Versions are assigned anew by the target.
///
/// # Errors
/// `Read`, `Write`.
pub fn copy(
    source: &dyn Backend,
    writer: &mut Writer<'_>,
    progress: &Progress,
) -> Result<(), StoreJobError> {
    for kind in Kind::ALL {
        for record in Records::new(source, KeyRange::all(kind)) {
            progress.add(1);
            match record? {
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
    }
    writer.flush()?;
    Ok(())
}

/// Compares every record both ways; versions are left out. Returns the number compared.
///
/// # Errors
/// `Read`.
pub fn compare(
    source: &dyn Backend,
    target: &dyn Backend,
    progress: &Progress,
    mut report: impl FnMut(String),
) -> Result<u64, StoreJobError> {
    let mut compared = 0;
    for kind in Kind::ALL {
        let mut ours = Records::new(source, KeyRange::all(kind)).peekable();
        let mut theirs = Records::new(target, KeyRange::all(kind)).peekable();
        while let Some(pair) = next_pair(&mut ours, &mut theirs)? {
            compared += 1;
            progress.add(1);
            match pair {
                (Some(source), None) => report(format!("{}: only in the source", source.key())),
                (None, Some(target)) => report(format!("{}: only in the target", target.key())),
                (Some(source), Some(target)) => {
                    let (source, target) = (unversioned(source), unversioned(target));
                    if source != target {
                        report(format!("{}: {}", source.key(), first_difference(&source, &target)));
                    }
                }
                (None, None) => {}
            }
        }
    }
    Ok(compared)
}

type Pair = (Option<Record>, Option<Record>);

/// The next record of either side, both if their keys are equal.
fn next_pair(
    ours: &mut Peekable<Records<'_>>,
    theirs: &mut Peekable<Records<'_>>,
) -> Result<Option<Pair>, BackendError> {
    let key = |next: Option<&Result<Record, BackendError>>| match next {
        Some(Ok(record)) => Some(record.key()),
        _ => None,
    };
    if let Some(Err(error)) = ours.peek() {
        return Err(error.clone());
    }
    if let Some(Err(error)) = theirs.peek() {
        return Err(error.clone());
    }
    let (our_key, their_key) = (key(ours.peek()), key(theirs.peek()));
    let (take_ours, take_theirs) = match (our_key, their_key) {
        (None, None) => return Ok(None),
        (Some(_), None) => (true, false),
        (None, Some(_)) => (false, true),
        (Some(ours), Some(theirs)) => (ours <= theirs, theirs <= ours),
    };
    let ours = if take_ours { ours.next().transpose()? } else { None };
    let theirs = if take_theirs { theirs.next().transpose()? } else { None };
    Ok(Some((ours, theirs)))
}

/// A record without its version: what two stores have in common.
pub(crate) fn unversioned(mut record: Record) -> Record {
    match &mut record {
        Record::Channel(ChannelRecordKind::Channel(row)) => row.version = Version::ABSENT,
        Record::LinkNode(linknode::Record::LinkNode(row)) => row.version = Version::ABSENT,
        _ => {}
    }
    record
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
