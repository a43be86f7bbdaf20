//! Writes an lnd database into a store.

use std::collections::{BTreeSet, HashMap, HashSet};

use bitcoin::OutPoint;
use bytes::Bytes;
use channelcoord::{ChangeSet, MetaRecord, Record as AnyRecord};
use chanstate::record::{ChannelRecord, CloseRecord};
use chanstate::transition::{self, Imported};
use chanstate::{
    ChannelChange, ChannelNo, ChannelState, ChannelStatus, CommitmentHeight, FinalHtlcRecord,
    ForwardingPolicyRecord, OpeningStateRecord, Record, Rejection, ShortChannelId, Version,
};
use linknode::LinkNodeChange;
use thiserror::Error;

use super::channel::{ChannelFault, ChannelParts, ChannelPlace, decode_log_entry, read_values};
use super::closed::{Statuses, row_of_summary};
use super::codec::chan_info::ChanInfo;
use super::codec::keys::{bucket as top, channel as key};
use super::codec::{LndError, close, keys, link_node, small};
use super::package::{PackageFault, read_package};
use super::residue::Residue;
use super::source::{LndSource, Refused};
use super::tree::{Bucket, Entry, ReadError};
use crate::progress::Progress;
use crate::writer::{WriteError, Writer};

/// Meta record that tells where a store's content came from.
pub const ORIGIN: &str = "origin";

