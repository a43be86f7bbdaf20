//! A store as lnd would have written it: every bucket and value, in walk order.

mod channel;
mod overlay;
mod package;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use channelcoord::{Backend, BackendError, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{
    ChannelNo, ChannelStatus, CommitmentHeight, Record, RevokedState, ShortChannelId, StateFault,
};
use linknode::{Address, LinkNodeRecord};
use thiserror::Error;

use self::channel::ChannelRecords;
pub use self::overlay::walk_with_residue;
use super::codec::keys::{bucket as top, channel as key};
use super::codec::small::{self, OutpointStatus};
use super::codec::{EncodeError, close, keys, link_node, revocation_log};
use super::path::{self, Path};
use super::source::{Content, LndEntry};
use crate::records::Records;

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
    /// A revoked state says more than its form in lnd.
    #[error("revoked state {0} holds more than its form in lnd")]
    Hidden(CommitmentHeight),
    /// A filter does not fit its list.
    #[error("filter of package {0}/{1} does not fit")]
    Filter(ShortChannelId, u64),
}

/// Takes entries one by one.
pub type Sink<'a, E> = dyn FnMut(LndEntry) -> Result<(), E> + 'a;

/// Takes places that cannot be shown, with all that would be in them, and why.
pub type Faults<'a> = dyn FnMut(Path, ViewError) + 'a;

/// Hands every entry of the view to `sink`, in walk order and in flat memory.
///
/// # Errors
/// Any [`ViewError`], or what `sink` returns.
pub fn walk<E: From<ViewError>>(backend: &dyn Backend, sink: &mut Sink<'_, E>) -> Result<(), E> {
    walk_through(backend, None, sink)
}

/// As [`walk`], but goes on behind what cannot be shown if there is somebody to tell.
///
/// # Errors
/// As [`walk`]; with `faults`, `Backend` if the store is unavailable, or what `sink` returns.
pub fn walk_through<E: From<ViewError>>(
    backend: &dyn Backend,
    faults: Option<&mut Faults<'_>>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let mut rows = Vec::new();
    let read = each(backend, KeyRange::all(Kind::Channel), |record| {
        if let AnyRecord::Channel(Record::Channel(row)) = record {
            rows.push(row);
        }
        Ok::<_, ViewError>(())
    });
    let mut view = View { backend, rows: &rows, faults, sink };
    if view.shown(&[], read)?.is_none() {
        return Ok(());
    }
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
fn each(
    backend: &dyn Backend,
    range: KeyRange,
    mut visit: impl FnMut(AnyRecord) -> Result<(), ViewError>,
) -> Result<(), ViewError> {
    Records::new(backend, range).try_for_each(|record| visit(record?))
}

/// Peer, chain and outpoint: the keys that lead to an open channel.
type OpenKey = ([u8; 33], [u8; 32], [u8; 36]);

struct View<'a, 's, 'f, E> {
    backend: &'a dyn Backend,
    rows: &'a [ChannelRecord],
    faults: Option<&'a mut Faults<'f>>,
    sink: &'a mut Sink<'s, E>,
}

