//! `migrate inspect`: what a store holds.

use bitcoin::OutPoint;
use channelcoord::{Backend, Record, Stage, Transfer};
use chanstate::key::{Kind, RecordKey};
use chanstate::{ChannelStatus, CommitmentHeight, Record as ChannelRecordKind, Side};
use serde::Serialize;

use super::Watch;
use super::begun::part;
use super::check::job_failure;
use crate::counts::Counts;
use crate::lnd;
use crate::lnd::channel::{ChannelParts, read_values};
use crate::lnd::codec::keys::{self, bucket as top};
use crate::lnd::codec::small::{self, OutpointStatus};
use crate::lnd::source::{LndSource, Refused};
use crate::lnd::tree::{Bucket, Entry, ReadError};
use crate::opened::{self, Failure, Opened};
use crate::records::Records;
use crate::store;
use crate::url::StoreUrl;

/// What a store holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The store.
    pub store: String,
    /// Its form.
    pub format: &'static str,
    /// Version of an lnd database.
    pub version: Option<u32>,
    /// What it is in a transfer: `filling`, `complete`, `differing`, `active` or `moved`; `None` for a
    /// store that is in none.
    pub transfer: Option<TransferLine>,
    /// Size of its file, or of its tables and indexes, in bytes.
    pub size: u64,
    /// Damaged parts, which are not counted below; `migrate check` lists them.
    pub damages: u64,
    /// Records by kind.
    pub counts: Counts,
    /// Channels that are not closed.
    pub channels: Vec<ChannelLine>,
    /// Buckets of an lnd database that belong to others.
    pub other_tenants: Vec<String>,
}

/// The part of a store in a transfer.
#[derive(Clone, Debug, Serialize)]
pub struct TransferLine {
    /// `filling`, `complete`, `differing`, `active` or `moved`.
    pub stage: &'static str,
    /// Sequence number at which it was activated.
    pub active_since: Option<u64>,
    /// The store that it is a copy of, or was moved to; the text of a tombstone.
    pub other: String,
    /// The transfer, by the id that both sides keep. A tombstone has none but in its text.
    pub id: Option<String>,
}

/// One channel that is not closed.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelLine {
    /// Funding outpoint, txid as explorers show it.
    pub channel_point: String,
    /// The peer.
    pub peer: String,
    /// Short channel id as a number.
    pub scid: u64,
    /// Bits of the type.
    pub channel_type: u64,
    /// Bits of the status.
    pub status: u64,
    /// Not confirmed yet.
    pub pending: bool,
    /// Value of the funding output in satoshi.
    pub capacity_sat: u64,
    /// Our balance in millisatoshi; `None` for a restored channel.
    pub local_balance_msat: Option<u64>,
    /// The peer's balance in millisatoshi; `None` for a restored channel.
    pub remote_balance_msat: Option<u64>,
    /// Height of our commitment.
    pub local_height: Option<u64>,
    /// Height of the peer's commitment.
    pub remote_height: Option<u64>,
}

/// Looks into a store. Damaged channels of an lnd database are left out of the table.
///
/// # Errors
/// [`Failure`] if it cannot be read.
pub fn inspect(url: &StoreUrl, store: &Opened, watch: &dyn Watch) -> Result<Inspection, Failure> {
    let size = opened::size(url)?;
    let transfer = match store {
        Opened::Lnd(source) => source.tombstone().map(TransferLine::of_tombstone),
        Opened::Store(store) => part(url, store.as_ref())?.map(TransferLine::of),
    };
    let inspection = |format, version, damages, counts, channels, other_tenants| Inspection {
        store: url.to_string(),
        format,
        version,
        transfer,
        size,
        damages,
        counts,
        channels,
        other_tenants,
    };
    Ok(match store {
        Opened::Lnd(source) => {
            let progress = watch.phase("counting", Some(source.survey().keys));
            let fail = |error: ReadError| Failure::access(url, &error);
            let checked = lnd::check::check(source, &progress, &mut |_| {}).map_err(fail)?;
            let channels = lnd_channels(source, &checked.refused).map_err(fail)?;
            let others = source.other_tenants().map_err(fail)?;
            let others =
                others.into_iter().map(|name| crate::bolt::display_path(&[name]).to_string());
            let (damages, counts) = (checked.damages, checked.counts);
            inspection(url.format(), source.version(), damages, counts, channels, others.collect())
        }
        Opened::Store(backend) => {
            let counts =
                store::count(backend.as_ref()).map_err(|error| job_failure(url, &error))?;
            let channels = store_channels(url, backend.as_ref())?;
            inspection(url.format(), None, 0, counts, channels, Vec::new())
        }
    })
}

