//! Records of one value each.

use std::collections::BTreeSet;

use super::super::codec::keys::{self, bucket as top, metadata};
use super::super::codec::{close, link_node, small};
use super::Checker;
use super::index::id_taken;
use super::walk::{NOT_A_VALUE, join};
use crate::finding::chain;
use crate::lnd::tree::{Entry, ReadError};

/// Optional migrations that are known; their numbers count from 0.
const OPTIONAL_MIGRATIONS: u64 = 2;

impl Checker<'_, '_> {
    pub(super) fn opening_states(&mut self) -> Result<(), ReadError> {
        self.values(self.top(top::OPENING_STATES)?, |checker, _, _| {
            checker.checked.counts.opening_states += 1;
            Ok(())
        })
    }

    pub(super) fn summaries(&mut self) -> Result<(), ReadError> {
        self.values(self.top(top::CLOSED_CHANNELS)?, |checker, key, value| {
            let outpoint = keys::decode_outpoint(key)?;
            let summary = close::decode(value)?;
            let path = vec![top::CLOSED_CHANNELS.to_vec(), key.to_vec()];
            if let Some(owner) = checker.claim_id(outpoint) {
                checker.damage(path, id_taken(&owner));
                return Ok(());
            }
            checker.checked.counts.closed_channels += 1;
            if summary.channel_point != outpoint {
                let what = format!("names channel {}", summary.channel_point);
                checker.inconsistency(&path, what);
            }
            if checker.index.is_not_closed(&outpoint) {
                checker.inconsistency(&path, "the outpoint index does not call it closed");
            }
            Ok(())
        })
    }

    pub(super) fn tombstone(&mut self) {
        if self.source.tombstone().is_some() {
            let what = "content was moved to another database; what is left here is outdated";
            self.warning(&[top::TOMBSTONE.to_vec()], what);
        }
    }

    pub(super) fn final_htlcs(&mut self) -> Result<(), ReadError> {
        let Some(bucket) = self.top(top::FINAL_HTLCS)? else { return Ok(()) };
        self.buckets(&bucket, |checker, channel| {
            if checker.name(&channel, keys::decode_scid).is_none() {
                return Ok(());
            }
            checker.values(Some(channel), |checker, key, value| {
                keys::decode_htlc_id(key)?;
                small::decode_final_htlc(value)?;
                checker.checked.counts.final_htlcs += 1;
                Ok(())
            })
        })
    }

    pub(super) fn policies(&mut self) -> Result<(), ReadError> {
        self.values(self.top(top::FORWARDING_POLICIES)?, |checker, key, value| {
            keys::decode_channel_id(key)?;
            small::decode_forwarding_policy(value)?;
            checker.checked.counts.forwarding_policies += 1;
            Ok(())
        })
    }

    pub(super) fn link_nodes(&mut self) -> Result<(), ReadError> {
        self.values(self.top(top::LINK_NODES)?, |checker, key, value| {
            let stored = link_node::decode(keys::decode_node_id(key)?, value)?;
            checker.checked.counts.link_nodes += 1;
            if stored.identity_key != stored.node.node_id {
                let what = format!("identity key {} differs from the key", stored.identity_key);
                checker.inconsistency(&[top::LINK_NODES.to_vec(), key.to_vec()], what);
            }
            Ok(())
        })
    }

    pub(super) fn metadata(&mut self) -> Result<(), ReadError> {
        let Some(bucket) = self.top(top::METADATA)? else { return Ok(()) };
        for entry in bucket.entries() {
            let (name, entry) = entry?;
            let path = join(&bucket.path(), &name);
            let known = [metadata::DB_VERSION, metadata::OPTIONAL_MIGRATIONS];
            let value = match entry {
                Entry::Bucket(_) if self.is_refused(&path) => continue,
                Entry::Bucket(_) if known.contains(&name.as_slice()) => {
                    self.damage(path, NOT_A_VALUE);
                    continue;
                }
                Entry::Bucket(_) => None,
                Entry::Value(value) => Some(value.into()),
            };
            let decoded = match (name.as_slice(), value) {
                (metadata::DB_VERSION, Some(value)) => small::decode_db_version(value).map(drop),
                (metadata::OPTIONAL_MIGRATIONS, Some(value)) => {
                    small::decode_optional_migrations(value).map(|done| {
                        let is_unknown = |number: &u64| *number >= OPTIONAL_MIGRATIONS;
                        let unknown: BTreeSet<_> = done.into_iter().filter(is_unknown).collect();
                        if !unknown.is_empty() {
                            self.warning(&path, format!("unknown migrations {unknown:?}"));
                        }
                    })
                }
                _ => {
                    self.warning(&path, "unknown key, kept as it is");
                    Ok(())
                }
            };
            if let Err(error) = decoded {
                self.damage(path, chain(&error));
            }
        }
        Ok(())
    }
}
