//! What of a store is its content.

use channelcoord::Record;

/// Whether a record is part of what a store holds, so that a copy of the store must have it, a
/// digest covers it and an archive keeps it. What a store notes of its own making is not.
pub fn is_content(_record: &Record) -> bool {
    true
}
