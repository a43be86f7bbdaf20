//! The mark in a bbolt file.

use std::path::Path;

use super::super::tree::{Bucket, Entry};
use super::{Found, TOMBSTONE, TombstoneError};
use crate::bolt::{BoltWriter, Change};
use crate::identity::Identity;

/// A sound file under an exclusive lock.
pub(super) struct Session(BoltWriter);

impl Session {
    pub(super) fn open(path: &Path) -> Result<Session, TombstoneError> {
        let writer = BoltWriter::open(path)?;
        // Refuses a file that is damaged.
        writer.plan(Change::Remove { name: TOMBSTONE })?;
        Ok(Session(writer))
    }

    pub(super) fn identity(&self) -> Result<Identity, TombstoneError> {
        let file = self.0.file();
        let digest = file.fingerprint().map_err(crate::bolt::EditError::from)?;
        Ok(Identity { seq: file.info().meta().txid, digest })
    }

    /// Refuses a text that has no room.
    pub(super) fn require_room(&self, text: &str) -> Result<(), TombstoneError> {
        Ok(self.0.plan(put(text)).map(drop)?)
    }

    /// Marks the file.
    pub(super) fn write(self, text: &str) -> Result<(), TombstoneError> {
        self.find()?.require_none()?;
        let steps = self.0.plan(put(text))?;
        Ok(self.0.carry_out(&steps)?)
    }

    /// What the file will be once the mark is removed.
    pub(super) fn identity_unmarked(&self) -> Result<Identity, TombstoneError> {
        let steps = self.0.plan(Change::Remove { name: TOMBSTONE })?;
        let (seq, digest) = self.0.fingerprint_after(&steps)?;
        Ok(Identity { seq, digest })
    }

    /// Removes the mark.
    pub(super) fn remove(self) -> Result<Option<String>, TombstoneError> {
        let text = match self.find()? {
            Found::Nothing => return Ok(None),
            Found::NoMark => None,
            Found::Mark(text) => Some(text),
        };
        let steps = self.0.plan(Change::Remove { name: TOMBSTONE })?;
        self.0.carry_out(&steps)?;
        Ok(text)
    }

    /// Looks for the mark.
    pub(super) fn find(&self) -> Result<Found, TombstoneError> {
        let root = Bucket::Bolt(self.0.file().root());
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
}

fn put(text: &str) -> Change<'_> {
    Change::Put { name: TOMBSTONE, key: TOMBSTONE, value: text.as_bytes() }
}
