//! Forwarding packages.

use super::holding::{Holding, fits};
use super::open_row;
use crate::change::{ChannelChange, Record};
use crate::commitment::LogUpdate;
use crate::error::Rejection;
use crate::ids::{ChannelNo, CommitmentHeight, Direction, HtlcKey, ShortChannelId};
use crate::key::{Kind, RecordKey};
use crate::message::MessageKind;
use crate::package::{AddRef, Filter, ForwardingPackage, PackageList};
use crate::record::{PackageRecord, PackageUpdateRecord, UpdateBody, UpdateRef};
use crate::state::{ChannelState, PackageShape};

/// Notes which adds of a package were forwarded. A package that has its filter keeps it.
///
/// # Errors
/// `AlreadyClosed`; `UnknownPackage`; `PackageFilter` if the filter does not cover the adds.
pub fn set_forward_filter(
    state: &ChannelState,
    height: CommitmentHeight,
    filter: Filter,
) -> Result<Option<ChannelChange>, Rejection> {
    let row = open_row(state)?;
    let (source, shape) = state.package(height).ok_or(Rejection::UnknownPackage { height })?;
    let (expected, found) = (usize::from(shape.adds), usize::from(filter.count()));
    if expected != found {
        return Err(Rejection::PackageFilter { expected, found });
    }
    if shape.forwarded {
        return Ok(None);
    }
    let mut change = ChannelChange::new(row.clone());
    let (no, forward_filter) = (Some(row.no), Some(filter));
    change.put(Record::Package(PackageRecord { source, height, no, forward_filter }));
    Ok(Some(change))
}

/// Removes packages; heights without one are passed over.
///
/// # Errors
/// `AlreadyClosed`.
pub fn remove_packages(
    state: &ChannelState,
    heights: &[CommitmentHeight],
) -> Result<Option<ChannelChange>, Rejection> {
    let row = open_row(state)?;
    let mut heights = heights.to_vec();
    heights.sort_unstable();
    heights.dedup();
    let mut change = ChannelChange::new(row.clone());
    let mut holding = Holding::of(state);
    let mut found = false;
    for height in heights {
        let Some((source, shape)) = state.package(height) else { continue };
        found = true;
        for id in shape.htlcs.values() {
            holding.lose(HtlcKey { direction: Direction::Incoming, id: *id });
        }
        for list in [PackageList::Adds, PackageList::SettleFails] {
            for index in 0..shape.count(list) {
                let parts = [source.0, height.0, list as u64, index.into()];
                change.remove(RecordKey::of(Kind::PackageUpdate, parts));
            }
        }
        change.remove(RecordKey::package(source, height));
    }
    holding.settle(&mut change);
    Ok(found.then_some(change))
}

/// Where an add of the channel's own package is; `None` if the package is gone.
///
/// # Errors
/// `AckOutOfRange` if the package has no such add.
pub fn own_ack(state: &ChannelState, add: AddRef) -> Result<Option<ShortChannelId>, Rejection> {
    let Some((source, shape)) = state.package(add.height) else { return Ok(None) };
    check_ack(source, add.height, shape, PackageList::Adds, add.index)?;
    Ok(Some(source))
}

/// Refuses an acknowledgement of an update that a package does not have.
///
/// # Errors
/// `AckOutOfRange`.
pub fn check_ack(
    source: ShortChannelId,
    height: CommitmentHeight,
    shape: &PackageShape,
    list: PackageList,
    index: u16,
) -> Result<(), Rejection> {
    match shape.count(list) {
        count if index < count => Ok(()),
        count => Err(Rejection::AckOutOfRange { source_scid: source, height, index, count }),
    }
}

/// Records of a package that another store held, to be taken over as they are.
///
/// `state` is the channel it belongs to; its HTLCs' records are referred to. Without a channel, and
/// where `verbatim` asks for it, messages are kept whole.
///
/// # Errors
/// `Message`, `TooLarge`, `PackageFilter`: the source holds what a store cannot.
pub fn import_package(
    state: Option<&ChannelState>,
    package: &ForwardingPackage,
    verbatim: bool,
) -> Result<Vec<Record>, Rejection> {
    let mut records = Vec::new();
    let no = state.map(|state| state.row().no);
    match state.filter(|_| !verbatim) {
        None => put(&mut |record| records.push(record), no, package, &mut keep)?,
        Some(state) => {
            let mut holding = Holding::of(state);
            put_package(|record| records.push(record), &mut holding, no, package)?;
            let mut change = ChannelChange::new(state.row().clone());
            holding.settle(&mut change);
            // The channel's row does not change, its new HTLCs come first.
            let htlcs = change.puts().iter().filter(|r| matches!(r, Record::Htlc(_))).cloned();
            records.splice(0..0, htlcs);
        }
    }
    Ok(records)
}

/// Writes a package and its updates; its adds refer to HTLC records.
pub(super) fn put_package(
    mut write: impl FnMut(Record),
    holding: &mut Holding<'_>,
    no: Option<ChannelNo>,
    package: &ForwardingPackage,
) -> Result<(), Rejection> {
    put(&mut write, no, package, &mut |update| holding.update(update, Direction::Incoming))
}

fn put(
    write: &mut impl FnMut(Record),
    no: Option<ChannelNo>,
    package: &ForwardingPackage,
    refer: &mut dyn FnMut(&LogUpdate) -> Result<UpdateRef, Rejection>,
) -> Result<(), Rejection> {
    let ForwardingPackage {
        source,
        height,
        adds,
        settle_fails,
        ack_filter,
        settle_fail_filter,
        forward_filter,
    } = package;
    let (source, height) = (*source, *height);
    fits("package height", height.0)?;
    if let Some(filter) = forward_filter {
        covers(filter, adds.len())?;
    }
    write(Record::Package(PackageRecord {
        source,
        height,
        no,
        forward_filter: forward_filter.clone(),
    }));
    let lists = [
        (PackageList::Adds, adds, ack_filter),
        (PackageList::SettleFails, settle_fails, settle_fail_filter),
    ];
    for (list, updates, filter) in lists {
        covers(filter, updates.len())?;
        for (index, update) in (0..=u16::MAX).zip(updates) {
            if (update.message.kind() == MessageKind::UpdateAddHtlc) != (list == PackageList::Adds)
            {
                return Err(Rejection::Message { ty: update.message.ty() });
            }
            let acked = filter.contains(index);
            let update = refer(update)?;
            let record = PackageUpdateRecord { source, height, list, index, update, acked };
            write(Record::PackageUpdate(record));
        }
    }
    Ok(())
}

fn keep(update: &LogUpdate) -> Result<UpdateRef, Rejection> {
    let LogUpdate { log_index, message } = update.clone();
    Ok(UpdateRef { log_index, body: UpdateBody::Message(message) })
}

fn covers(filter: &Filter, expected: usize) -> Result<(), Rejection> {
    match usize::from(filter.count()) {
        found if found == expected => Ok(()),
        found => Err(Rejection::PackageFilter { expected, found }),
    }
}
