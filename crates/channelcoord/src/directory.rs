//! What the store keeps in memory: open channels whole, of closed ones only that they exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{
    ChannelChange, ChannelId, ChannelNo, ChannelState, CommitmentHeight, PackageList, PackageShape,
    ShortChannelId, Version,
};
use linknode::{Address, LinkNode, LinkNodeRecord};

use crate::backend::{Backend, BackendError};
use crate::change_set::{ChangeSet, Op, Subject};
use crate::committer::{Failure, Memory};
use crate::reclaim;
use crate::record::{Record, RecordRef};
use crate::scan::scan_all;

/// An open channel in memory.
pub(crate) type Slot = Arc<RwLock<ChannelState>>;

/// What is known of every channel, open or closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    pub(crate) no: ChannelNo,
    pub(crate) peer: PublicKey,
    pub(crate) chain: ChainHash,
    pub(crate) closed: bool,
    pub(crate) pending: bool,
}

pub(crate) struct Directory {
    backend: Arc<dyn Backend>,
    check_memory: bool,
    index: RwLock<Index>,
}

#[derive(Default)]
pub(crate) struct Index {
    listings: BTreeMap<OutPoint, Listing>,
    by_id: HashMap<ChannelId, OutPoint>,
    open: BTreeMap<ChannelNo, Slot>,
    sources: HashMap<ShortChannelId, ChannelNo>,
    orphans: BTreeMap<(ShortChannelId, CommitmentHeight), PackageShape>,
    peers: BTreeMap<PublicKey, Peer>,
    reclaims: BTreeMap<ChannelNo, BTreeSet<ShortChannelId>>,
    next_no: u64,
}

#[derive(Clone, Debug)]
struct Peer {
    record: LinkNodeRecord,
    addresses: BTreeMap<u32, Address>,
}

