//! A store as lnd would have written it: every bucket and value, in walk order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use channelcoord::{Backend, BackendError, LndRecord, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{
    ChannelRecord, CommitmentRecord, DiffRecord, PackageRecord, PackageUpdateRecord, UpdateBody,
};
use chanstate::{
    ChannelNo, ChannelState, ChannelStatus, Direction, Filter, HtlcKey, LogUpdate, Mark,
    PackageList, PendingCommitment, Record, ShortChannelId, Side, StateFault, add_message,
};
use linknode::{Address, LinkNodeRecord};
use thiserror::Error;

use super::codec::chan_info::ChanInfo;
use super::codec::keys::{bucket as top, channel as key, package as package_key};
use super::codec::revocation::RevocationKeys;
use super::codec::small::{self, OutpointStatus};
use super::codec::{
    EncodeError, close, commitment, keys, link_node, package, revocation_log, update,
};
use super::path::{self, Path};
use super::residue::Residue;
use super::source::{Content, LndEntry};

/// Records read at a time.
const PAGE: usize = 512;

/// Buckets that lnd creates at its first start.
const ALWAYS: [&[u8]; 7] = [
    top::CHANNEL_IDS,
    top::CLOSED_CHANNELS,
    top::PACKAGES,
    top::HISTORICAL_CHANNELS,
    top::LINK_NODES,
    top::OPEN_CHANNELS,
    top::OUTPOINTS,
];