impl TransferLine {
    fn of(part: Transfer) -> TransferLine {
        let Transfer { id, stage, other, .. } = part;
        let (stage, active_since) = match stage {
            Stage::Filling => ("filling", None),
            Stage::Complete => ("complete", None),
            Stage::Differing => ("differing", None),
            Stage::Active { at } => ("active", Some(at.0)),
            Stage::Moved => ("moved", None),
        };
        TransferLine { stage, active_since, other, id: Some(id.to_string()) }
    }

    fn of_tombstone(text: &str) -> TransferLine {
        TransferLine { stage: "moved", active_since: None, other: text.to_owned(), id: None }
    }
}

impl std::fmt::Display for TransferLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TransferLine { stage, active_since, other, id } = self;
        match (*stage, active_since) {
            ("filling", _) => write!(f, "half filled from {other}")?,
            ("complete", _) => write!(f, "complete copy of {other}, not in use")?,
            ("differing", _) => write!(f, "differs from {other}, of which it was to be a copy")?,
            (_, Some(at)) => write!(f, "in use as a copy of {other}, since sequence number {at}")?,
            _ if id.is_none() => return write!(f, "migrated away: {other}"),
            _ => write!(f, "moved to {other}")?,
        }
        id.as_ref().map_or(Ok(()), |id| write!(f, " (transfer {id})"))
    }
}

fn lnd_channels(source: &LndSource, refused: &Refused) -> Result<Vec<ChannelLine>, ReadError> {
    let mut lines = Vec::new();
    let Some(peers) = source.bucket(&[top::OPEN_CHANNELS], refused)? else { return Ok(lines) };
    let outpoints = source.bucket(&[top::OUTPOINTS], refused)?;
    for peer in buckets(&peers, refused) {
        for chain in buckets(&peer?, refused) {
            for channel in buckets(&chain?, refused) {
                let channel = channel?;
                if is_closed(outpoints.as_ref(), channel.name())? {
                    continue;
                }
                if let Ok(parts) = ChannelParts::decode(read_values(&channel)?) {
                    lines.push(line_of_parts(&parts));
                }
            }
        }
    }
    Ok(lines)
}

fn is_closed(outpoints: Option<&Bucket<'_>>, outpoint: &[u8]) -> Result<bool, ReadError> {
    let Some(outpoints) = outpoints else { return Ok(false) };
    let status = outpoints.value(outpoint)?;
    let status = status.and_then(|value| small::decode_outpoint_status(value.into()).ok());
    Ok(status == Some(OutpointStatus::Closed) && keys::decode_outpoint(outpoint).is_ok())
}

fn buckets<'f>(
    bucket: &Bucket<'f>,
    refused: &Refused,
) -> impl Iterator<Item = Result<Bucket<'f>, ReadError>> {
    bucket.entries().filter_map(|entry| match entry {
        Ok((_, Entry::Bucket(child))) if refused.refuses(&child) => None,
        Ok((_, Entry::Bucket(child))) => Some(Ok(child)),
        Ok((_, Entry::Value(_))) => None,
        Err(error) => Some(Err(error)),
    })
}

fn line_of_parts(parts: &ChannelParts) -> ChannelLine {
    let info = &parts.info;
    let local = parts.local.as_ref();
    ChannelLine {
        channel_point: info.funding_outpoint.to_string(),
        peer: info.peer.to_string(),
        scid: info.scid.0,
        channel_type: info.channel_type.bits(),
        status: info.status.bits(),
        pending: info.pending,
        capacity_sat: info.capacity.to_sat(),
        local_balance_msat: local.map(|commitment| commitment.local_balance.0),
        remote_balance_msat: local.map(|commitment| commitment.remote_balance.0),
        local_height: local.map(|commitment| commitment.height.0),
        remote_height: parts.remote.as_ref().map(|commitment| commitment.height.0),
    }
}

