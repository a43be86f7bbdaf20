//! Log updates, alone as in forwarding packages and in lists.

use bytes::Bytes;
use chanstate::{LogIndex, LogUpdate};

use super::cursor::Cursor;
use super::error::{EncodeError, LndError};
use super::writer::Writer;

const UPDATE: &str = "log update";
const UPDATE_LIST: &str = "log update list";

/// Reads a log update, the value of a forwarding package's update.
///
/// The message's body must be valid for its type; what type it has is not looked at.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode(bytes: Bytes) -> Result<LogUpdate, LndError> {
    Cursor::whole(UPDATE, bytes, read)
}

/// Returns the canonical encoding of a log update.
///
/// # Errors
///
/// None for a message that [`Message::new`](chanstate::message::Message::new) accepted.
pub fn encode(update: &LogUpdate) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(UPDATE);
    write(&mut out, update)?;
    Ok(out.finish())
}

/// Reads the value of `unsigned-acked-updates-key` or `remote-unsigned-local-updates-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_list(bytes: Bytes) -> Result<Vec<LogUpdate>, LndError> {
    Cursor::whole(UPDATE_LIST, bytes, read_list)
}

/// Returns the canonical encoding of a list of log updates.
///
/// # Errors
///
/// [`EncodeFault::TooLong`](super::EncodeFault::TooLong) above 65535 updates.
pub fn encode_list(updates: &[LogUpdate]) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(UPDATE_LIST);
    write_list(&mut out, updates)?;
    Ok(out.finish())
}

pub(super) fn read_list(cursor: &mut Cursor) -> Result<Vec<LogUpdate>, LndError> {
    let count = cursor.u16("number of updates")?;
    // No reservation: the count may be damaged.
    let mut updates = Vec::new();
    for _ in 0..count {
        updates.push(read(cursor)?);
    }
    Ok(updates)
}

pub(super) fn write_list(out: &mut Writer, updates: &[LogUpdate]) -> Result<(), EncodeError> {
    out.count("number of updates", updates.len())?;
    updates.iter().try_for_each(|update| write(out, update))
}

fn read(cursor: &mut Cursor) -> Result<LogUpdate, LndError> {
    let log_index = LogIndex(cursor.u64("log index")?);
    Ok(LogUpdate { log_index, message: cursor.message("update message")? })
}

fn write(out: &mut Writer, update: &LogUpdate) -> Result<(), EncodeError> {
    out.u64(update.log_index.0);
    out.message("update message", &update.message)
}
