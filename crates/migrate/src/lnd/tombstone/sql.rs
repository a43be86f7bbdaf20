//! The mark in lnd's table, in one transaction.

use std::path::Path;

use super::super::source::{Refused, Walk};
use super::super::tree::sql::{Cell, OpenError, Place, SqlTree};
use super::super::tree::{Bucket, Survey};
use super::{Found, TOMBSTONE, TombstoneError};
use crate::identity::Identity;

/// A sound database in a transaction. From its begin on, nobody else writes.
pub(super) struct Session(SqlTree);

impl Session {
    pub(super) fn sqlite(path: &Path) -> Result<Session, TombstoneError> {
        Session::of(SqlTree::open_sqlite_to_write(path))
    }

    pub(super) fn postgres(place: &Place) -> Result<Session, TombstoneError> {
        Session::of(SqlTree::open_postgres_to_write(place))
    }

    /// Refuses a database that is damaged or in use.
    fn of(opened: Result<SqlTree, OpenError>) -> Result<Session, TombstoneError> {
        let tree = opened.map_err(|error| match error {
            OpenError::Engine(error) => TombstoneError::Engine(error),
            other => TombstoneError::Sql(other),
        })?;
        if let Some(user) = tree.in_use()? {
            return Err(TombstoneError::InUse(user));
        }
        let Survey { damage, lost, .. } = tree.survey();
        if let Some(damage) = damage.first() {
            return Err(damage.clone().into());
        }
        match lost.first() {
            Some((place, what)) => {
                Err(TombstoneError::Damaged { place: place.clone(), what: what.clone() })
            }
            None => Ok(Session(tree)),
        }
    }

    pub(super) fn identity(&self) -> Result<Identity, TombstoneError> {
        self.identity_without(&Refused::default())
    }

    /// What the table will be once the mark is removed.
    pub(super) fn identity_unmarked(&self) -> Result<Identity, TombstoneError> {
        let mut mark = Refused::default();
        mark.add(vec![TOMBSTONE.to_vec()]);
        self.identity_without(&mark)
    }

    fn identity_without(&self, refused: &Refused) -> Result<Identity, TombstoneError> {
        let root = Bucket::Sql(self.0.root());
        Ok(Identity::of_walk(Walk::of(&root, refused))?)
    }

    /// Marks the table.
    pub(super) fn write(self, text: &str) -> Result<(), TombstoneError> {
        self.find()?.require_none()?;
        let Session(tree) = self;
        tree.clear(TOMBSTONE)?;
        let name = Cell::Bytes(TOMBSTONE.to_vec());
        let bucket = tree.insert(None, name.clone(), Cell::Null)?;
        tree.insert(Some(bucket), name, Cell::Bytes(text.as_bytes().to_vec()))?;
        Ok(tree.commit()?)
    }

    /// Removes the mark.
    pub(super) fn remove(self) -> Result<Option<String>, TombstoneError> {
        let text = match self.find()? {
            Found::Nothing => return Ok(None),
            Found::NoMark => None,
            Found::Mark(text) => Some(text),
        };
        let Session(tree) = self;
        tree.clear(TOMBSTONE)?;
        tree.commit()?;
        Ok(text)
    }

    /// Looks for the mark.
    pub(super) fn find(&self) -> Result<Found, TombstoneError> {
        let Some(inside) = self.0.inside(TOMBSTONE)? else { return Ok(Found::Nothing) };
        let mut found = Found::NoMark;
        for (key, value) in inside {
            found = found.with(&key, value.as_deref())?;
        }
        Ok(found)
    }
}
