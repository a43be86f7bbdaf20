//! What of a store is its content.

use channelcoord::Record;
use chanstate::{Record as ChannelRecordKind, Version};

/// Whether a record is part of what a store holds, so that a copy of the store must have it, a
/// digest covers it and an archive keeps it. What a store notes of its own making is not.
pub fn is_content(_record: &Record) -> bool {
    true
}

/// A record without its version, which every store assigns anew.
pub(crate) fn unversioned(mut record: Record) -> Record {
    match &mut record {
        Record::Channel(ChannelRecordKind::Channel(row)) => row.version = Version::ABSENT,
        Record::LinkNode(linknode::Record::LinkNode(row)) => row.version = Version::ABSENT,
        _ => {}
    }
    record
}