fn store_channels(url: &StoreUrl, backend: &dyn Backend) -> Result<Vec<ChannelLine>, Failure> {
    let fail = |error| Failure::of_backend(url, &error);
    let mut lines: Vec<(String, [u8; 32], OutPoint, ChannelLine)> = Vec::new();
    for record in Records::new(backend, chanstate::key::KeyRange::all(Kind::Channel)) {
        let Record::Channel(ChannelRecordKind::Channel(row)) = record.map_err(fail)? else {
            continue;
        };
        if row.closed {
            continue;
        }
        let height = row.local_height.unwrap_or(CommitmentHeight(0));
        let keys = [
            RecordKey::single(Kind::Terms, row.no),
            RecordKey::commitment(row.no, Side::Local, height),
        ];
        let (mut capacity, mut balances) = (0, None);
        let records = pollster::block_on(backend.read(&keys)).map_err(fail)?;
        for record in records.into_iter().flatten() {
            match record {
                Record::Channel(ChannelRecordKind::Terms(terms)) => {
                    capacity = terms.terms.capacity.to_sat();
                }
                Record::Channel(ChannelRecordKind::Commitment(local)) => {
                    balances = Some((local.local_balance.0, local.remote_balance.0));
                }
                _ => {}
            }
        }
        let line = ChannelLine {
            channel_point: row.funding_outpoint.to_string(),
            peer: row.peer.to_string(),
            scid: row.scid.0,
            channel_type: row.channel_type.bits(),
            status: row.status.bits(),
            pending: row.pending,
            capacity_sat: capacity,
            local_balance_msat: balances.map(|(local, _)| local),
            remote_balance_msat: balances.map(|(_, remote)| remote),
            local_height: row.local_height.map(|height| height.0),
            remote_height: row.remote_height.map(|height| height.0),
        };
        lines.push((line.peer.clone(), *row.chain.as_bytes(), row.funding_outpoint, line));
    }
    lines.sort_by(|a, b| {
        (&a.0, &a.1, keys::encode_outpoint(&a.2)).cmp(&(&b.0, &b.1, keys::encode_outpoint(&b.2)))
    });
    Ok(lines.into_iter().map(|(.., line)| line).collect())
}

impl std::fmt::Display for Inspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}, {} bytes", self.store, self.format, self.size)?;
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        }
        writeln!(f)?;
        if let Some(transfer) = &self.transfer {
            writeln!(f, "{transfer}")?;
        }
        let Counts {
            open_channels,
            closed_channels,
            historical_channels,
            link_nodes,
            forwarding_packages,
            revoked_states,
            final_htlcs,
            opening_states,
            forwarding_policies,
        } = self.counts;
        for (name, count) in [
            ("open channels", open_channels),
            ("closed channels", closed_channels),
            ("historical channels", historical_channels),
            ("link nodes", link_nodes),
            ("forwarding packages", forwarding_packages),
            ("revoked states", revoked_states),
            ("final HTLCs", final_htlcs),
            ("opening states", opening_states),
            ("forwarding policies", forwarding_policies),
        ] {
            writeln!(f, "{count:>10} {name}")?;
        }
        if self.damages > 0 {
            writeln!(f, "{:>10} damaged parts are not counted, see migrate check", self.damages)?;
        }
        if !self.other_tenants.is_empty() {
            writeln!(f, "of others, not looked at: {}", self.other_tenants.join(", "))?;
        }
        if self.channels.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<69} {:<12} {:>12} {:>16} {:>16} {:>15} status",
            "channel point", "peer", "capacity sat", "local msat", "remote msat", "heights"
        )?;
        for line in &self.channels {
            let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
            let heights = format!("{}/{}", number(line.local_height), number(line.remote_height));
            writeln!(
                f,
                "{:<69} {:<12} {:>12} {:>16} {:>16} {:>15} {}",
                line.channel_point,
                line.peer.get(..12).unwrap_or(&line.peer),
                line.capacity_sat,
                number(line.local_balance_msat),
                number(line.remote_balance_msat),
                heights,
                status(line),
            )?;
        }
        Ok(())
    }
}

fn status(line: &ChannelLine) -> String {
    let status = ChannelStatus::from_bits_retain(line.status);
    match (status.is_empty(), line.pending) {
        (true, true) => "pending".into(),
        (true, false) => "open".into(),
        (false, _) => {
            let names = status.iter_names().map(|(name, _)| name.to_ascii_lowercase());
            let names: Vec<_> = names.collect();
            if names.is_empty() { format!("{:#x}", line.status) } else { names.join("+") }
        }
    }
}