impl Directory {
    /// Reads the whole store once.
    pub(crate) async fn load(
        backend: Arc<dyn Backend>,
        check_memory: bool,
    ) -> Result<Directory, BackendError> {
        let mut index = Index { next_no: 1, ..Index::default() };
        let b = backend.as_ref();
        scan_all(b, KeyRange::all(Kind::Channel), |record| index.take_row(&record)).await?;
        for kind in ChannelState::KINDS {
            scan_all(b, KeyRange::all(kind), |record| index.take_hot(&record)).await?;
        }
        for kind in [Kind::Package, Kind::PackageUpdate] {
            scan_all(b, KeyRange::all(kind), |record| index.take_package(&record)).await?;
        }
        for kind in [Kind::LinkNode, Kind::LinkAddress] {
            scan_all(b, KeyRange::all(kind), |record| index.take_peer(record.as_ref())).await?;
        }
        scan_all(b, KeyRange::all(Kind::Reclaim), |record| index.take_reclaim(&record)).await?;
        Ok(Directory { backend, check_memory, index: RwLock::new(index) })
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a channel to be created.
    pub(crate) fn assign_no(&self) -> ChannelNo {
        let mut index = self.write();
        let no = index.next_no;
        index.next_no += 1;
        ChannelNo(no)
    }

    /// An open channel as the backend has it; `None` if it is closed or gone.
    async fn load_channel(&self, no: ChannelNo) -> Result<Option<ChannelState>, BackendError> {
        let row = self.backend.read(&[RecordKey::single(Kind::Channel, no)]).await?;
        let Some(row) = row.into_iter().flatten().next().and_then(channel_row) else {
            return Ok(None);
        };
        if row.closed {
            return Ok(None);
        }
        let mut state = ChannelState::new(row);
        let mut put = |record: Record| {
            if let Record::Channel(record) = &record {
                state.put(record);
            }
        };
        let b = self.backend.as_ref();
        for kind in ChannelState::KINDS {
            scan_all(b, KeyRange::under(kind, [no.0]), &mut put).await?;
        }
        let sources: Vec<_> = {
            let index = self.read();
            index.sources.iter().filter(|(_, of)| **of == no).map(|(source, _)| *source).collect()
        };
        for source in sources {
            for kind in [Kind::Package, Kind::PackageUpdate] {
                scan_all(b, KeyRange::under(kind, [source.0]), &mut put).await?;
            }
        }
        Ok(Some(state))
    }

    fn reload_channel(&self, no: ChannelNo) -> Result<(), BackendError> {
        let state = pollster::block_on(self.load_channel(no))?;
        let mut index = self.write();
        match state {
            Some(state) => index.open.insert(no, Arc::new(RwLock::new(state))),
            None => index.open.remove(&no),
        };
        Ok(())
    }

    fn reload_peer(&self, node: &PublicKey) -> Result<(), BackendError> {
        let b = self.backend.as_ref();
        let mut stored = pollster::block_on(b.read(&[linknode::node_key(node)]))?;
        let addresses = linknode::addresses_of(node);
        let mut take = |record| stored.push(Some(record));
        pollster::block_on(scan_all(b, addresses, &mut take))?;
        let mut index = self.write();
        index.peers.remove(node);
        stored.iter().flatten().for_each(|record| index.take_peer(record.as_ref()));
        Ok(())
    }

    /// Whether memory and backend agree on a channel.
    fn agrees(&self, no: ChannelNo) -> bool {
        let Some(slot) = self.read().open.get(&no).cloned() else { return true };
        match pollster::block_on(self.load_channel(no)) {
            Ok(stored) => stored.as_ref() == Some(&*read_slot(&slot)),
            Err(_) => false,
        }
    }
}

impl Memory for Directory {
    fn applied(&self, set: &ChangeSet) -> Result<(), Failure> {
        // Held throughout, so that nobody sees a part of the set.
        let mut index = self.write();
        for change in &set.channels {
            index.follow_channel(change);
        }
        for change in &set.link_nodes {
            for key in change.removes() {
                index.drop_peer(change.node_id(), key);
            }
            for record in change.puts() {
                index.take_peer(RecordRef::LinkNode(record));
            }
        }
        for op in set.ops() {
            if let Op::Remove(key) = op
                && let Some(no) = reclaim::job_of(key)
            {
                for source in index.reclaims.remove(&no).unwrap_or_default() {
                    index.sources.remove(&source);
                }
            }
        }
        drop(index);
        let mut channels = set.channels.iter().map(|change| change.channel());
        match channels.find(|no| self.check_memory && !self.agrees(*no)) {
            Some(no) => Err(Failure::Diverged(Subject::Channel(no))),
            None => Ok(()),
        }
    }

    fn conflict(&self, subject: Subject) {
        tracing::error!(?subject, "version in memory is not the stored one, reloading");
        let reloaded = match subject {
            Subject::Channel(no) => self.reload_channel(no),
            Subject::LinkNode(node) => self.reload_peer(&node),
        };
        if let Err(error) = reloaded {
            tracing::error!(%error, "reloading failed");
        }
    }

    fn idle_work(&self) -> Result<Option<ChangeSet>, Failure> {
        let (no, sources) = match self.read().reclaims.first_key_value() {
            Some((no, sources)) => (*no, sources.clone()),
            None => return Ok(None),
        };
        let set = pollster::block_on(reclaim::step(self.backend.as_ref(), no, &sources));
        set.map(Some).map_err(|error| {
            tracing::warn!(%error, "reclaiming a closed channel failed");
            // Damage stays; the job must not hold up the others until the store is opened again.
            if matches!(error, BackendError::Corrupt { .. }) {
                self.write().reclaims.remove(&no);
            }
            Failure::Read(error)
        })
    }
}

impl Index {
    pub(crate) fn listing(&self, point: OutPoint) -> Option<&Listing> {
        self.listings.get(&point)
    }

    pub(crate) fn listings(&self) -> impl Iterator<Item = (&OutPoint, &Listing)> {
        self.listings.iter()
    }