/// Why a store cannot be shown as lnd's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The store cannot be read.
    #[error("store cannot be read")]
    Backend(#[from] BackendError),
    /// A record has no form in lnd.
    #[error("record has no form in lnd")]
    Encode(#[from] EncodeError),
    /// Records contradict each other.
    #[error("records contradict each other")]
    State(#[from] StateFault),
    /// A record is missing that another one refers to.
    #[error("record {0} is missing")]
    Missing(RecordKey),
    /// A filter does not fit its list.
    #[error("filter of package {0}/{1} does not fit")]
    Filter(ShortChannelId, u64),
}

/// Takes entries one by one.
pub type Sink<'a, E> = dyn FnMut(LndEntry) -> Result<(), E> + 'a;

/// Hands every entry of the view to `sink`, in walk order and in flat memory.
///
/// # Errors
/// Any [`ViewError`], or what `sink` returns.
pub fn walk<E: From<ViewError>>(backend: &dyn Backend, sink: &mut Sink<'_, E>) -> Result<(), E> {
    let mut rows = Vec::new();
    each(backend, KeyRange::all(Kind::Channel), |record| {
        if let AnyRecord::Channel(Record::Channel(row)) = record {
            rows.push(row);
        }
        Ok::<_, ViewError>(())
    })?;
    let mut view = View { backend, rows: &rows, sink };
    // Names in the order of their bytes.
    view.channel_ids()?;
    view.opening_states()?;
    view.summaries()?;
    view.final_htlcs()?;
    view.packages()?;
    view.historical_channels()?;
    view.policies()?;
    view.link_nodes()?;
    view.open_channels()?;
    view.outpoints()
}

/// Hands every record of a range to `visit`.
pub(super) fn each<E: From<ViewError>>(
    backend: &dyn Backend,
    mut range: KeyRange,
    mut visit: impl FnMut(AnyRecord) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let page = pollster::block_on(backend.scan(&range, PAGE)).map_err(ViewError::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        let complete = page.len() < PAGE;
        range = range.after(last.key());
        page.into_iter().try_for_each(&mut visit)?;
        if complete {
            return Ok(());
        }
    }
}

/// Peer, chain and outpoint: the keys that lead to an open channel.
type OpenKey = ([u8; 33], [u8; 32], [u8; 36]);

struct View<'a, 's, E> {
    backend: &'a dyn Backend,
    rows: &'a [ChannelRecord],
    sink: &'a mut Sink<'s, E>,
}

impl<E: From<ViewError>> View<'_, '_, E> {
    fn bucket(&mut self, path: &[&[u8]]) -> Result<(), E> {
        (self.sink)(LndEntry { path: to_path(path), content: Content::Bucket(0) })
    }

    fn value(&mut self, path: &[&[u8]], value: impl Into<Bytes>) -> Result<(), E> {
        (self.sink)(LndEntry { path: to_path(path), content: Content::Value(value.into()) })
    }

    /// Emits a top-level bucket if lnd would have it by now.
    fn top(&mut self, name: &[u8], empty: bool) -> Result<(), E> {
        if !empty || ALWAYS.contains(&name) { self.bucket(&[name]) } else { Ok(()) }
    }

    fn is_empty(&self, kind: Kind) -> Result<bool, E> {
        let first = pollster::block_on(self.backend.scan(&KeyRange::all(kind), 1));
        Ok(first.map_err(ViewError::from)?.is_empty())
    }

    fn channel_ids(&mut self) -> Result<(), E> {
        self.top(top::CHANNEL_IDS, false)?;
        let ids: BTreeSet<_> = self.rows.iter().map(|row| row.channel_id.0).collect();
        ids.iter().try_for_each(|id| self.value(&[top::CHANNEL_IDS, id], Bytes::new()))
    }

    fn outpoints(&mut self) -> Result<(), E> {
        self.top(top::OUTPOINTS, false)?;
        for row in by_outpoint(self.rows) {
            let status = if row.closed { OutpointStatus::Closed } else { OutpointStatus::Open };
            let key = keys::encode_outpoint(&row.funding_outpoint);
            self.value(&[top::OUTPOINTS, &key], small::encode_outpoint_status(status))?;
        }
        Ok(())
    }

    fn opening_states(&mut self) -> Result<(), E> {
        self.top(top::OPENING_STATES, self.is_empty(Kind::OpeningState)?)?;
        each(self.backend, KeyRange::all(Kind::OpeningState), |record| match record {
            AnyRecord::Channel(Record::OpeningState(state)) => (self.sink)(LndEntry {
                path: to_path(&[top::OPENING_STATES, &state.key]),
                content: Content::Value(state.value),
            }),
            _ => Ok(()),
        })
    }

    fn policies(&mut self) -> Result<(), E> {
        self.top(top::FORWARDING_POLICIES, self.is_empty(Kind::ForwardingPolicy)?)?;
        each(self.backend, KeyRange::all(Kind::ForwardingPolicy), |record| match record {
            AnyRecord::Channel(Record::ForwardingPolicy(record)) => (self.sink)(LndEntry {
                path: to_path(&[top::FORWARDING_POLICIES, &record.channel_id.0]),
                content: Content::Value(small::encode_forwarding_policy(&record.policy).into()),
            }),
            _ => Ok(()),
        })
    }

    fn final_htlcs(&mut self) -> Result<(), E> {
        self.top(top::FINAL_HTLCS, self.is_empty(Kind::FinalHtlc)?)?;
        let mut current = None;
        each(self.backend, KeyRange::all(Kind::FinalHtlc), |record| {
            let AnyRecord::Channel(Record::FinalHtlc(record)) = record else { return Ok(()) };
            let scid = record.scid.0.to_be_bytes();
            if current.replace(scid) != Some(scid) {
                let path = to_path(&[top::FINAL_HTLCS, &scid]);
                (self.sink)(LndEntry { path, content: Content::Bucket(0) })?;
            }
            (self.sink)(LndEntry {
                path: to_path(&[top::FINAL_HTLCS, &scid, &record.id.0.to_be_bytes()]),
                content: Content::Value(small::encode_final_htlc(record.outcome).into()),
            })
        })
    }

    fn summaries(&mut self) -> Result<(), E> {
        self.top(top::CLOSED_CHANNELS, false)?;
        for row in by_outpoint(self.rows) {
            let record = one(self.backend, RecordKey::single(Kind::Close, row.no))?;
            let Some(AnyRecord::Channel(Record::Close(record))) = record else { continue };
            let key = keys::encode_outpoint(&row.funding_outpoint);
            let value = close::encode(&record.summary).map_err(ViewError::from)?;
            self.value(&[top::CLOSED_CHANNELS, &key], value)?;
        }
        Ok(())
    }

    fn link_nodes(&mut self) -> Result<(), E> {
        self.top(top::LINK_NODES, false)?;
        let backend = self.backend;
        each(backend, KeyRange::all(Kind::LinkNode), |record| {
            let AnyRecord::LinkNode(linknode::Record::LinkNode(record)) = record else {
                return Ok(());
            };
            let node = record.assemble(addresses(backend, &record)?);
            let value = link_node::encode(&node).map_err(ViewError::from)?;
            self.value(&[top::LINK_NODES, &record.node_id.serialize()], value)
        })
    }

    fn historical_channels(&mut self) -> Result<(), E> {
        self.top(top::HISTORICAL_CHANNELS, false)?;
        for row in by_outpoint(self.rows).into_iter().filter(|row| row.closed) {
            let records = ChannelRecords::load(self.backend, row)?;
            if records.state.terms().is_none() {
                continue;
            }
            let outpoint = keys::encode_outpoint(&row.funding_outpoint);
            let values = records.archived(row.status)?;
            self.channel(&[top::HISTORICAL_CHANNELS, &outpoint], values, None)?;
        }
        Ok(())
    }

    fn open_channels(&mut self) -> Result<(), E> {
        self.top(top::OPEN_CHANNELS, false)?;
        let mut rows: BTreeMap<OpenKey, &ChannelRecord> = BTreeMap::new();
        for row in self.rows {
            let outpoint = keys::encode_outpoint(&row.funding_outpoint);
            rows.insert((row.peer.serialize(), *row.chain.as_bytes(), outpoint), row);
        }
        let (mut peer_before, mut chain_before) = (None, None);
        for ((peer, chain, outpoint), row) in rows {
            let path: [&[u8]; 4] = [top::OPEN_CHANNELS, &peer, &chain, &outpoint];
            if row.closed && !self.has_open_copy(&path)? {
                continue;
            }
            if peer_before.replace(peer) != Some(peer) {
                self.bucket(&[top::OPEN_CHANNELS, &peer])?;
                chain_before = None;
            }
            if chain_before.replace(chain) != Some(chain) {
                self.bucket(&[top::OPEN_CHANNELS, &peer, &chain])?;
            }
            let records = ChannelRecords::load(self.backend, row)?;
            let values = records.live(self.open_status(row)?)?;
            self.channel(&path, values, Some(row.no))?;
        }
        Ok(())
    }

    /// Status of a channel's copy among the open ones.
    fn open_status(&self, row: &ChannelRecord) -> Result<ChannelStatus, E> {
        if !row.closed {
            return Ok(row.status);
        }
        Ok(match one(self.backend, RecordKey::single(Kind::Close, row.no))? {
            Some(AnyRecord::Channel(Record::Close(close))) => close.status_before,
            _ => row.status,
        })
    }

    fn has_open_copy(&self, path: &[&[u8]]) -> Result<bool, E> {
        let key = path::to_sort_key(&to_path(path));
        let record = one(self.backend, RecordKey::of_bytes(Kind::Lnd, key))?;
        Ok(matches!(record, Some(AnyRecord::Lnd(LndRecord { .. }))))
    }

    /// Emits a channel bucket; `logs` names the channel whose logs are in it.
    fn channel(
        &mut self,
        path: &[&[u8]],
        values: BTreeMap<&'static [u8], Vec<u8>>,
        logs: Option<ChannelNo>,
    ) -> Result<(), E> {
        self.bucket(path)?;
        let before_logs = values.range(..key::REVOCATION_LOG);
        for (name, value) in before_logs {
            self.value(&join(path, name), value.clone())?;
        }
        if let Some(no) = logs {
            self.log(&join(path, key::REVOCATION_LOG), Kind::RevokedState, no)?;
            self.log(&join(path, key::DEPRECATED_LOG), Kind::RevokedCommitment, no)?;
        }
        for (name, value) in values.range(key::REVOCATION_LOG..) {
            self.value(&join(path, name), value.clone())?;
        }
        Ok(())
    }

    fn log(&mut self, path: &[&[u8]], kind: Kind, no: ChannelNo) -> Result<(), E> {
        let mut first = true;
        each(self.backend, KeyRange::under(kind, [no.0]), |record| {
            let (height, value) = match record {
                AnyRecord::Channel(Record::RevokedState(record)) => {
                    (record.state.height, revocation_log::encode(&record.state))
                }
                AnyRecord::Channel(Record::RevokedCommitment(record)) => {
                    (record.height, revocation_log::encode_deprecated(&record.revoked))
                }
                _ => return Ok(()),
            };
            if std::mem::take(&mut first) {
                self.bucket(path)?;
            }
            let value = value.map_err(ViewError::from)?;
            self.value(&join(path, &height.0.to_be_bytes()), value)
        })
    }

    fn packages(&mut self) -> Result<(), E> {
        self.top(top::PACKAGES, false)?;
        let by_no: HashMap<ChannelNo, &ChannelRecord> =
            self.rows.iter().map(|row| (row.no, row)).collect();
        let mut current = None;
        let backend = self.backend;
        each(backend, KeyRange::all(Kind::Package), |record| {
            let AnyRecord::Channel(Record::Package(package)) = record else { return Ok(()) };
            let source = package.source.0.to_be_bytes();
            if current.replace(source) != Some(source) {
                self.bucket(&[top::PACKAGES, &source])?;
            }
            let channel = package.no.and_then(|no| by_no.get(&no).copied());
            self.package(&package, channel)
        })
    }

    fn package(
        &mut self,
        package: &PackageRecord,
        channel: Option<&ChannelRecord>,
    ) -> Result<(), E> {
        let (source, height) = (package.source.0.to_be_bytes(), package.height.0.to_be_bytes());
        let path: [&[u8]; 3] = [top::PACKAGES, &source, &height];
        let mut updates = Vec::new();
        let range = KeyRange::under(Kind::PackageUpdate, [package.source.0, package.height.0]);
        each(self.backend, range, |record| {
            if let AnyRecord::Channel(Record::PackageUpdate(update)) = record {
                updates.push(update);
            }
            Ok::<_, ViewError>(())
        })?;
        let filter = |list| filter_of(package, &updates, list);
        let ack = filter(PackageList::Adds)?;
        let settle_fail = filter(PackageList::SettleFails)?;

        self.bucket(&path)?;
        self.value(&join(&path, package_key::ACK_FILTER), package::encode_filter(&ack))?;
        let lists = [
            (package_key::ADDS, PackageList::Adds),
            (package_key::SETTLE_FAILS, PackageList::SettleFails),
        ];
        for (name, list) in lists {
            let path = join(&path, name);
            self.bucket(&path)?;
            for update in updates.iter().filter(|update| update.list == list) {
                let value = log_update(self.backend, update, channel)?;
                let value = update::encode(&value).map_err(ViewError::from)?;
                self.value(&join(&path, &update.index.to_be_bytes()), value)?;
            }
        }
        if let Some(forward) = &package.forward_filter {
            self.value(&join(&path, package_key::FORWARD_FILTER), package::encode_filter(forward))?;
        }
        let value = package::encode_filter(&settle_fail);
        self.value(&join(&path, package_key::SETTLE_FAIL_FILTER), value)
    }
}

/// Which updates of a list are acknowledged.
fn filter_of(
    package: &PackageRecord,
    updates: &[PackageUpdateRecord],
    list: PackageList,
) -> Result<Filter, ViewError> {
    let fault = || ViewError::Filter(package.source, package.height.0);
    let updates: Vec<_> = updates.iter().filter(|update| update.list == list).collect();
    let count = u16::try_from(updates.len()).map_err(|_| fault())?;
    let mut acked = updates.iter().filter(|update| update.acked);
    acked.try_fold(Filter::empty(count), |filter, update| {
        filter.with(update.index).ok_or_else(fault)
    })
}

/// A package's update with its message.
fn log_update(
    backend: &dyn Backend,
    update: &PackageUpdateRecord,
    channel: Option<&ChannelRecord>,
) -> Result<LogUpdate, ViewError> {
    let log_index = update.update.log_index;
    let id = match &update.update.body {
        UpdateBody::Message(message) => {
            return Ok(LogUpdate { log_index, message: message.clone() });
        }
        UpdateBody::Add(id) => *id,
    };
    let no = channel.map_or(ChannelNo(0), |channel| channel.no);
    let key = RecordKey::htlc(no, HtlcKey { direction: Direction::Incoming, id });
    let htlc = one::<ViewError>(backend, key.clone())?;
    match (channel, htlc) {
        (Some(channel), Some(AnyRecord::Channel(Record::Htlc(htlc)))) => {
            let message = add_message(channel.channel_id, id, &htlc.terms);
            let message = message.ok_or(ViewError::State(StateFault::Message(key)))?;
            Ok(LogUpdate { log_index, message })
        }
        _ => Err(ViewError::Missing(key)),
    }
}

/// Everything of one channel that its bucket shows, but its logs.
struct ChannelRecords {
    state: ChannelState,
    /// The peer's commitment that is not the current one.
    next: Option<CommitmentRecord>,
    diff: Option<DiffRecord>,
    marks: Vec<Mark>,
}

impl ChannelRecords {
    fn load(backend: &dyn Backend, row: &ChannelRecord) -> Result<ChannelRecords, ViewError> {
        let mut records = ChannelRecords {
            state: ChannelState::new(row.clone()),
            next: None,
            diff: None,
            marks: Vec::new(),
        };
        let kinds = [
            Kind::Terms,
            Kind::Commitment,
            Kind::Diff,
            Kind::Htlc,
            Kind::UpdateList,
            Kind::Secret,
            Kind::Mark,
        ];
        for kind in kinds {
            each(backend, KeyRange::under(kind, [row.no.0]), |record| {
                let AnyRecord::Channel(record) = record else { return Ok(()) };
                records.state.put(&record);
                match record {
                    Record::Commitment(commitment)
                        if commitment.side == Side::Remote
                            && Some(commitment.height) != row.remote_height =>
                    {
                        records.next = Some(commitment);
                    }
                    Record::Diff(diff) => records.diff = Some(diff),
                    Record::Mark(mark) => records.marks.push(mark.mark),
                    _ => {}
                }
                Ok::<_, ViewError>(())
            })?;
        }
        Ok(records)
    }

    /// What lnd archives of a closed channel.
    fn archived(
        &self,
        status: ChannelStatus,
    ) -> Result<BTreeMap<&'static [u8], Vec<u8>>, ViewError> {
        let state = &self.state;
        let mut values: BTreeMap<&'static [u8], Vec<u8>> = BTreeMap::new();
        let Some(terms) = state.terms() else { return Ok(values) };
        let row = ChannelRecord { status, ..state.row().clone() };
        values.insert(key::INFO, ChanInfo::from_parts(&row, terms).encode()?);
        for (name, record) in
            [(key::LOCAL_COMMITMENT, state.local()), (key::REMOTE_COMMITMENT, state.remote())]
        {
            if let Some(record) = record {
                values.insert(name, commitment::encode(&state.commitment(record)?)?);
            }
        }
        let revocation = RevocationKeys {
            current_point: row.remote_current_point,
            root: terms.revocation_root,
            secrets: state.secrets()?,
            next_point: row.remote_next_point,
        };
        values.insert(key::REVOCATION_STATE, revocation.encode());
        if let Some(height) = terms.thaw_height {
            values.insert(key::THAW_HEIGHT, small::encode_thaw_height(height));
        }
        if let Some(script) = &terms.local_upfront_shutdown {
            values.insert(key::LOCAL_UPFRONT_SHUTDOWN, small::encode_upfront_shutdown(script)?);
        }
        if let Some(script) = &terms.remote_upfront_shutdown {
            values.insert(key::REMOTE_UPFRONT_SHUTDOWN, small::encode_upfront_shutdown(script)?);
        }
        Ok(values)
    }

    /// What lnd keeps of a channel among the open ones.
    fn live(&self, status: ChannelStatus) -> Result<BTreeMap<&'static [u8], Vec<u8>>, ViewError> {
        let state = &self.state;
        let mut values = self.archived(status)?;
        if let (Some(next), Some(diff)) = (&self.next, &self.diff) {
            let pending = PendingCommitment {
                commitment: state.commitment(next)?,
                commit_sig: diff.commit_sig.clone(),
                updates: state.updates(&diff.updates, Direction::Outgoing)?,
                opened_circuits: diff.opened_circuits.clone(),
                closed_circuits: diff.closed_circuits.clone(),
            };
            values.insert(key::COMMIT_DIFF, commitment::encode_diff(&pending)?);
        }
        let lists = [
            (key::UNSIGNED_ACKED_UPDATES, chanstate::record::ListKind::UnsignedAcked),
            (key::REMOTE_UNSIGNED_LOCAL_UPDATES, chanstate::record::ListKind::RemoteUnsignedLocal),
        ];
        for (name, list) in lists {
            if let Some(updates) = state.list(list) {
                let updates = state.updates(updates, list.direction())?;
                values.insert(name, update::encode_list(&updates)?);
            }
        }
        if let Some(flag) = state.row().last_was_revoke {
            values.insert(key::LAST_WAS_REVOKE, small::encode_last_was_revoke(flag));
        }
        for mark in &self.marks {
            match mark {
                Mark::Shutdown(info) => {
                    values.insert(key::SHUTDOWN_INFO, small::encode_shutdown_info(info));
                }
                Mark::DataLossPoint(point) => {
                    values.insert(key::DATA_LOSS_POINT, small::encode_public_key(point));
                }
                Mark::BroadcastCommitment(tx) => {
                    values.insert(key::CLOSING_TX, small::encode_transaction(tx));
                }
                Mark::BroadcastCooperative(tx) => {
                    values.insert(key::COOP_CLOSING_TX, small::encode_transaction(tx));
                }
            }
        }
        Ok(values)
    }
}

