//! Forwarding packages in the view.

use std::collections::HashMap;

use channelcoord::{Backend, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{ChannelRecord, PackageRecord, PackageUpdateRecord, UpdateBody};
use chanstate::{
    ChannelNo, Direction, Filter, HtlcKey, LogUpdate, PackageList, Record, StateFault, add_message,
};

use super::{View, ViewError, each, join, one};
use crate::lnd::codec::keys::{bucket as top, package as package_key};
use crate::lnd::codec::{package, update};

impl<E: From<ViewError>> View<'_, '_, E> {
    pub(super) fn packages(&mut self) -> Result<(), E> {
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
