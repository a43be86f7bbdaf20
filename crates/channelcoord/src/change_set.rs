//! The unit of storage: applied whole or not at all.

use bitcoin::secp256k1::PublicKey;
use chanstate::key::{Kind, RecordKey};
use chanstate::{ChannelChange, ChannelNo, CommitmentHeight, PackageList, ShortChannelId, Version};
use linknode::LinkNodeChange;

use crate::backend::Verdict;
use crate::record::{Record, RecordRef};

/// What one call wants written, across domains.
///
/// Its steps touch different records: a set never writes a record twice, and never writes or
/// removes the update that it acknowledges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Channels, each guarded by its version.
    pub channels: Vec<ChannelChange>,
    /// Link nodes, each guarded by its version.
    pub link_nodes: Vec<LinkNodeChange>,
    /// Acknowledgements in packages of any channel; they commute and need no version.
    pub acks: Vec<PackageAck>,
    /// Records written without a guard.
    pub puts: Vec<Record>,
    /// Records removed without a guard.
    pub removes: Vec<RecordKey>,
}

/// Marks one update of a forwarding package as acknowledged. A package that is gone is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageAck {
    /// Source of the package.
    pub source: ShortChannelId,
    /// Height of the package.
    pub height: CommitmentHeight,
    /// Which list.
    pub list: PackageList,
    /// Position in the list.
    pub index: u16,
}

impl PackageAck {
    /// The record whose `acked` is to be set, if it exists.
    pub fn key(&self) -> RecordKey {
        RecordKey::of(
            Kind::PackageUpdate,
            [self.source.0, self.height.0, self.list as u64, self.index.into()],
        )
    }
}

/// What has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A peer.
    LinkNode(PublicKey),
    /// A channel.
    Channel(ChannelNo),
}

impl Subject {
    /// The record that carries the version.
    pub fn key(&self) -> RecordKey {
        match self {
            Subject::Channel(no) => RecordKey::single(Kind::Channel, *no),
            Subject::LinkNode(node) => linknode::node_key(node),
        }
    }
}

/// One step of a change set. Steps touch different records, so their order does not matter, except
/// that parents are written before children and removed after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Writes a record, replacing one with the same key.
    Put(RecordRef<'a>),
    /// Removes a record if it exists.
    Remove(&'a RecordKey),
    /// Sets `acked` of a package's update if it exists.
    Ack(&'a PackageAck),
}

impl ChangeSet {
    /// Versions that must be found for the set to apply; [`Version::ABSENT`] asks for no record.
    pub fn guards(&self) -> impl Iterator<Item = (Subject, Version)> + '_ {
        let ChangeSet { channels, link_nodes, acks: _, puts: _, removes: _ } = self;
        let channels = channels.iter().map(|c| (Subject::Channel(c.channel()), c.expect()));
        let nodes = link_nodes.iter().map(|n| (Subject::LinkNode(*n.node_id()), n.expect()));
        channels.chain(nodes)
    }

    /// The steps to carry out, removals first.
    pub fn ops(&self) -> impl Iterator<Item = Op<'_>> + '_ {
        let ChangeSet { channels, link_nodes, acks, puts, removes } = self;
        let removed = channels.iter().flat_map(|c| c.removes());
        let removed = removed.chain(link_nodes.iter().flat_map(|n| n.removes())).chain(removes);
        let of_channels = channels.iter().flat_map(|c| c.puts()).map(RecordRef::Channel);
        let of_nodes = link_nodes.iter().flat_map(|n| n.puts()).map(RecordRef::LinkNode);
        let put = of_channels.chain(of_nodes).chain(puts.iter().map(Record::as_ref));
        removed.map(Op::Remove).chain(put.map(Op::Put)).chain(acks.iter().map(Op::Ack))
    }

    /// What became of the set in a batch that is stored, from the versions that its subjects carry
    /// now. `ours` is the version that it gave them, `newest` says that nothing was committed since.
    /// `None` if later commits hide it.
    ///
    /// One subject with the set's version proves the whole set. A set without subjects has no
    /// guards, so it was applied. One that only removes subjects counts as applied if they are
    /// gone.
    ///
    /// # Errors
    /// Those of `find`, which reads a subject's version.
    pub fn fate<E>(
        &self,
        ours: Version,
        newest: bool,
        mut find: impl FnMut(&Subject) -> Result<Version, E>,
    ) -> Result<Option<Verdict>, E> {
        let (mut untouched, mut unsure, mut stale) = (false, false, None);
        for (subject, expect) in self.guards() {
            let found = find(&subject)?;
            if found == ours {
                return Ok(Some(Verdict::Applied));
            }
            let gone = found == Version::ABSENT;
            if gone && self.only_removes() {
                stale.get_or_insert(subject);
                continue;
            }
            let hidden = found > ours || gone && (!newest || self.removes(&subject));
            unsure |= hidden;
            untouched |= !hidden;
            if !hidden && found != expect {
                stale.get_or_insert(subject);
            }
        }
        Ok(match (untouched, unsure) {
            (true, _) => stale.map(Verdict::Conflict),
            (false, true) => None,
            (false, false) => Some(Verdict::Applied),
        })
    }

    fn removes(&self, subject: &Subject) -> bool {
        let key = subject.key();
        self.ops().any(|op| op == Op::Remove(&key))
    }

    /// Whether the set removes all its subjects and does nothing else.
    fn only_removes(&self) -> bool {
        let free = self.puts.is_empty() && self.removes.is_empty() && self.acks.is_empty();
        free && self.guards().all(|(subject, _)| self.removes(&subject))
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops().next().is_none()
    }

    /// Gives every subject its new version.
    pub fn stamp(&mut self, version: Version) {
        self.channels.iter_mut().for_each(|change| change.stamp(version));
        self.link_nodes.iter_mut().for_each(|change| change.stamp(version));
    }
}
