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

impl<E: From<ViewError>> View<'_, '_, '_, E> {
    pub(super) fn packages(&mut self) -> Result<(), E> {
        self.top(top::PACKAGES, false)?;
        let by_no: HashMap<ChannelNo, &ChannelRecord> =
            self.rows.iter().map(|row| (row.no, row)).collect();
        let mut current = None;
        self.each(&[top::PACKAGES], KeyRange::all(Kind::Package), |view, record| {
            let AnyRecord::Channel(Record::Package(package)) = record else { return Ok(()) };
            let source = package.source.0.to_be_bytes();
            if current.replace(source) != Some(source) {
                view.bucket(&[top::PACKAGES, &source])?;
            }
            let channel = package.no.and_then(|no| by_no.get(&no).copied());
            let height = package.height.0.to_be_bytes();
            let path: [&[u8]; 3] = [top::PACKAGES, &source, &height];
            let values = Values::of(view.backend, &package, channel);
            match view.shown(&path, values)? {
                Some(values) => view.package(&path, values),
                None => Ok(()),
            }
        })
    }

    fn package(&mut self, path: &[&[u8]], values: Values) -> Result<(), E> {
        self.bucket(path)?;
        self.value(&join(path, package_key::ACK_FILTER), values.ack)?;
        let lists =
            [(package_key::ADDS, values.adds), (package_key::SETTLE_FAILS, values.settle_fails)];
        for (name, list) in lists {
            let path = join(path, name);
            self.bucket(&path)?;
            for (index, value) in list {
                self.value(&join(&path, &index.to_be_bytes()), value)?;
            }
        }
        if let Some(forward) = values.forward {
            self.value(&join(path, package_key::FORWARD_FILTER), forward)?;
        }
        self.value(&join(path, package_key::SETTLE_FAIL_FILTER), values.settle_fail)
    }
}

/// What the bucket of a package holds.
struct Values {
    ack: Vec<u8>,
    adds: Vec<(u16, Vec<u8>)>,
    settle_fails: Vec<(u16, Vec<u8>)>,
    forward: Option<Vec<u8>>,
    settle_fail: Vec<u8>,
}

impl Values {
    fn of(
        backend: &dyn Backend,
        package: &PackageRecord,
        channel: Option<&ChannelRecord>,
    ) -> Result<Values, ViewError> {
        let mut updates = Vec::new();
        let range = KeyRange::under(Kind::PackageUpdate, [package.source.0, package.height.0]);
        each(backend, range, |record| {
            if let AnyRecord::Channel(Record::PackageUpdate(update)) = record {
                updates.push(update);
            }
            Ok(())
        })?;
        let filter = |list| filter_of(package, &updates, list);
        let list = |list| -> Result<_, ViewError> {
            let updates = updates.iter().filter(|update| update.list == list);
            let value = |update: &PackageUpdateRecord| {
                let value = log_update(backend, update, channel)?;
                Ok((update.index, update::encode(&value)?))
            };
            updates.map(value).collect()
        };
        Ok(Values {
            ack: package::encode_filter(&filter(PackageList::Adds)?),
            adds: list(PackageList::Adds)?,
            settle_fails: list(PackageList::SettleFails)?,
            forward: package.forward_filter.as_ref().map(package::encode_filter),
            settle_fail: package::encode_filter(&filter(PackageList::SettleFails)?),
        })
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
    let htlc = one(backend, key.clone())?;
    match (channel, htlc) {
        (Some(channel), Some(AnyRecord::Channel(Record::Htlc(htlc)))) => {
            let message = add_message(channel.channel_id, id, &htlc.terms);
            let message = message.ok_or(ViewError::State(StateFault::Message(key)))?;
            Ok(LogUpdate { log_index, message })
        }
        _ => Err(ViewError::Missing(key)),
    }
}
