//! Forwarding packages.

use chanstate::transition::import_package;
use chanstate::{CommitmentHeight, ShortChannelId};

use super::super::codec::keys::{self, bucket as top, package as key};
use super::super::package::{PackageFault, read_package};
use super::Checker;
use super::walk::{NOT_A_BUCKET, NOT_A_VALUE, join};
use crate::finding::chain;
use crate::lnd::tree::{Bucket, Entry, ReadError};

const LISTS: [&[u8]; 2] = [key::ADDS, key::SETTLE_FAILS];
const FILTERS: [&[u8]; 3] = [key::ACK_FILTER, key::SETTLE_FAIL_FILTER, key::FORWARD_FILTER];

impl<'a> Checker<'a, '_> {
    pub(super) fn packages(&mut self) -> Result<(), ReadError> {
        let Some(bucket) = self.top(top::PACKAGES)? else { return Ok(()) };
        self.buckets(&bucket, |checker, source| {
            let Some(scid) = checker.name(&source, keys::decode_scid) else { return Ok(()) };
            let mut found = false;
            checker.buckets(&source, |checker, package| {
                let height = checker.name(&package, keys::decode_height);
                let Some(height) = height else { return Ok(()) };
                found = true;
                checker.progress.add(1);
                checker.package(&package, scid, height)
            })?;
            if found {
                checker.sources.insert(scid);
            }
            Ok(())
        })
    }

    fn package(
        &mut self,
        bucket: &Bucket<'a>,
        source: ShortChannelId,
        height: CommitmentHeight,
    ) -> Result<(), ReadError> {
        let path = bucket.path();
        for entry in bucket.entries() {
            let (name, entry) = entry?;
            let is_bucket = matches!(entry, Entry::Bucket(_));
            let place = join(&path, &name);
            if LISTS.contains(&name.as_slice()) && !is_bucket {
                self.damage_inside(&place, path.clone(), NOT_A_BUCKET);
                return Ok(());
            } else if FILTERS.contains(&name.as_slice()) && is_bucket {
                self.damage_inside(&place, path.clone(), NOT_A_VALUE);
                return Ok(());
            } else if self.is_refused(&place) {
                // The damage was reported with the tree. A list that is damaged takes its package
                // along; any other bucket is not part of it.
                if LISTS.contains(&name.as_slice()) {
                    self.checked.refused.add(path);
                    return Ok(());
                }
            } else if !LISTS.contains(&name.as_slice()) && !FILTERS.contains(&name.as_slice()) {
                self.warning(&place, "unknown key, kept as it is");
            }
        }
        let parts = match read_package(bucket, source, height) {
            Ok(parts) => parts,
            Err(PackageFault::Read(error)) => return Err(error),
            Err(fault) => {
                let key = match &fault {
                    PackageFault::Decode { key, .. } => Some(key.as_slice()),
                    PackageFault::Missing(key) | PackageFault::NotAnUpdate(key) => Some(*key),
                    _ => None,
                };
                let place = key.map_or_else(|| path.clone(), |key| join(&path, key));
                self.damage_inside(&place, path, chain(&fault));
                return Ok(());
            }
        };
        if let Err(refused) = import_package(None, &parts.package, true) {
            self.damage(path, format!("cannot be stored: {}", chain(&refused)));
            return Ok(());
        }
        self.checked.counts.forwarding_packages += 1;
        for (name, updates, count) in parts.wrong_filters {
            let what = format!("filter is over {count} updates, the package has {updates}");
            self.inconsistency(&join(&path, name), what);
        }
        Ok(())
    }

    /// Reports packages that belong to no channel.
    pub(super) fn unknown_sources(&mut self) {
        for source in std::mem::take(&mut self.sources) {
            let path = [top::PACKAGES.to_vec(), source.0.to_be_bytes().to_vec()];
            self.warning(&path, "packages of a source that is no readable channel");
        }
    }
}
