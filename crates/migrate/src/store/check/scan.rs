//! The pass over all records, kind by kind.

use std::collections::HashSet;

use channelcoord::{Backend, BackendError, LndRecord, MetaRecord, Record as AnyRecord};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::record::{PackageRecord, PackageUpdateRecord, UpdateBody};
use chanstate::{ChannelNo, PackageList, Record};

use super::{Checker, Known, Scope, StoreJobError};
use crate::finding::chain;
use crate::lnd::check::log::Coverage;
use crate::lnd::import::ORIGIN;
use crate::lnd::residue::Residue;
use crate::progress::Progress;
use crate::records::Records;

/// Records of one kind, one ahead.
struct Stream<'a> {
    kind: Kind,
    records: Records<'a>,
    progress: &'a Progress,
    next: Option<AnyRecord>,
    /// Every record so far could be read.
    whole: bool,
}

impl<'a> Checker<'a, '_> {
    /// Reads every record and notes what the checks of single channels need.
    pub(super) fn scan(&mut self) -> Result<(), StoreJobError> {
        self.all_channels = self.each(Kind::Channel, |checker, record| {
            if let AnyRecord::Channel(Record::Channel(row)) = record {
                checker.channels.insert(row.no, Known::of(&row));
            }
        })?;
        for kind in [
            Kind::Terms,
            Kind::Commitment,
            Kind::Diff,
            Kind::Htlc,
            Kind::UpdateList,
            Kind::Secret,
            Kind::Mark,
            Kind::Close,
            Kind::Reclaim,
        ] {
            let mut owner = None;
            self.each(kind, |checker, record| checker.owned(&record, &mut owner))?;
        }
        self.logs()?;
        self.packages()?;
        for kind in [Kind::FinalHtlc, Kind::OpeningState, Kind::ForwardingPolicy] {
            self.each(kind, |_, _| {})?;
        }
        self.link_nodes()?;
        let mut has_origin = false;
        let whole = self.each(Kind::Meta, |checker, record| {
            if let AnyRecord::Meta(meta) = record {
                has_origin |= meta.name == ORIGIN;
                checker.meta(&meta);
            }
        })?;
        if self.scope == Scope::Import && whole && !has_origin {
            self.inconsistency(format!("Meta/{ORIGIN}"), "is missing");
        }
        self.each(Kind::Lnd, |checker, record| {
            if let AnyRecord::Lnd(lnd) = record {
                checker.residue(&lnd);
            }
        })?;
        Ok(())
    }

    /// Hands every record of a kind to `visit`; false if some could not be read.
    fn each(
        &mut self,
        kind: Kind,
        mut visit: impl FnMut(&mut Self, AnyRecord),
    ) -> Result<bool, StoreJobError> {
        let mut stream = self.stream(kind)?;
        while let Some(record) = stream.take(self)? {
            visit(self, record);
        }
        Ok(stream.whole)
    }

    fn stream(&mut self, kind: Kind) -> Result<Stream<'a>, StoreJobError> {
        let records = Records::new(self.backend, KeyRange::all(kind));
        let mut stream = Stream { kind, records, progress: self.progress, next: None, whole: true };
        stream.take(self)?;
        Ok(stream)
    }

    /// Checks a record that is kept under a channel's number.
    fn owned(&mut self, record: &AnyRecord, owner: &mut Option<ChannelNo>) {
        let key = record.key();
        let Some(no) = number(&key) else { return };
        // A channel that is not there is reported once for each kind.
        let seen = owner.replace(no) == Some(no);
        if !self.is_known(no) {
            if !seen {
                self.damage(&key, "belongs to a channel that is not there");
            }
            return;
        }
        let Some(known) = self.channels.get_mut(&no) else { return };
        match key.kind {
            Kind::Close => known.has_close = true,
            Kind::Reclaim => {
                known.reclaimed = true;
                let closed = known.closed;
                if self.scope == Scope::Import {
                    self.inconsistency(&key, "is not of an import");
                } else if !closed {
                    self.inconsistency(&key, "belongs to a channel that is not closed");
                }
            }
            _ => {}
        }
    }

    /// Whether a channel is there, as far as rows could be read.
    fn is_known(&self, no: ChannelNo) -> bool {
        !self.all_channels || self.channels.contains_key(&no)
    }

    /// Reads both revocation logs side by side, so that a channel's heights come in order.
    fn logs(&mut self) -> Result<(), StoreJobError> {
        let mut current = self.stream(Kind::RevokedState)?;
        let mut deprecated = self.stream(Kind::RevokedCommitment)?;
        let mut owners = [None, None];
        let open: Vec<_> =
            self.channels.iter().filter(|(_, known)| !known.closed).map(|(no, _)| *no).collect();
        let mut due = open.into_iter().peekable();
        let mut coverage: Option<(ChannelNo, Coverage)> = None;
        loop {
            let height = |stream: &Stream<'_>| stream.next.as_ref().and_then(log_place);
            let (stream, owner) = match (height(&current), height(&deprecated)) {
                (None, None) => break,
                (Some(a), Some(b)) if b < a => (&mut deprecated, &mut owners[1]),
                (None, Some(_)) => (&mut deprecated, &mut owners[1]),
                (Some(_), _) => (&mut current, &mut owners[0]),
            };
            let Some(record) = stream.take(self)? else { break };
            self.owned(&record, owner);
            let Some((no, height)) = log_place(&record) else { continue };
            if !(current.whole && deprecated.whole) {
                continue;
            }
            // Channels without entries lie between.
            while let Some(before) = due.next_if(|due| *due <= no) {
                self.finish_log(coverage.take());
                let remote_height =
                    self.channels.get(&before).and_then(|known| known.remote_height);
                coverage = Some((before, Coverage::new(remote_height)));
            }
            if let Some((_, coverage)) = coverage.as_mut().filter(|(owner, _)| *owner == no) {
                coverage.see(height.into());
            }
        }
        if current.whole && deprecated.whole {
            self.finish_log(coverage);
            for no in due {
                let remote_height = self.channels.get(&no).and_then(|known| known.remote_height);
                self.finish_log(Some((no, Coverage::new(remote_height))));
            }
        }
        Ok(())
    }

    fn finish_log(&mut self, coverage: Option<(ChannelNo, Coverage)>) {
        let Some((no, mut coverage)) = coverage else { return };
        for what in [coverage.gap(), coverage.excess()].into_iter().flatten() {
            self.contradiction(format!("revocation log of channel {}", no.0), what);
        }
    }

    fn packages(&mut self) -> Result<(), StoreJobError> {
        let mut packages = self.stream(Kind::Package)?;
        let mut updates = self.stream(Kind::PackageUpdate)?;
        // Places of updates in their package's lists, in order.
        let mut due = [0u16; 2];
        let mut current: Option<PackageRecord> = None;
        while let Some(record) = updates.take(self)? {
            let AnyRecord::Channel(Record::PackageUpdate(update)) = record else { continue };
            let place = (update.source, update.height);
            while let Some(AnyRecord::Channel(Record::Package(package))) = &packages.next
                && (package.source, package.height) <= place
            {
                let Some(AnyRecord::Channel(Record::Package(package))) = packages.take(self)?
                else {
                    break;
                };
                self.package(&package);
                due = [0, 0];
                current = Some(package);
            }
            let package =
                current.as_ref().filter(|package| (package.source, package.height) == place);
            match package {
                Some(package) => self.package_update(package.no, &update, &mut due),
                None if packages.whole => {
                    let key = AnyRecord::Channel(Record::PackageUpdate(update)).key();
                    self.damage(key, "belongs to a package that is not there");
                }
                None => {}
            }
        }
        while let Some(record) = packages.take(self)? {
            if let AnyRecord::Channel(Record::Package(package)) = record {
                self.package(&package);
            }
        }
        Ok(())
    }

    fn package(&mut self, package: &PackageRecord) {
        if package.no.is_some_and(|no| !self.is_known(no)) {
            let key = RecordKey::package(package.source, package.height);
            self.damage(key, "belongs to a channel that is not there");
        }
    }

    fn package_update(
        &mut self,
        no: Option<ChannelNo>,
        update: &PackageUpdateRecord,
        due: &mut [u16; 2],
    ) {
        let key = || AnyRecord::Channel(Record::PackageUpdate(update.clone())).key();
        let [adds, settle_fails] = due;
        let due = match update.list {
            PackageList::Adds => adds,
            PackageList::SettleFails => settle_fails,
        };
        // Updates of a channel that is being cleared go in steps.
        let reclaimed =
            no.and_then(|no| self.channels.get(&no)).is_some_and(|known| known.reclaimed);
        if update.index != *due && !reclaimed {
            self.damage(key(), format!("follows where update {due} is due"));
        }
        *due = update.index.saturating_add(1);
        match (&update.update.body, no) {
            (UpdateBody::Message(_), _) => {}
            (UpdateBody::Add(id), Some(no)) => self.adds.entry(no).or_default().push(*id),
            (UpdateBody::Add(_), None) => {
                self.damage(key(), "refers to an HTLC, but its package is of no channel");
            }
        }
    }

    fn link_nodes(&mut self) -> Result<(), StoreJobError> {
        let mut nodes = HashSet::new();
        let whole = self.each(Kind::LinkNode, |_, record| {
            if let AnyRecord::LinkNode(linknode::Record::LinkNode(node)) = record {
                nodes.insert(node.node_id);
            }
        })?;
        let mut before = None;
        self.each(Kind::LinkAddress, |checker, record| {
            let key = record.key();
            let AnyRecord::LinkNode(linknode::Record::LinkAddress(address)) = record else {
                return;
            };
            let due = match before {
                Some((node, position)) if node == address.node_id => position + 1,
                _ => 0,
            };
            before = Some((address.node_id, u64::from(address.position)));
            if whole && !nodes.contains(&address.node_id) {
                checker.damage(&key, "belongs to a link node that is not there");
            } else if u64::from(address.position) != due {
                checker.damage(&key, format!("follows where position {due} is due"));
            }
        })?;
        Ok(())
    }

    fn meta(&mut self, meta: &MetaRecord) {
        if self.scope == Scope::Import && (meta.name != ORIGIN || &*meta.value != b"lnd") {
            let place = format!("Meta/{}", meta.name.escape_debug());
            self.inconsistency(place, "is not of an import");
        }
    }

    fn residue(&mut self, lnd: &LndRecord) {
        if let Err(fault) = Residue::from_record(lnd) {
            let key = RecordKey::of_bytes(Kind::Lnd, lnd.path.clone());
            self.damage(key, chain(&fault));
        }
    }
}