    pub(crate) fn point_of(&self, id: ChannelId) -> Option<OutPoint> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn slot(&self, no: ChannelNo) -> Option<Slot> {
        self.open.get(&no).cloned()
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.open.values()
    }

    /// Channels with a peer that are not closed.
    pub(crate) fn open_with(&self, peer: &PublicKey) -> usize {
        self.listings.values().filter(|listing| !listing.closed && listing.peer == *peer).count()
    }

    /// Peers of channels that are not closed.
    pub(crate) fn peers_with_channels(&self) -> BTreeSet<PublicKey> {
        let open = self.listings.values().filter(|listing| !listing.closed);
        open.map(|listing| listing.peer).collect()
    }

    /// Updates in a list of a package; `None` if there is no such package any more.
    pub(crate) fn package_shape(
        &self,
        source: ShortChannelId,
        height: CommitmentHeight,
    ) -> Option<PackageShape> {
        let Some(no) = self.sources.get(&source) else {
            return self.orphans.get(&(source, height)).cloned();
        };
        let slot = self.open.get(no)?;
        let state = read_slot(slot);
        let counts = |shape: &PackageShape| PackageShape {
            adds: shape.count(PackageList::Adds),
            settle_fails: shape.count(PackageList::SettleFails),
            ..PackageShape::default()
        };
        let found = state.package_at(height, source).map(counts);
        drop(state);
        found
    }

    /// Whether packages of another channel are kept under `source`, or packages of none.
    pub(crate) fn is_source_of_other(&self, source: ShortChannelId, no: ChannelNo) -> bool {
        let places = (source, CommitmentHeight(0))..=(source, CommitmentHeight(u64::MAX));
        self.sources.get(&source).is_some_and(|of| *of != no)
            || self.orphans.range(places).next().is_some()
    }

    /// A link node with its version.
    pub(crate) fn link_node(&self, node: &PublicKey) -> Option<(LinkNode, Version)> {
        self.peers.get(node).map(|peer| (peer.assemble(), peer.record.version))
    }

    pub(crate) fn link_nodes(&self) -> impl Iterator<Item = LinkNode> {
        self.peers.values().map(Peer::assemble)
    }

    /// Follows what a change does to a channel.
    fn follow_channel(&mut self, change: &ChannelChange) {
        let no = change.channel();
        let slot = self.slot(no);
        if let Some(slot) = &slot {
            slot.write().unwrap_or_else(PoisonError::into_inner).apply(change);
        }
        for record in change.puts() {
            match record {
                chanstate::Record::Channel(row) => self.follow_row(row, slot.is_none(), change),
                chanstate::Record::Package(package) => {
                    self.sources.entry(package.source).or_insert(no);
                }
                chanstate::Record::Reclaim(_) => {
                    self.take_reclaim(&Record::Channel(record.clone()));
                }
                _ => {}
            }
        }
        for key in change.removes() {
            if let (Kind::Package, Some(KeyPart::Int(source))) = (key.kind, key.parts.first()) {
                self.release_source(ShortChannelId(*source), slot.as_ref());
            }
        }
    }

    /// A package was removed: with the last one of a source, other channels may use it.
    fn release_source(&mut self, source: ShortChannelId, slot: Option<&Slot>) {
        let kept = |slot: &Slot| read_slot(slot).packages().any(|((_, of), _)| of == source);
        if !slot.is_some_and(kept) {
            self.sources.remove(&source);
        }
    }

    /// Follows a channel's creation and close.
    fn follow_row(&mut self, row: &ChannelRecord, new: bool, change: &ChannelChange) {
        let listed = self.listing(row.funding_outpoint);
        if listed.is_some_and(|it| it.closed == row.closed && it.pending == row.pending) {
            return;
        }
        self.list(row);
        if row.closed {
            self.open.remove(&row.no);
        } else if new {
            let mut state = ChannelState::new(row.clone());
            state.apply(change);
            self.open.insert(row.no, Arc::new(RwLock::new(state)));
        }
    }