fn addresses(backend: &dyn Backend, record: &LinkNodeRecord) -> Result<Vec<Address>, ViewError> {
    let mut addresses = Vec::new();
    each(backend, linknode::addresses_of(&record.node_id), |record| {
        if let AnyRecord::LinkNode(linknode::Record::LinkAddress(record)) = record {
            addresses.push(record.address);
        }
        Ok::<_, ViewError>(())
    })?;
    Ok(addresses)
}

fn one<E: From<ViewError>>(backend: &dyn Backend, key: RecordKey) -> Result<Option<AnyRecord>, E> {
    let found = pollster::block_on(backend.read(&[key])).map_err(ViewError::from)?;
    Ok(found.into_iter().flatten().next())
}

fn by_outpoint(rows: &[ChannelRecord]) -> Vec<&ChannelRecord> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| keys::encode_outpoint(&row.funding_outpoint));
    rows
}

fn to_path(path: &[&[u8]]) -> Path {
    path.iter().map(|name| name.to_vec()).collect()
}

fn join<'a>(path: &[&'a [u8]], name: &'a [u8]) -> Vec<&'a [u8]> {
    path.iter().copied().chain([name]).collect()
}

/// Hands the view with the residue put in place to `sink`: the source, if nothing was lost.
///
/// # Errors
/// As [`walk`].
pub fn walk_with_residue<E: From<ViewError>>(
    backend: &dyn Backend,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let mut residues = Residues { backend, page: Vec::new().into_iter(), after: None, end: false };
    let mut waiting = residues.next()?;
    walk(backend, &mut |entry: LndEntry| {
        while let Some((path, residue)) = waiting.take_if(|(path, _)| *path < entry.path) {
            residue.apply(path, None).into_iter().try_for_each(&mut *sink)?;
            waiting = residues.next()?;
        }
        match waiting.take_if(|(path, _)| *path == entry.path) {
            None => sink(entry),
            Some((path, residue)) => {
                waiting = residues.next()?;
                residue.apply(path, Some(entry.content)).into_iter().try_for_each(&mut *sink)
            }
        }
    })?;
    while let Some((path, residue)) = waiting {
        residue.apply(path, None).into_iter().try_for_each(&mut *sink)?;
        waiting = residues.next()?;
    }
    Ok(())
}

/// Stored residues in walk order.
struct Residues<'a> {
    backend: &'a dyn Backend,
    page: std::vec::IntoIter<AnyRecord>,
    after: Option<RecordKey>,
    end: bool,
}

impl Residues<'_> {
    fn next(&mut self) -> Result<Option<(Path, Residue)>, ViewError> {
        loop {
            if let Some(record) = self.page.next() {
                self.after = Some(record.key());
                let AnyRecord::Lnd(lnd) = record else { continue };
                let residue = Residue::from_record(&lnd).map_err(|fault| {
                    let record = RecordKey::of_bytes(Kind::Lnd, lnd.path.clone()).to_string();
                    BackendError::Corrupt { record, cause: std::sync::Arc::new(fault) }
                })?;
                return Ok(Some(residue));
            }
            if self.end {
                return Ok(None);
            }
            let range = KeyRange::all(Kind::Lnd);
            let range = match self.after.clone() {
                Some(after) => range.after(after),
                None => range,
            };
            let page = pollster::block_on(self.backend.scan(&range, PAGE))?;
            self.end = page.len() < PAGE;
            self.page = page.into_iter();
        }
    }
}
