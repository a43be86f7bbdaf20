//! Channel buckets.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::channel::{ChannelFault, ChannelParts, ChannelPlace};
use super::super::codec::keys::{self, bucket as top, channel as key};
use super::super::import::can_store;
use super::Checker;
use super::index::id_taken;
use super::state::contradictions;
use super::walk::{NOT_A_BUCKET, NOT_A_VALUE, join};
use crate::bolt::display_path;
use crate::finding::chain;
use crate::lnd::tree::{Bucket, Entry, ReadError};

/// Keys with a value.
const VALUES: [&[u8]; 15] = [
    key::INFO,
    key::LOCAL_COMMITMENT,
    key::REMOTE_COMMITMENT,
    key::REVOCATION_STATE,
    key::LOCAL_UPFRONT_SHUTDOWN,
    key::REMOTE_UPFRONT_SHUTDOWN,
    key::THAW_HEIGHT,
    key::COMMIT_DIFF,
    key::UNSIGNED_ACKED_UPDATES,
    key::REMOTE_UNSIGNED_LOCAL_UPDATES,
    key::LAST_WAS_REVOKE,
    key::DATA_LOSS_POINT,
    key::CLOSING_TX,
    key::COOP_CLOSING_TX,
    key::SHUTDOWN_INFO,
];

/// Unknown keys of a channel that are named.
const NAMED: usize = 5;

const LOGS: [&[u8]; 2] = [key::REVOCATION_LOG, key::DEPRECATED_LOG];

impl<'a> Checker<'a, '_> {
    pub(super) fn open_channels(&mut self) -> Result<(), ReadError> {
        let Some(bucket) = self.top(top::OPEN_CHANNELS)? else { return Ok(()) };
        let link_nodes = self.top(top::LINK_NODES)?;
        self.buckets(&bucket, |checker, peer| {
            let Some(peer_key) = checker.name(&peer, keys::decode_node_id) else { return Ok(()) };
            let open_before = checker.checked.counts.open_channels;
            checker.buckets(&peer, |checker, chain| {
                let Some(chain_key) = checker.name(&chain, keys::decode_chain) else {
                    return Ok(());
                };
                checker.buckets(&chain, |checker, channel| {
                    let outpoint = checker.name(&channel, keys::decode_outpoint);
                    let Some(outpoint) = outpoint else { return Ok(()) };
                    let (peer, chain) = (Some(peer_key), Some(chain_key));
                    checker.open_channel(&channel, &ChannelPlace { outpoint, peer, chain })
                })
            })?;
            if checker.checked.counts.open_channels > open_before
                && let Some(link_nodes) = &link_nodes
                && link_nodes.get(peer.name())?.is_none()
            {
                checker.warning(&peer.path(), "peer has no link node, lnd repairs that");
            }
            Ok(())
        })
    }

    fn open_channel(&mut self, bucket: &Bucket<'a>, place: &ChannelPlace) -> Result<(), ReadError> {
        let path = bucket.path();
        if !self.open.insert(place.outpoint) {
            self.damage(path, "the same channel is also under another peer or chain");
            return Ok(());
        }
        let Some(parts) = self.parts(bucket, place)? else { return Ok(()) };
        let closed = self.is_closed(&place.outpoint)?;
        self.checked.counts.open_channels += u64::from(!closed);
        for scid in [Some(parts.info.scid), parts.info.confirmed_scid].into_iter().flatten() {
            self.sources.remove(&scid);
        }
        self.in_index(&path, &place.outpoint, closed);
        self.contradictions(&path, &parts);
        self.logs(bucket, parts.remote.as_ref().map(|remote| remote.height))
    }

    pub(super) fn historical_channels(&mut self) -> Result<(), ReadError> {
        let Some(bucket) = self.top(top::HISTORICAL_CHANNELS)? else { return Ok(()) };
        // A summary that is damaged is there all the same.
        let summaries = self.source.bucket(&[top::CLOSED_CHANNELS], &Default::default())?;
        let closed = vec![top::CLOSED_CHANNELS.to_vec()];
        let summaries = summaries.filter(|_| !self.is_refused(&closed));
        self.buckets(&bucket, |checker, channel| {
            let outpoint = checker.name(&channel, keys::decode_outpoint);
            let Some(outpoint) = outpoint else { return Ok(()) };
            let place = ChannelPlace { outpoint, peer: None, chain: None };
            let Some(parts) = checker.parts(&channel, &place)? else { return Ok(()) };
            checker.checked.counts.historical_channels += 1;
            let path = channel.path();
            if let Some(summaries) = &summaries
                && summaries.get(channel.name())?.is_none()
            {
                checker.inconsistency(&path, "there is no summary of this channel");
            }
            checker.contradictions(&path, &parts);
            Ok(())
        })
    }

    fn contradictions(&mut self, path: &[Vec<u8>], parts: &ChannelParts) {
        contradictions(parts, &mut |severity, key, what| {
            let place = display_path(&join(path, key)).to_string();
            self.find(severity, place, what);
        });
    }

    /// Everything of a channel but its logs; `None` if it is refused.
    fn parts(
        &mut self,
        bucket: &Bucket<'a>,
        place: &ChannelPlace,
    ) -> Result<Option<ChannelParts>, ReadError> {
        let path = bucket.path();
        let Some(values) = self.channel_values(bucket, place.peer.is_some())? else {
            return Ok(None);
        };
        self.progress.add(values.len());
        let parts = match decode(values, place) {
            Ok(parts) => parts,
            Err(Fault { key, what }) => {
                self.damage_inside(&join(&path, &key), path, what);
                return Ok(None);
            }
        };
        if let Some(owner) = self.claim_id(place.outpoint) {
            self.damage(path, id_taken(&owner));
            return Ok(None);
        }
        if !parts.unknown.is_empty() {
            for key in parts.unknown.iter().take(NAMED) {
                self.warning(&join(&path, key), "unknown key, kept as it is");
            }
            if let Some(more) = parts.unknown.len().checked_sub(NAMED).filter(|more| *more > 0) {
                self.warning(&path, format!("{more} more unknown keys, kept as they are"));
            }
        }
        Ok(Some(parts))
    }

    /// The values of a channel bucket; `None` if it holds something else where one belongs.
    fn channel_values(
        &mut self,
        bucket: &Bucket<'a>,
        has_logs: bool,
    ) -> Result<Option<BTreeMap<Vec<u8>, Bytes>>, ReadError> {
        let path = bucket.path();
        let mut values = BTreeMap::new();
        for entry in bucket.entries() {
            let (name, entry) = entry?;
            let is_log = has_logs && LOGS.contains(&name.as_slice());
            let place = join(&path, &name);
            match entry {
                Entry::Value(_) if is_log => {
                    let what = "; its revoked states are lost, breach remedy in danger";
                    self.damage(place, [NOT_A_BUCKET, what].concat());
                }
                Entry::Value(value) => {
                    values.insert(name, value.into());
                }
                Entry::Bucket(_) if VALUES.contains(&name.as_slice()) => {
                    self.damage_inside(&place, path, NOT_A_VALUE);
                    return Ok(None);
                }
                Entry::Bucket(_) if is_log || self.is_refused(&place) => {}
                Entry::Bucket(_) => self.warning(&place, "unknown bucket, kept as it is"),
            }
        }
        Ok(Some(values))
    }
}

