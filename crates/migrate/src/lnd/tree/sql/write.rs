//! A transaction that changes one top-level bucket of lnd's table.
//!
//! Locks keep every other writer out from its first statement to its end, so that what is read in it is
//! what is changed.

use std::path::Path;

use super::engine::{Cell, EngineCause, EngineError, Row};
use super::{OpenError, Place, SqlTree, postgres, sqlite};

/// A key and its value.
pub(crate) type Inside = (Vec<u8>, Option<Vec<u8>>);

/// A tree in a transaction. Nothing of it is stored unless it is committed.
impl SqlTree {
    /// As [`SqlTree::open_sqlite`], to be written.
    pub(crate) fn open_sqlite_to_write(path: &Path) -> Result<SqlTree, OpenError> {
        SqlTree::open(sqlite::open_to_write(path)?)
    }

    /// As [`SqlTree::open_postgres`], to be written.
    pub(crate) fn open_postgres_to_write(place: &Place) -> Result<SqlTree, OpenError> {
        SqlTree::open(postgres::open_to_write(place)?)
    }

    fn run(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        self.table.engine.rows(text, parameters)
    }

    /// The entries of a top-level bucket; `None` if there is none. An entry that is a bucket has no
    /// value.
    pub(crate) fn inside(&self, name: &[u8]) -> Result<Option<Vec<Inside>>, EngineError> {
        let table = self.table.engine.table();
        let name = [Cell::Bytes(name.to_vec())];
        let bucket = format!("select id from {table} where parent_id is null and key = $1");
        if self.run(&bucket, &name)?.is_empty() {
            return Ok(None);
        }
        let inside =
            format!("select key, value from {table} where parent_id in ({bucket}) limit 2");
        let rows = self.run(&inside, &name)?;
        let entry = |mut row: Row| (row.bytes().unwrap_or_default(), row.bytes());
        Ok(Some(rows.into_iter().map(entry).collect()))
    }

    /// Deletes a top-level bucket and the values in it.
    pub(crate) fn clear(&self, name: &[u8]) -> Result<(), EngineError> {
        let table = self.table.engine.table();
        let name = [Cell::Bytes(name.to_vec())];
        let inside = format!(
            "delete from {table} where parent_id in \
             (select id from {table} where parent_id is null and key = $1)"
        );
        self.run(&inside, &name)?;
        let bucket = format!("delete from {table} where parent_id is null and key = $1");
        self.run(&bucket, &name).map(drop)
    }

    /// Inserts a row; returns its number.
    pub(crate) fn insert(
        &self,
        parent: Option<i64>,
        key: Cell,
        value: Cell,
    ) -> Result<i64, EngineError> {
        let table = self.table.engine.table();
        let returned = match (parent, value) {
            (None, Cell::Null) => {
                let text = format!("insert into {table} (key) values ($1) returning id");
                self.run(&text, &[key])
            }
            (parent, value) => {
                let text = format!(
                    "insert into {table} (key, value, parent_id) values ($1, $2, $3) returning id"
                );
                let parent = parent.map_or(Cell::Null, Cell::Integer);
                self.run(&text, &[key, value, parent])
            }
        };
        let id = returned?.into_iter().next().and_then(|mut row| row.integer());
        id.ok_or(EngineError { doing: "cannot insert a row", cause: EngineCause::Answer })
    }

    /// Makes everything durable.
    pub(crate) fn commit(&self) -> Result<(), EngineError> {
        self.table.engine.commit()
    }
}
