//! The values of one forwarding package, decoded.

use bytes::Bytes;
use chanstate::{CommitmentHeight, Filter, ForwardingPackage, LogUpdate, ShortChannelId};
use thiserror::Error;

use super::codec::keys::package as key;
use super::codec::package::decode_filter;
use super::codec::{LndError, keys, update};
use super::tree::{Bucket, Entry, ReadError};

/// A forwarding package as it is stored, its filters of any size.
#[derive(Clone, Debug)]
pub struct PackageParts {
    /// The package; filters are cut or filled up to the number of updates.
    pub package: ForwardingPackage,
    /// Filters whose count is not that of the updates: key, updates, count.
    pub wrong_filters: Vec<(&'static [u8], usize, u16)>,
}

/// Why a package cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackageFault {
    /// Its bucket cannot be read.
    #[error("cannot be read")]
    Read(#[from] ReadError),
    /// A value does not decode.
    #[error("value of {} does not decode", key.escape_ascii())]
    Decode {
        /// The key in the package's bucket.
        key: Vec<u8>,
        /// What is wrong.
        #[source]
        fault: LndError,
    },
    /// A key is missing that every package has.
    #[error("{} is missing", .0.escape_ascii())]
    Missing(&'static [u8]),
    /// A list of updates holds a bucket.
    #[error("a bucket is among the updates of {}", .0.escape_ascii())]
    NotAnUpdate(&'static [u8]),
    /// The positions of updates have a gap.
    #[error("update {found} follows where {expected} is due")]
    Gap {
        /// Position that is due.
        expected: usize,
        /// Position found.
        found: u16,
    },
}

/// Reads the package in `bucket`.
///
/// # Errors
/// Any [`PackageFault`].
pub fn read_package(
    bucket: &Bucket<'_>,
    source: ShortChannelId,
    height: CommitmentHeight,
) -> Result<PackageParts, PackageFault> {
    let adds = read_updates(bucket, key::ADDS)?;
    let settle_fails = read_updates(bucket, key::SETTLE_FAILS)?;
    let mut wrong_filters = Vec::new();
    let mut filter = |name, count| {
        let Some(filter) = read_filter(bucket, name)? else { return Ok(None) };
        if usize::from(filter.count()) != count {
            wrong_filters.push((name, count, filter.count()));
        }
        Ok::<_, PackageFault>(Some(fit(&filter, count)))
    };
    let ack_filter = filter(key::ACK_FILTER, adds.len())?;
    let settle_fail_filter = filter(key::SETTLE_FAIL_FILTER, settle_fails.len())?;
    let forward_filter = filter(key::FORWARD_FILTER, adds.len())?;
    let package = ForwardingPackage {
        source,
        height,
        adds,
        settle_fails,
        ack_filter: ack_filter.ok_or(PackageFault::Missing(key::ACK_FILTER))?,
        settle_fail_filter: settle_fail_filter
            .ok_or(PackageFault::Missing(key::SETTLE_FAIL_FILTER))?,
        forward_filter,
    };
    Ok(PackageParts { package, wrong_filters })
}

fn read_updates(bucket: &Bucket<'_>, name: &'static [u8]) -> Result<Vec<LogUpdate>, PackageFault> {
    let list = bucket.bucket(name)?.ok_or(PackageFault::Missing(name))?;
    let fail = |fault| PackageFault::Decode { key: name.to_vec(), fault };
    let mut updates = Vec::new();
    for entry in list.entries() {
        let (key, Entry::Value(value)) = entry? else {
            return Err(PackageFault::NotAnUpdate(name));
        };
        let found = keys::decode_update_index(&key).map_err(fail)?;
        let expected = updates.len();
        if usize::from(found) != expected {
            return Err(PackageFault::Gap { expected, found });
        }
        updates.push(update::decode(value.into()).map_err(fail)?);
    }
    Ok(updates)
}

fn read_filter(bucket: &Bucket<'_>, name: &'static [u8]) -> Result<Option<Filter>, PackageFault> {
    let value = bucket.value(name)?.map(Bytes::from).map(decode_filter).transpose();
    value.map_err(|fault| PackageFault::Decode { key: name.to_vec(), fault })
}

/// A filter over `count` updates with the bits of `filter`.
fn fit(filter: &Filter, count: usize) -> Filter {
    let count = count.min(usize::from(u16::MAX)) as u16;
    if filter.count() == count {
        return filter.clone();
    }
    let set = (0..count).filter(|index| filter.contains(*index));
    set.fold(Filter::empty(count), |fitted, index| fitted.with(index).unwrap_or(fitted))
}