impl Stream<'_> {
    /// The record that was next, while the one after it is read.
    fn take(&mut self, checker: &mut Checker<'_, '_>) -> Result<Option<AnyRecord>, StoreJobError> {
        let next = match self.records.next() {
            None => None,
            Some(Ok(record)) => {
                self.progress.add(1);
                Some(record)
            }
            Some(Err(error @ BackendError::Corrupt { .. })) => {
                self.whole = false;
                // No key is known to go on after.
                let what =
                    format!("{}; records of this kind from here on were not read", chain(&error));
                checker.damage(format!("{:?}", self.kind), what);
                None
            }
            Some(Err(error)) => return Err(error.into()),
        };
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn number(key: &RecordKey) -> Option<ChannelNo> {
    match key.parts.first() {
        Some(KeyPart::Int(no)) => Some(ChannelNo(*no)),
        _ => None,
    }
}

/// Channel and height of an entry of a revocation log.
fn log_place(record: &AnyRecord) -> Option<(ChannelNo, u64)> {
    match record {
        AnyRecord::Channel(Record::RevokedState(entry)) => Some((entry.no, entry.state.height.0)),
        AnyRecord::Channel(Record::RevokedCommitment(entry)) => Some((entry.no, entry.height.0)),
        _ => None,
    }
}

/// A record by its key; `None` also if it is damaged, which the scan reported.
pub(super) fn one(
    backend: &dyn Backend,
    key: RecordKey,
) -> Result<Option<AnyRecord>, StoreJobError> {
    match pollster::block_on(backend.read(&[key])) {
        Ok(found) => Ok(found.into_iter().flatten().next()),
        Err(BackendError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
