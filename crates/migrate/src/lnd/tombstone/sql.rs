//! The mark in lnd's table, in one transaction.

use std::path::Path;

use super::super::tree::sql::{Cell, Place, SqlTree, WriteSession};
use super::super::tree::{Survey, Tree};
use super::{Found, TOMBSTONE, TombstoneError};

/// A transaction on a database that was found sound. From its begin on, nobody else writes.
pub(super) struct Session(WriteSession);

impl Session {
    pub(super) fn sqlite(path: &Path) -> Result<Session, TombstoneError> {
        require_sound(SqlTree::open_sqlite(path)?)?;
        let session = WriteSession::sqlite(path)?;
        session.in_use()?.map_or(Ok(Session(session)), |user| Err(TombstoneError::InUse(user)))
    }

    pub(super) fn postgres(place: &Place) -> Result<Session, TombstoneError> {
        require_sound(SqlTree::open_postgres(place)?)?;
        Ok(Session(WriteSession::postgres(place)?))
    }

    /// Marks the table.
    pub(super) fn write(self, text: &str) -> Result<(), TombstoneError> {
        self.find()?.require_none()?;
        let Session(session) = self;
        session.clear(TOMBSTONE)?;
        let name = Cell::Bytes(TOMBSTONE.to_vec());
        let bucket = session.insert(None, name.clone(), Cell::Null)?;
        session.insert(Some(bucket), name, Cell::Bytes(text.as_bytes().to_vec()))?;
        Ok(session.commit()?)
    }

    /// Removes the mark.
    pub(super) fn remove(self) -> Result<Option<String>, TombstoneError> {
        let text = match self.find()? {
            Found::Nothing => return Ok(None),
            Found::NoMark => None,
            Found::Mark(text) => Some(text),
        };
        let Session(session) = self;
        session.clear(TOMBSTONE)?;
        session.commit()?;
        Ok(text)
    }

    fn find(&self) -> Result<Found, TombstoneError> {
        let Some(inside) = self.0.inside(TOMBSTONE)? else { return Ok(Found::Nothing) };
        let mut found = Found::NoMark;
        for (key, value) in inside {
            found = found.with(&key, value.as_deref())?;
        }
        Ok(found)
    }
}

/// Refuses a database that is damaged or in use.
fn require_sound(tree: SqlTree) -> Result<(), TombstoneError> {
    let tree = Tree::Sql(tree);
    if let Some(user) = tree.in_use()? {
        return Err(TombstoneError::InUse(user));
    }
    let Survey { damage, lost, .. } = tree.survey()?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(damage.into());
    }
    match lost.into_iter().next() {
        Some((place, what)) => Err(TombstoneError::Damaged { place, what }),
        None => Ok(()),
    }
}
