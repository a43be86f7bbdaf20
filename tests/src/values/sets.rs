//! Change sets as a store commits them, each with a value of the store to tell whether it was
//! applied.

use channelcoord::{ChangeSet, MetaRecord, PackageAck, Record};
use chanstate::key::RecordKey;
use chanstate::record::{ChannelRecord, PackageRecord, PackageUpdateRecord, UpdateBody, UpdateRef};
use chanstate::{ChannelChange, ChannelId, ChannelNo, PackageList, Version, transition};
use linknode::LinkNodeChange;

use super::{bytes, commit_sig, link_node, new_channel, peer};

/// A value of the store.
pub fn meta(name: &str) -> Record {
    Record::Meta(MetaRecord { name: name.into(), value: bytes("meta", 1, 40) })
}

/// A set that writes records.
pub fn putting(records: impl IntoIterator<Item = Record>) -> ChangeSet {
    ChangeSet { puts: records.into_iter().collect(), ..ChangeSet::default() }
}

/// A set that removes records.
pub fn removing(keys: impl IntoIterator<Item = RecordKey>) -> ChangeSet {
    ChangeSet { removes: keys.into_iter().collect(), ..ChangeSet::default() }
}

/// A set that stores a value of the store.
pub fn noting(name: &str) -> ChangeSet {
    putting([meta(name)])
}

/// The creation of channel `n`.
pub fn creating(n: u64, name: &str) -> ChangeSet {
    let change = transition::open(ChannelNo(n), &new_channel(n, peer(n)));
    let channels = vec![change.expect("the channel can be opened")];
    ChangeSet { channels, ..noting(name) }
}

/// A change of channel `n` that was computed from `version`.
pub fn changing(n: u64, version: u64, name: &str) -> ChangeSet {
    let row = ChannelRecord { version: Version(version), ..row_of(n) };
    ChangeSet { channels: vec![ChannelChange::new(row)], ..noting(name) }
}

/// The row of channel `n` as it is created.
pub fn row_of(n: u64) -> ChannelRecord {
    let set = creating(n, "");
    match &set.channels[0].puts()[0] {
        chanstate::Record::Channel(row) => row.clone(),
        other => panic!("the row comes first, not {other:?}"),
    }
}

/// A set that raises the version of link node `n`.
pub fn touching(n: u64, version: u64, name: &str) -> ChangeSet {
    let change = LinkNodeChange::touch(&link_node(n), Version(version));
    ChangeSet { link_nodes: vec![change], ..noting(name) }
}

/// The creation of link node `n`.
pub fn meeting(n: u64, name: &str) -> ChangeSet {
    let change = LinkNodeChange::put(&link_node(n), None, Version::ABSENT);
    ChangeSet { link_nodes: vec![change], ..noting(name) }
}

/// The removal of link node `n`.
pub fn forgetting(n: u64, version: u64, name: &str) -> ChangeSet {
    let change = LinkNodeChange::remove(&link_node(n), Version(version));
    ChangeSet { link_nodes: vec![change], ..noting(name) }
}

/// A package of no channel, with `count` settles and fails; its height is `n`.
pub fn orphan_package(n: u64, count: u16) -> Vec<Record> {
    let (source, height) = (u64::MAX.into(), n.into());
    let message = commit_sig(ChannelId([1; 32]), 1, 0);
    let update = |index| PackageUpdateRecord {
        source,
        height,
        list: PackageList::SettleFails,
        index,
        update: UpdateRef { log_index: 3.into(), body: UpdateBody::Message(message.clone()) },
        acked: false,
    };
    let package = PackageRecord { source, height, no: None, forward_filter: None };
    let updates = (0..count).map(|index| chanstate::Record::PackageUpdate(update(index)));
    [chanstate::Record::Package(package)].into_iter().chain(updates).map(Record::Channel).collect()
}

/// An acknowledgement in [`orphan_package`] `n`.
pub fn acking(n: u64, index: u16) -> ChangeSet {
    let list = PackageList::SettleFails;
    let ack = PackageAck { source: u64::MAX.into(), height: n.into(), list, index };
    ChangeSet { acks: vec![ack], ..ChangeSet::default() }
}