/// Why an import stopped. What was written so far is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source cannot be read.
    #[error("source cannot be read")]
    Read(#[from] ReadError),
    /// The target cannot be written.
    #[error("target cannot be written")]
    Write(#[from] WriteError),
    /// A key of a bucket does not decode, although the check let it pass.
    #[error("key does not decode")]
    Key(#[from] LndError),
    /// A channel cannot be taken over, although the check let it pass.
    #[error("channel {outpoint}")]
    Channel {
        /// Its funding outpoint.
        outpoint: OutPoint,
        /// What is wrong.
        #[source]
        fault: Box<ChannelFault>,
    },
    /// A forwarding package cannot be taken over, although the check let it pass.
    #[error("forwarding package {source_scid}/{height}")]
    Package {
        /// Its source.
        source_scid: ShortChannelId,
        /// Its height.
        height: CommitmentHeight,
        /// What is wrong.
        #[source]
        fault: Box<PackageFault>,
    },
    /// A record is more than a store can hold.
    #[error("record cannot be stored")]
    Storage(#[from] Rejection),
}

/// Writes every record of `source` that is not refused.
///
/// # Errors
/// Any [`ImportError`].
pub fn import(
    source: &LndSource,
    refused: &Refused,
    writer: &mut Writer<'_>,
    progress: &Progress,
) -> Result<(), ImportError> {
    let mut import = Import {
        source,
        refused,
        writer,
        progress,
        numbers: HashMap::new(),
        statuses: Statuses::read(source, refused)?,
        statuses_before: HashMap::new(),
        sources: HashMap::new(),
        next_no: 1,
    };
    import.open_channels()?;
    import.historical_channels()?;
    import.summaries()?;
    import.orphaned_packages()?;
    import.link_nodes()?;
    import.small_records()?;
    let origin = MetaRecord { name: ORIGIN.into(), value: Bytes::from_static(b"lnd") };
    import.writer.put(AnyRecord::Meta(origin))?;
    import.writer.flush()?;
    Ok(())
}

struct Import<'a, 'w> {
    source: &'a LndSource,
    refused: &'a Refused,
    writer: &'a mut Writer<'w>,
    progress: &'a Progress,
    numbers: HashMap<OutPoint, ChannelNo>,
    statuses: Statuses,
    /// Status in the open copy of a channel that is closed.
    statuses_before: HashMap<OutPoint, ChannelStatus>,
    /// Packages that were taken over with their channel, by source.
    sources: HashMap<ShortChannelId, ChannelNo>,
    next_no: u64,
}

impl Import<'_, '_> {
    fn bucket(&self, path: &[&[u8]]) -> Result<Option<Bucket<'_>>, ReadError> {
        self.source.bucket(path, self.refused)
    }

    fn open_channels(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        let Some(peers) = source.bucket(&[top::OPEN_CHANNELS], refused)? else { return Ok(()) };
        for_each_bucket(&peers, refused, |peer| {
            for_each_bucket(&peer, refused, |chain| {
                for_each_bucket(&chain, refused, |bucket| {
                    let place = ChannelPlace {
                        outpoint: keys::decode_outpoint(bucket.name())?,
                        peer: Some(keys::decode_node_id(peer.name())?),
                        chain: Some(keys::decode_chain(chain.name())?),
                    };
                    self.open_channel(&bucket, place)
                })
            })
        })
    }

    fn open_channel(
        &mut self,
        bucket: &Bucket<'_>,
        place: ChannelPlace,
    ) -> Result<(), ImportError> {
        let outpoint = place.outpoint;
        let closed = self.statuses.is_closed(self.source, self.refused, &outpoint)?;
        let (no, parts) = self.read_channel(bucket, place)?;
        let scids: BTreeSet<_> = [Some(parts.info.scid), parts.info.confirmed_scid]
            .into_iter()
            .flatten()
            .filter(|scid| scid.0 != 0)
            .collect();
        let (row, imported) = parts.into_import(no, closed);
        if closed {
            self.statuses_before.insert(outpoint, row.status);
            self.writer.put(Residue::OpenCopy.to_record(&bucket.path()))?;
        }
        let row = self.row_at_close(row)?;
        let state = self.create(row, imported)?;
        for (name, deprecated) in [(key::REVOCATION_LOG, false), (key::DEPRECATED_LOG, true)] {
            self.log(bucket, name, deprecated, no)?;
        }
        let mut seen = HashSet::new();
        for scid in scids {
            self.packages_of(scid, &state, &mut seen)?;
        }
        Ok(())
    }

    /// A closed channel that lnd keeps among the open ones has in its historical copy the status
    /// that the close left; that of its open copy goes to the close record.
    fn row_at_close(&self, mut row: ChannelRecord) -> Result<ChannelRecord, ReadError> {
        let outpoint = keys::encode_outpoint(&row.funding_outpoint);
        let summary = self.bucket(&[top::CLOSED_CHANNELS])?;
        let summary = summary.map(|bucket| bucket.value(&outpoint)).transpose()?.flatten();
        let refused = [top::CLOSED_CHANNELS.to_vec(), outpoint.to_vec()];
        if !row.closed || summary.is_none() || self.refused.contains(&refused) {
            return Ok(row);
        }
        let historical = self.bucket(&[top::HISTORICAL_CHANNELS, &outpoint])?;
        let info = historical.map(|bucket| bucket.value(key::INFO)).transpose()?.flatten();
        let status = info.and_then(|info| ChanInfo::decode(info.into()).ok()).map(|i| i.status);
        // Whether there is a funding transaction follows from this bit.
        let is_shell = |status: ChannelStatus| status.contains(ChannelStatus::RESTORED);
        if let Some(status) = status.filter(|status| is_shell(*status) == is_shell(row.status)) {
            row.status = status;
        }
        Ok(row)
    }

    fn historical_channels(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        let historical = source.bucket(&[top::HISTORICAL_CHANNELS], refused)?;
        let Some(historical) = historical else { return Ok(()) };
        for_each_bucket(&historical, refused, |bucket| {
            let outpoint = keys::decode_outpoint(bucket.name())?;
            if self.numbers.contains_key(&outpoint) {
                return Ok(());
            }
            let place = ChannelPlace { outpoint, peer: None, chain: None };
            let (no, parts) = self.read_channel(&bucket, place)?;
            // What lnd does not archive has no record; the residue keeps its bytes.
            let (row, imported) = parts.archived().into_import(no, true);
            self.create(row, imported).map(drop)
        })
    }

    fn summaries(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        for_each_value(source.bucket(&[top::CLOSED_CHANNELS], refused)?, refused, |key, value| {
            let outpoint = keys::decode_outpoint(&key)?;
            let summary = close::decode(value)?;
            let no = match self.numbers.get(&outpoint) {
                Some(no) => *no,
                None => {
                    let no = self.assign(outpoint);
                    let row = row_of_summary(no, outpoint, &summary);
                    self.create(row, Imported::default())?;
                    no
                }
            };
            let status_before = self.statuses_before.get(&outpoint).copied().unwrap_or_default();
            let close = CloseRecord { no, status_before, summary };
            self.put(Record::Close(close))
        })
    }

    fn read_channel(
        &mut self,
        bucket: &Bucket<'_>,
        place: ChannelPlace,
    ) -> Result<(ChannelNo, ChannelParts), ImportError> {
        let fail =
            |fault| ImportError::Channel { outpoint: place.outpoint, fault: Box::new(fault) };
        let parts = ChannelParts::decode(read_values(bucket)?).map_err(fail)?;
        parts.require_identity(&place).map_err(fail)?;
        Ok((self.assign(place.outpoint), parts))
    }

    fn assign(&mut self, outpoint: OutPoint) -> ChannelNo {
        let no = ChannelNo(self.next_no);
        self.next_no += 1;
        self.numbers.insert(outpoint, no);
        no
    }

    /// Writes a channel without its logs; returns its state.
    fn create(
        &mut self,
        row: ChannelRecord,
        imported: Imported,
    ) -> Result<ChannelState, ImportError> {
        let state = ChannelState::new(row.clone());
        let change = transition::import(row, imported)?;
        let mut state = state;
        state.apply(&change);
        self.progress.add(change.puts().len());
        self.writer.add(ChangeSet { channels: vec![change], ..ChangeSet::default() })?;
        Ok(state)
    }

    fn log(
        &mut self,
        channel: &Bucket<'_>,
        name: &[u8],
        deprecated: bool,
        no: ChannelNo,
    ) -> Result<(), ImportError> {
        let log = channel.bucket(name)?.filter(|log| !self.refused.refuses(log));
        let refused = self.refused;
        for_each_value(log, refused, |key, value| {
            let record = decode_log_entry(no, deprecated, &key, value)?;
            self.put(record)
        })
    }

    fn packages_of(
        &mut self,
        scid: ShortChannelId,
        state: &ChannelState,
        seen: &mut HashSet<u64>,
    ) -> Result<(), ImportError> {
        if self.sources.contains_key(&scid) {
            return Ok(());
        }
        let (source, refused) = (self.source, self.refused);
        let Some(bucket) = source.bucket(&[top::PACKAGES, &scid.0.to_be_bytes()], refused)? else {
            return Ok(());
        };
        self.sources.insert(scid, state.row().no);
        self.packages(&bucket, scid, Some(state), seen)
    }

    /// Packages whose source is no channel of the store.
    fn orphaned_packages(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        let Some(packages) = source.bucket(&[top::PACKAGES], refused)? else { return Ok(()) };
        for_each_bucket(&packages, refused, |bucket| {
            let scid = keys::decode_scid(bucket.name())?;
            if self.sources.contains_key(&scid) {
                return Ok(());
            }
            self.packages(&bucket, scid, None, &mut HashSet::new())
        })
    }

    /// Takes over the packages of one source. `seen` are the HTLCs of the channel's other packages:
    /// an HTLC is locked in once; if a damaged source says otherwise, its record is that of the
    /// first package and the others keep their messages.
    fn packages(
        &mut self,
        bucket: &Bucket<'_>,
        scid: ShortChannelId,
        state: Option<&ChannelState>,
        seen: &mut HashSet<u64>,
    ) -> Result<(), ImportError> {
        let refused = self.refused;
        for_each_bucket(bucket, refused, |bucket| {
            let height = keys::decode_height(bucket.name())?;
            let parts = read_package(&bucket, scid, height).map_err(|fault| {
                ImportError::Package { source_scid: scid, height, fault: Box::new(fault) }
            })?;
            let ids: Vec<_> =
                parts.package.adds.iter().filter_map(|add| add.message.htlc_id()).collect();
            let verbatim = ids.iter().any(|id| seen.contains(id));
            seen.extend(ids);
            // What a channel would not accept is kept as it is.
            let package = transition::import_package(state, &parts.package, verbatim)
                .or_else(|_| transition::import_package(state, &parts.package, true))?;
            for record in package {
                self.put(record)?;
            }
            Ok(())
        })
    }

    fn link_nodes(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        for_each_value(source.bucket(&[top::LINK_NODES], refused)?, refused, |key, value| {
            let stored = link_node::decode(keys::decode_node_id(&key)?, value)?;
            let change = LinkNodeChange::put(&stored.node, None, Version::ABSENT);
            self.progress.add(1);
            self.writer.add(ChangeSet { link_nodes: vec![change], ..ChangeSet::default() })?;
            Ok(())
        })
    }

    fn small_records(&mut self) -> Result<(), ImportError> {
        let (source, refused) = (self.source, self.refused);
        for_each_value(source.bucket(&[top::OPENING_STATES], refused)?, refused, |key, value| {
            self.put(Record::OpeningState(OpeningStateRecord { key: key.into(), value }))
        })?;
        let policies = source.bucket(&[top::FORWARDING_POLICIES], refused)?;
        for_each_value(policies, refused, |key, value| {
            let channel_id = keys::decode_channel_id(&key)?;
            let policy = small::decode_forwarding_policy(value)?;
            self.put(Record::ForwardingPolicy(ForwardingPolicyRecord { channel_id, policy }))
        })?;
        let Some(finals) = source.bucket(&[top::FINAL_HTLCS], refused)? else { return Ok(()) };
        for_each_bucket(&finals, refused, |bucket| {
            let scid = keys::decode_scid(bucket.name())?;
            for_each_value(Some(bucket), refused, |key, value| {
                let id = keys::decode_htlc_id(&key)?;
                let outcome = small::decode_final_htlc(value)?;
                self.put(Record::FinalHtlc(FinalHtlcRecord { scid, id, outcome }))
            })
        })
    }

    fn put(&mut self, record: Record) -> Result<(), ImportError> {
        self.progress.add(1);
        self.writer.put(AnyRecord::Channel(record))?;
        Ok(())
    }
}

/// Hands the sub-buckets that are not refused to `visit`.
fn for_each_bucket<'f>(
    bucket: &Bucket<'f>,
    refused: &Refused,
    mut visit: impl FnMut(Bucket<'f>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    for entry in bucket.entries() {
        if let (_, Entry::Bucket(child)) = entry?
            && !refused.refuses(&child)
        {
            visit(child)?;
        }
    }
    Ok(())
}

/// Hands the values that are not refused to `visit`.
fn for_each_value(
    bucket: Option<Bucket<'_>>,
    refused: &Refused,
    mut visit: impl FnMut(Vec<u8>, Bytes) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let Some(bucket) = bucket else { return Ok(()) };
    for entry in bucket.entries() {
        let (key, Entry::Value(value)) = entry? else { continue };
        if !refused.is_empty() {
            let mut path = bucket.path();
            path.push(key.clone());
            if refused.contains(&path) {
                continue;
            }
        }
        visit(key, value.into())?;
    }
    Ok(())
}

/// Whether a store can hold the channel: what [`import`] would do with it, without writing.
///
/// # Errors
/// As [`transition::import`].
pub fn can_store(parts: ChannelParts) -> Result<ChannelState, Rejection> {
    let (row, imported) = parts.into_import(ChannelNo(1), false);
    let mut state = ChannelState::new(row.clone());
    let change: ChannelChange = transition::import(row, imported)?;
    state.apply(&change);
    Ok(state)
}
