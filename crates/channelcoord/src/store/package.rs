//! Forwarding packages.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bitcoin::OutPoint;
use chanstate::facet::{ForwardingPackageStore, Result};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{PackageRecord, PackageUpdateRecord};
use chanstate::transition as rule;
use chanstate::{
    AddRef, ChannelState, CommitmentHeight, Direction, Filter, ForwardingPackage, LogUpdate,
    PackageList, Record, SettleFailRef, ShortChannelId, StateFault,
};

use super::{Store, state_error, store_error};
use crate::change_set::{ChangeSet, PackageAck};
use crate::directory::read_slot;
use crate::locks::Lockable;

type Place = (CommitmentHeight, ShortChannelId);

#[async_trait]
impl ForwardingPackageStore for Store {
    async fn forwarding_packages(&self, point: OutPoint) -> Result<Vec<ForwardingPackage>> {
        // The lock keeps the records and the HTLCs they refer to in step.
        let no = self.listing(point)?.no;
        let guards = self.inner.locks.lock([Lockable::Channel(no)]).await;
        let sources: BTreeSet<ShortChannelId> = self
            .view(point, |state| Ok(state.packages().map(|((_, source), _)| source).collect()))?;
        let mut packages: BTreeMap<Place, (PackageRecord, Vec<PackageUpdateRecord>)> =
            BTreeMap::new();
        for source in sources {
            for kind in [Kind::Package, Kind::PackageUpdate] {
                let range = KeyRange::under(kind, [source.0]);
                let take = |record| match record {
                    crate::Record::Channel(Record::Package(package)) => {
                        let place = (package.height, package.source);
                        packages.insert(place, (package, Vec::new()));
                    }
                    crate::Record::Channel(Record::PackageUpdate(update)) => {
                        let place = (update.height, update.source);
                        if let Some((_, updates)) = packages.get_mut(&place) {
                            updates.push(update);
                        }
                    }
                    _ => {}
                };
                self.scan_stored(range, take).await?;
            }
        }
        let slot = self.slot(point)?;
        let state = read_slot(&slot);
        let packages = packages.into_values();
        let packages = packages.map(|(package, updates)| assemble(&state, package, updates));
        let packages = packages.collect::<std::result::Result<_, StateFault>>();
        drop(guards);
        packages.map_err(|fault| state_error(point, fault))
    }

    async fn ack_adds(&self, point: OutPoint, adds: &[AddRef]) -> Result<()> {
        self.change(point, |state| {
            let mut set = ChangeSet::default();
            for add in adds {
                let Some(source) = rule::own_ack(state, *add)? else { continue };
                let (height, index) = (add.height, add.index);
                set.acks.push(PackageAck { source, height, list: PackageList::Adds, index });
            }
            set.acks.sort_unstable();
            set.acks.dedup();
            Ok((Some(set).filter(|set| !set.acks.is_empty()), ()))
        })
        .await
    }

    async fn ack_settle_fails(&self, settle_fails: &[SettleFailRef]) -> Result<()> {
        self.alive()?;
        let acks = self.acks_of(settle_fails)?;
        if acks.is_empty() {
            return Ok(());
        }
        let set = ChangeSet { acks, ..ChangeSet::default() };
        self.commit(set, Vec::new()).await.map_err(store_error)
    }

    async fn set_forward_filter(
        &self,
        point: OutPoint,
        height: CommitmentHeight,
        filter: Filter,
    ) -> Result<()> {
        self.transit(point, |state| rule::set_forward_filter(state, height, filter.clone())).await
    }

    async fn remove_forwarding_packages(
        &self,
        point: OutPoint,
        heights: &[CommitmentHeight],
    ) -> Result<()> {
        self.transit(point, |state| rule::remove_packages(state, heights)).await
    }
}

impl Store {
    /// Acknowledgements in packages of any channel; those whose package is gone are left out.
    pub(super) fn acks_of(&self, settle_fails: &[SettleFailRef]) -> Result<Vec<PackageAck>> {
        let index = self.inner.directory.read();
        let mut acks = Vec::new();
        for SettleFailRef { source, height, index: position } in settle_fails.iter().copied() {
            let list = PackageList::SettleFails;
            let Some(shape) = index.package_shape(source, height) else { continue };
            rule::check_ack(source, height, &shape, list, position)?;
            acks.push(PackageAck { source, height, list, index: position });
        }
        acks.sort_unstable();
        acks.dedup();
        Ok(acks)
    }
}

/// Joins a package's records; `updates` are in order of list and position, and none is missing.
fn assemble(
    state: &ChannelState,
    package: PackageRecord,
    updates: Vec<PackageUpdateRecord>,
) -> std::result::Result<ForwardingPackage, StateFault> {
    let list = |wanted: PackageList| -> std::result::Result<(Vec<LogUpdate>, Filter), StateFault> {
        let updates: Vec<_> = updates.iter().filter(|update| update.list == wanted).collect();
        let mut filter = Filter::empty(updates.len().min(0xffff) as u16);
        for (position, update) in (0..=u16::MAX).zip(&updates) {
            if update.index != position {
                let missing = [package.source.0, package.height.0, wanted as u64, position.into()];
                return Err(StateFault::Missing(RecordKey::of(Kind::PackageUpdate, missing)));
            }
            if update.acked {
                filter = filter.with(position).unwrap_or(filter);
            }
        }
        let updates = updates.iter().map(|u| state.update(&u.update, Direction::Incoming));
        Ok((updates.collect::<std::result::Result<_, _>>()?, filter))
    };
    let (adds, ack_filter) = list(PackageList::Adds)?;
    let (settle_fails, settle_fail_filter) = list(PackageList::SettleFails)?;
    Ok(ForwardingPackage {
        source: package.source,
        height: package.height,
        adds,
        settle_fails,
        ack_filter,
        settle_fail_filter,
        forward_filter: package.forward_filter,
    })
}
