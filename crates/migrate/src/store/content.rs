//! What of a store is its content.

use channelcoord::{Record, Transfer};
use chanstate::{Record as ChannelRecordKind, Version};

/// Whether a record is part of what a store holds, so that a copy of the store must have it, a
/// digest covers it and an archive keeps it. The part that a store has in a [`Transfer`] is not.
pub fn is_content(record: &Record) -> bool {
    !Transfer::is(record)
}

/// A record without its version, which every store assigns anew.
pub fn unversioned(mut record: Record) -> Record {
    match &mut record {
        Record::Channel(ChannelRecordKind::Channel(row)) => row.version = Version::ABSENT,
        Record::LinkNode(linknode::Record::LinkNode(row)) => row.version = Version::ABSENT,
        _ => {}
    }
    record
}