impl<E: From<ViewError>> View<'_, '_, '_, E> {
    fn bucket(&mut self, path: &[&[u8]]) -> Result<(), E> {
        (self.sink)(LndEntry { path: to_path(path), content: Content::Bucket(0) })
    }

    fn value(&mut self, path: &[&[u8]], value: impl Into<Bytes>) -> Result<(), E> {
        (self.sink)(LndEntry { path: to_path(path), content: Content::Value(value.into()) })
    }

    /// What could be made of records, or nothing where somebody was told why not.
    fn shown<T>(&mut self, path: &[&[u8]], made: Result<T, ViewError>) -> Result<Option<T>, E> {
        match (made, &mut self.faults) {
            (Ok(made), _) => Ok(Some(made)),
            (Err(error @ ViewError::Backend(BackendError::Unavailable(_))), _) => Err(error.into()),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(faults)) => {
                faults(to_path(path), error);
                Ok(None)
            }
        }
    }

    /// Hands every record of a range to `visit`. The range shows in the bucket at `path`.
    fn each(
        &mut self,
        path: &[&[u8]],
        range: KeyRange,
        mut visit: impl FnMut(&mut Self, AnyRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        for record in Records::new(self.backend, range) {
            let record = record.map_err(ViewError::from);
            let Some(record) = self.shown(path, record)? else { return Ok(()) };
            visit(self, record)?;
        }
        Ok(())
    }

    /// Emits a top-level bucket if lnd would have it by now.
    fn top(&mut self, name: &[u8], empty: bool) -> Result<(), E> {
        if !empty || ALWAYS.contains(&name) { self.bucket(&[name]) } else { Ok(()) }
    }

    fn is_empty(&mut self, path: &[&[u8]], kind: Kind) -> Result<bool, E> {
        let first = pollster::block_on(self.backend.scan(&KeyRange::all(kind), 1));
        let first = self.shown(path, first.map_err(ViewError::from))?;
        Ok(first.is_none_or(|first| first.is_empty()))
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
        let is_empty = self.is_empty(&[top::OPENING_STATES], Kind::OpeningState)?;
        self.top(top::OPENING_STATES, is_empty)?;
        let range = KeyRange::all(Kind::OpeningState);
        self.each(&[top::OPENING_STATES], range, |view, record| match record {
            AnyRecord::Channel(Record::OpeningState(state)) => (view.sink)(LndEntry {
                path: to_path(&[top::OPENING_STATES, &state.key]),
                content: Content::Value(state.value),
            }),
            _ => Ok(()),
        })
    }

    fn policies(&mut self) -> Result<(), E> {
        let is_empty = self.is_empty(&[top::FORWARDING_POLICIES], Kind::ForwardingPolicy)?;
        self.top(top::FORWARDING_POLICIES, is_empty)?;
        let range = KeyRange::all(Kind::ForwardingPolicy);
        self.each(&[top::FORWARDING_POLICIES], range, |view, record| match record {
            AnyRecord::Channel(Record::ForwardingPolicy(record)) => (view.sink)(LndEntry {
                path: to_path(&[top::FORWARDING_POLICIES, &record.channel_id.0]),
                content: Content::Value(small::encode_forwarding_policy(&record.policy).into()),
            }),
            _ => Ok(()),
        })
    }

    fn final_htlcs(&mut self) -> Result<(), E> {
        let is_empty = self.is_empty(&[top::FINAL_HTLCS], Kind::FinalHtlc)?;
        self.top(top::FINAL_HTLCS, is_empty)?;
        let mut current = None;
        self.each(&[top::FINAL_HTLCS], KeyRange::all(Kind::FinalHtlc), |view, record| {
            let AnyRecord::Channel(Record::FinalHtlc(record)) = record else { return Ok(()) };
            let scid = record.scid.0.to_be_bytes();
            if current.replace(scid) != Some(scid) {
                let path = to_path(&[top::FINAL_HTLCS, &scid]);
                (view.sink)(LndEntry { path, content: Content::Bucket(0) })?;
            }
            (view.sink)(LndEntry {
                path: to_path(&[top::FINAL_HTLCS, &scid, &record.id.0.to_be_bytes()]),
                content: Content::Value(small::encode_final_htlc(record.outcome).into()),
            })
        })
    }

    fn summaries(&mut self) -> Result<(), E> {
        self.top(top::CLOSED_CHANNELS, false)?;
        for row in by_outpoint(self.rows) {
            let key = keys::encode_outpoint(&row.funding_outpoint);
            let path: [&[u8]; 2] = [top::CLOSED_CHANNELS, &key];
            let record = one(self.backend, RecordKey::single(Kind::Close, row.no));
            let Some(record) = self.shown(&path, record)? else { continue };
            let Some(AnyRecord::Channel(Record::Close(record))) = record else { continue };
            let value = close::encode(&record.summary).map_err(ViewError::from);
            let Some(value) = self.shown(&path, value)? else { continue };
            self.value(&path, value)?;
        }
        Ok(())
    }

    fn link_nodes(&mut self) -> Result<(), E> {
        self.top(top::LINK_NODES, false)?;
        self.each(&[top::LINK_NODES], KeyRange::all(Kind::LinkNode), |view, record| {
            let AnyRecord::LinkNode(linknode::Record::LinkNode(record)) = record else {
                return Ok(());
            };
            let node_id = record.node_id.serialize();
            let path: [&[u8]; 2] = [top::LINK_NODES, &node_id];
            let value = addresses(view.backend, &record)
                .and_then(|addresses| Ok(link_node::encode(&record.assemble(addresses))?));
            match view.shown(&path, value)? {
                Some(value) => view.value(&path, value),
                None => Ok(()),
            }
        })
    }

    fn historical_channels(&mut self) -> Result<(), E> {
        self.top(top::HISTORICAL_CHANNELS, false)?;
        for row in by_outpoint(self.rows).into_iter().filter(|row| row.closed) {
            let outpoint = keys::encode_outpoint(&row.funding_outpoint);
            let path: [&[u8]; 2] = [top::HISTORICAL_CHANNELS, &outpoint];
            let values = ChannelRecords::load(self.backend, row).and_then(|records| {
                let is_kept = records.state.terms().is_some();
                is_kept.then(|| records.archived(row.status)).transpose()
            });
            if let Some(values) = self.shown(&path, values)?.flatten() {
                self.channel(&path, values, None)?;
            }
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
            if row.closed {
                let has_open_copy = has_open_copy(self.backend, &path);
                if !self.shown(&path, has_open_copy)?.unwrap_or_default() {
                    continue;
                }
            }
            if peer_before.replace(peer) != Some(peer) {
                self.bucket(&[top::OPEN_CHANNELS, &peer])?;
                chain_before = None;
            }
            if chain_before.replace(chain) != Some(chain) {
                self.bucket(&[top::OPEN_CHANNELS, &peer, &chain])?;
            }
            let values = ChannelRecords::load(self.backend, row)
                .and_then(|records| records.live(open_status(self.backend, row)?));
            if let Some(values) = self.shown(&path, values)? {
                self.channel(&path, values, Some(row.no))?;
            }
        }
        Ok(())
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
        self.each(path, KeyRange::under(kind, [no.0]), |view, record| {
            let (height, value) = match record {
                AnyRecord::Channel(Record::RevokedState(record)) => {
                    (record.state.height, log_entry(&record.state))
                }
                AnyRecord::Channel(Record::RevokedCommitment(record)) => {
                    let value = revocation_log::encode_deprecated(&record.revoked);
                    (record.height, value.map_err(ViewError::from))
                }
                _ => return Ok(()),
            };
            if std::mem::take(&mut first) {
                view.bucket(path)?;
            }
            let height = height.0.to_be_bytes();
            let path = join(path, &height);
            match view.shown(&path, value)? {
                Some(value) => view.value(&path, value),
                None => Ok(()),
            }
        })
    }
}

