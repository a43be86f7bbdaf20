//! The mark in a bbolt file.

use std::path::Path;

use super::super::tree::{Bucket, Entry};
use super::{Found, TOMBSTONE, TombstoneError};
use crate::bolt::{BoltWriter, Change};

/// Marks the file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), TombstoneError> {
    let writer = BoltWriter::open(path)?;
    let change = Change::Put { name: TOMBSTONE, key: TOMBSTONE, value: text.as_bytes() };
    let steps = writer.plan(change)?;
    find(&writer)?.require_none()?;
    Ok(writer.carry_out(&steps)?)
}

/// Removes the mark.
pub(super) fn remove(path: &Path) -> Result<Option<String>, TombstoneError> {
    let writer = BoltWriter::open(path)?;
    let steps = writer.plan(Change::Remove { name: TOMBSTONE })?;
    let text = match find(&writer)? {
        Found::Nothing => return Ok(None),
        Found::NoMark => None,
        Found::Mark(text) => Some(text),
    };
    writer.carry_out(&steps)?;
    Ok(text)
}

/// Looks for the mark in a file that was found sound.
fn find(writer: &BoltWriter) -> Result<Found, TombstoneError> {
    let root = Bucket::Bolt(writer.file().root());
    let Some(bucket) = root.bucket(TOMBSTONE)? else { return Ok(Found::Nothing) };
    let mut found = Found::NoMark;
    for entry in bucket.entries() {
        found = match entry? {
            (key, Entry::Value(value)) => found.with(&key, Some(&value))?,
            (key, Entry::Bucket(_)) => found.with(&key, None)?,
        };
    }
    Ok(found)
}