    fn list(&mut self, row: &ChannelRecord) {
        let ChannelRecord { no, channel_id, peer, chain, closed, pending, .. } = *row;
        let listing = Listing { no, peer, chain, closed, pending };
        self.listings.insert(row.funding_outpoint, listing);
        self.by_id.insert(channel_id, row.funding_outpoint);
        self.next_no = self.next_no.max(no.0 + 1);
    }

    fn take_row(&mut self, record: &Record) {
        let Record::Channel(chanstate::Record::Channel(row)) = record else { return };
        self.list(row);
        if !row.closed {
            self.open.insert(row.no, Arc::new(RwLock::new(ChannelState::new(row.clone()))));
        }
    }

    fn take_hot(&mut self, record: &Record) {
        let Record::Channel(record) = record else { return };
        if let Some(KeyPart::Int(no)) = record.key().parts.first() {
            self.put(ChannelNo(*no), record);
        }
    }

    fn take_package(&mut self, record: &Record) {
        let Record::Channel(record) = record else { return };
        let source = match record {
            chanstate::Record::Package(package) => {
                if let Some(no) = package.no {
                    self.sources.insert(package.source, no);
                } else {
                    self.orphans.entry((package.source, package.height)).or_default();
                }
                package.source
            }
            chanstate::Record::PackageUpdate(update) => {
                if let Some(shape) = self.orphans.get_mut(&(update.source, update.height)) {
                    let count = update.index.saturating_add(1);
                    match update.list {
                        PackageList::Adds => shape.adds = shape.adds.max(count),
                        PackageList::SettleFails => {
                            shape.settle_fails = shape.settle_fails.max(count);
                        }
                    }
                }
                update.source
            }
            _ => return,
        };
        if let Some(no) = self.sources.get(&source).copied() {
            self.put(no, record);
        }
    }

    fn put(&mut self, no: ChannelNo, record: &chanstate::Record) {
        if let Some(slot) = self.open.get(&no) {
            slot.write().unwrap_or_else(PoisonError::into_inner).put(record);
        }
    }

    fn take_peer(&mut self, record: RecordRef<'_>) {
        match record {
            RecordRef::LinkNode(linknode::Record::LinkNode(record)) => {
                let peer = self
                    .peers
                    .entry(record.node_id)
                    .or_insert_with(|| Peer { record: record.clone(), addresses: BTreeMap::new() });
                peer.record = record.clone();
            }
            RecordRef::LinkNode(linknode::Record::LinkAddress(record)) => {
                if let Some(peer) = self.peers.get_mut(&record.node_id) {
                    peer.addresses.insert(record.position, record.address.clone());
                }
            }
            _ => {}
        }
    }

    fn drop_peer(&mut self, node: &PublicKey, key: &RecordKey) {
        match (key.kind, key.parts.get(1)) {
            (Kind::LinkNode, _) => {
                self.peers.remove(node);
            }
            (Kind::LinkAddress, Some(KeyPart::Int(position))) => {
                if let (Some(peer), Ok(position)) =
                    (self.peers.get_mut(node), u32::try_from(*position))
                {
                    peer.addresses.remove(&position);
                }
            }
            _ => {}
        }
    }

    fn take_reclaim(&mut self, record: &Record) {
        let Record::Channel(chanstate::Record::Reclaim(reclaim)) = record else { return };
        let sources = self.sources.iter().filter(|(_, no)| **no == reclaim.no);
        let sources = sources.map(|(source, _)| *source).collect();
        self.reclaims.insert(reclaim.no, sources);
    }
}

impl Peer {
    fn assemble(&self) -> LinkNode {
        self.record.assemble(self.addresses.values().cloned().collect())
    }
}

/// Reads a slot; a panic elsewhere does not make the state unreadable.
pub(crate) fn read_slot(slot: &Slot) -> RwLockReadGuard<'_, ChannelState> {
    slot.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn channel_row(record: Record) -> Option<ChannelRecord> {
    match record {
        Record::Channel(chanstate::Record::Channel(row)) => Some(row),
        _ => None,
    }
}