/// An entry of a revocation log. What makes no difference to its bytes would not show.
fn log_entry(state: &RevokedState) -> Result<Vec<u8>, ViewError> {
    let value = revocation_log::encode(state)?;
    let is_whole = state.residue.is_empty()
        || revocation_log::decode(state.height, value.clone().into()).is_ok_and(|it| it == *state);
    if is_whole { Ok(value) } else { Err(ViewError::Hidden(state.height)) }
}

/// Status of a channel's copy among the open ones.
fn open_status(backend: &dyn Backend, row: &ChannelRecord) -> Result<ChannelStatus, ViewError> {
    if !row.closed {
        return Ok(row.status);
    }
    Ok(match one(backend, RecordKey::single(Kind::Close, row.no))? {
        Some(AnyRecord::Channel(Record::Close(close))) => close.status_before,
        _ => row.status,
    })
}

fn has_open_copy(backend: &dyn Backend, path: &[&[u8]]) -> Result<bool, ViewError> {
    let key = path::to_sort_key(&to_path(path));
    let record = one(backend, RecordKey::of_bytes(Kind::Lnd, key))?;
    Ok(matches!(record, Some(AnyRecord::Lnd(_))))
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

fn one(backend: &dyn Backend, key: RecordKey) -> Result<Option<AnyRecord>, ViewError> {
    let found = pollster::block_on(backend.read(&[key]))?;
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
