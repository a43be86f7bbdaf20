//! Takes back, in small steps, the space of what nobody reads of a closed channel.

use std::collections::{BTreeSet, HashSet};

use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::{ChannelNo, HtlcKey, ShortChannelId, Side};

use crate::backend::{Backend, BackendError};
use crate::change_set::ChangeSet;
use crate::directory::channel_row;
use crate::record::Record;
use crate::scan::scan_all;

/// Most records that one step removes.
const STEP: usize = 512;

/// Kinds of which nothing stays; all of them are keyed by the channel's number.
const GONE: [Kind; 5] =
    [Kind::RevokedState, Kind::RevokedCommitment, Kind::Diff, Kind::UpdateList, Kind::Mark];

/// The next records to remove; with the last of them the job itself goes.
pub(crate) async fn step(
    backend: &dyn Backend,
    no: ChannelNo,
    sources: &BTreeSet<ShortChannelId>,
) -> Result<ChangeSet, BackendError> {
    let mut set = ChangeSet::default();
    for source in sources {
        for kind in [Kind::PackageUpdate, Kind::Package] {
            let range = KeyRange::under(kind, [source.0]);
            if take(backend, range, &mut set).await? {
                return Ok(set);
            }
        }
    }
    for kind in GONE {
        if take(backend, KeyRange::under(kind, [no.0]), &mut set).await? {
            return Ok(set);
        }
    }
    if !take_unkept(backend, no, &mut set).await? {
        set.removes.push(RecordKey::single(Kind::Reclaim, no));
    }
    Ok(set)
}

/// Adds the records of a range; true once the step is full.
async fn take(
    backend: &dyn Backend,
    range: KeyRange,
    set: &mut ChangeSet,
) -> Result<bool, BackendError> {
    let room = STEP.saturating_sub(set.removes.len());
    let records = backend.scan(&range, room).await?;
    set.removes.extend(records.iter().map(Record::key));
    Ok(set.removes.len() >= STEP)
}

/// Adds what the historical view does not show: other commitments than the two last ones, and the
/// HTLCs that only they held. True once the step is full.
async fn take_unkept(
    backend: &dyn Backend,
    no: ChannelNo,
    set: &mut ChangeSet,
) -> Result<bool, BackendError> {
    let row = backend.read(&[RecordKey::single(Kind::Channel, no)]).await?;
    let Some(row) = row.into_iter().flatten().next().and_then(channel_row) else {
        return Ok(false);
    };
    let kept: Vec<_> = [(Side::Local, row.local_height), (Side::Remote, row.remote_height)]
        .into_iter()
        .filter_map(|(side, height)| Some((side, height?)))
        .collect();
    let mut htlcs: HashSet<HtlcKey> = HashSet::new();
    let mut removes = Vec::new();
    scan_all(backend, KeyRange::under(Kind::Commitment, [no.0]), |record| {
        let Record::Channel(chanstate::Record::Commitment(commitment)) = &record else { return };
        if kept.contains(&(commitment.side, commitment.height)) {
            htlcs.extend(commitment.slots.iter().map(|slot| slot.key));
        } else {
            removes.push(record.key());
        }
    })
    .await?;
    scan_all(backend, KeyRange::under(Kind::Htlc, [no.0]), |record| {
        if let Record::Channel(chanstate::Record::Htlc(htlc)) = &record
            && !htlcs.contains(&htlc.key())
        {
            removes.push(record.key());
        }
    })
    .await?;
    let room = STEP.saturating_sub(set.removes.len());
    let full = removes.len() > room;
    set.removes.extend(removes.into_iter().take(room));
    Ok(full)
}

/// Whether a change set leaves work behind.
pub(crate) fn starts_job(set: &ChangeSet) -> bool {
    let mut records = set.channels.iter().flat_map(|change| change.puts());
    records.any(|record| matches!(record, chanstate::Record::Reclaim(_)))
}

/// The channel that a reclaim job is for.
pub(crate) fn job_of(key: &RecordKey) -> Option<ChannelNo> {
    match (key.kind, key.parts.first()) {
        (Kind::Reclaim, Some(KeyPart::Int(no))) => Some(ChannelNo(*no)),
        _ => None,
    }
}