/// Why a channel is refused.
struct Fault {
    /// Key of the value at fault.
    key: Vec<u8>,
    what: String,
}

impl From<ChannelFault> for Fault {
    fn from(ChannelFault { key, fault }: ChannelFault) -> Fault {
        Fault { key, what: chain(&fault) }
    }
}

/// Decodes a channel as import does, and requires what a store demands.
fn decode(values: BTreeMap<Vec<u8>, Bytes>, place: &ChannelPlace) -> Result<ChannelParts, Fault> {
    let parts = ChannelParts::decode(values)?;
    parts.require_identity(place)?;
    if let Err(refused) = can_store(parts.clone()) {
        let what = format!("cannot be stored: {}", chain(&refused));
        return Err(Fault { key: culprit(&parts).to_vec(), what });
    }
    if let (Some(remote), Some(pending)) = (&parts.remote, &parts.pending)
        && remote.height == pending.commitment.height
    {
        // A store keeps commitments by side and height.
        let what = format!(
            "cannot be stored: the pending commitment has height {}, as the one in force",
            remote.height
        );
        return Err(Fault { key: key::COMMIT_DIFF.to_vec(), what });
    }
    Ok(parts)
}

/// The value that a store cannot hold.
fn culprit(parts: &ChannelParts) -> &'static [u8] {
    let nothing = ChannelParts {
        local: None,
        remote: None,
        pending: None,
        unsigned_acked: None,
        remote_unsigned_local: None,
        ..parts.clone()
    };
    let ChannelParts { local, remote, pending, unsigned_acked, remote_unsigned_local, .. } =
        parts.clone();
    let alone = [
        (key::LOCAL_COMMITMENT, ChannelParts { local, ..nothing.clone() }),
        (key::REMOTE_COMMITMENT, ChannelParts { remote, ..nothing.clone() }),
        (key::COMMIT_DIFF, ChannelParts { pending, ..nothing.clone() }),
        (key::UNSIGNED_ACKED_UPDATES, ChannelParts { unsigned_acked, ..nothing.clone() }),
        (key::REMOTE_UNSIGNED_LOCAL_UPDATES, ChannelParts { remote_unsigned_local, ..nothing }),
    ];
    let mut faulty = alone.into_iter().filter(|(_, parts)| can_store(parts.clone()).is_err());
    faulty.next().map_or(key::INFO, |(key, _)| key)
}
