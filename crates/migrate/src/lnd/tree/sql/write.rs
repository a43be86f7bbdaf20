//! A transaction that changes one top-level bucket of lnd's table.
//!
//! Locks keep everybody else out from its first statement to its end.

use std::path::Path;

use super::engine::{Cell, EngineCause, EngineError, Row};
use super::{Place, postgres, sqlite};

/// A transaction. Nothing of it is stored unless it is committed.
#[derive(Debug)]
pub(crate) struct WriteSession {
    engine: Box<dyn Writing>,
}

/// A database in a transaction that may write.
pub(super) trait Writing: std::fmt::Debug {
    /// The table, quoted for statements.
    fn table(&self) -> &str;

    /// Runs a statement, as [`Engine::rows`](super::engine::Engine::rows).
    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError>;

    /// Who else has the database open, as far as that can be told.
    fn in_use(&self) -> Result<Option<String>, EngineError>;

    /// Makes everything durable.
    fn commit(self: Box<Self>) -> Result<(), EngineError>;
}

/// A key and its value.
pub(crate) type Inside = (Vec<u8>, Option<Vec<u8>>);

impl WriteSession {
    pub(crate) fn sqlite(path: &Path) -> Result<WriteSession, EngineError> {
        Ok(WriteSession { engine: Box::new(sqlite::Writer::begin(path)?) })
    }

    pub(crate) fn postgres(place: &Place) -> Result<WriteSession, EngineError> {
        Ok(WriteSession { engine: Box::new(postgres::Writer::begin(place)?) })
    }

    /// Who else has the database open, as far as that can be told.
    pub(crate) fn in_use(&self) -> Result<Option<String>, EngineError> {
        self.engine.in_use()
    }

    /// The entries of a top-level bucket; `None` if there is none. An entry that is a bucket has no
    /// value.
    pub(crate) fn inside(&self, name: &[u8]) -> Result<Option<Vec<Inside>>, EngineError> {
        let table = self.engine.table();
        let name = [Cell::Bytes(name.to_vec())];
        let bucket = format!("select id from {table} where parent_id is null and key = $1");
        if self.engine.rows(&bucket, &name)?.is_empty() {
            return Ok(None);
        }
        let inside =
            format!("select key, value from {table} where parent_id in ({bucket}) limit 2");
        let rows = self.engine.rows(&inside, &name)?;
        let entry = |mut row: Row| (row.bytes().unwrap_or_default(), row.bytes());
        Ok(Some(rows.into_iter().map(entry).collect()))
    }

    /// Deletes a top-level bucket and the values in it.
    pub(crate) fn clear(&self, name: &[u8]) -> Result<(), EngineError> {
        let table = self.engine.table();
        let name = [Cell::Bytes(name.to_vec())];
        let inside = format!(
            "delete from {table} where parent_id in \
             (select id from {table} where parent_id is null and key = $1)"
        );
        self.engine.rows(&inside, &name)?;
        let bucket = format!("delete from {table} where parent_id is null and key = $1");
        self.engine.rows(&bucket, &name).map(drop)
    }

    /// Inserts a row; returns its number.
    pub(crate) fn insert(
        &self,
        parent: Option<i64>,
        key: Cell,
        value: Cell,
    ) -> Result<i64, EngineError> {
        let table = self.engine.table();
        let returned = match (parent, value) {
            (None, Cell::Null) => {
                let text = format!("insert into {table} (key) values ($1) returning id");
                self.engine.rows(&text, &[key])
            }
            (parent, value) => {
                let text = format!(
                    "insert into {table} (key, value, parent_id) values ($1, $2, $3) returning id"
                );
                let parent = parent.map_or(Cell::Null, Cell::Integer);
                self.engine.rows(&text, &[key, value, parent])
            }
        };
        let id = returned?.into_iter().next().and_then(|mut row| row.integer());
        id.ok_or(EngineError { doing: "cannot insert a row", cause: EngineCause::Answer })
    }

    /// Makes everything durable.
    pub(crate) fn commit(self) -> Result<(), EngineError> {
        self.engine.commit()
    }
}
