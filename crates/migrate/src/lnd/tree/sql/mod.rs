//! The tree as rows of a table, as lnd keeps it in SQLite and PostgreSQL.
//!
//! A row is an entry of the bucket that its `parent_id` names; a row without a value is a bucket, a
//! row without a parent belongs to the top level. Nothing but the table's constraints makes a tree of
//! that, and a file or a dump can come without them: `SqlTree::open` looks at all rows before any of
//! them is used. After that, a row that was found damaged shows as a bucket that cannot be read.
//!
//! | Module | Content |
//! |---|---|
//! | `engine` | what a database is asked, and what it answers |
//! | `sqlite`, `postgres` | the two databases, each with one snapshot for everything that is read |
//! | `table` | the statements |
//! | `bucket` | entries and look-ups for callers |
//! | `survey` | the look at all rows |
//! | `write` | a transaction that changes one bucket |

mod bucket;
mod engine;
mod postgres;
mod sqlite;
mod survey;
mod table;
mod write;

use std::collections::HashMap;
use std::path::Path;

use thiserror::Error;

use self::engine::Engine;
use self::table::Table;
use super::Survey;

pub use self::bucket::{Bucket, Entries};
pub(crate) use self::engine::Cell;
pub use self::engine::EngineError;
pub use self::postgres::Place;
pub(crate) use self::sqlite::holds_tree;
pub(crate) use self::write::WriteSession;

/// Why a database cannot be used at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database does not answer, or its own structure is damaged.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// A file of zero bytes.
    #[error("no database: the file is empty")]
    Empty,
    /// There is no such table.
    #[error("there is no table {0}")]
    NoTable(String),
    /// The table is not as lnd makes it.
    #[error("table {table}: column {column} {fault}")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// Rows cannot be told apart.
    #[error("table {table} has more than one row {id}")]
    Ids {
        /// The table.
        table: String,
        /// The number.
        id: String,
    },
    /// SQLite's check of its own structure failed, so rows may be missing unnoticed.
    #[error("the database is damaged: {0}")]
    Structure(String),
    /// So much is damaged that even the list of it takes too much.
    #[error("the table is damaged throughout")]
    TooMuchDamage,
}

/// A tree in a table, read in one snapshot for as long as this value lives.
#[derive(Debug)]
pub struct SqlTree {
    table: Table,
    survey: Survey,
    /// What is wrong with a row, by its number.
    damaged: HashMap<i64, String>,
}

impl SqlTree {
    /// Opens the tree in an SQLite file, with its log if there is one. Nothing is written to either.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open_sqlite(path: &Path) -> Result<SqlTree, OpenError> {
        SqlTree::open(sqlite::open(path)?)
    }

    /// Opens the tree in a PostgreSQL database.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open_postgres(place: &Place) -> Result<SqlTree, OpenError> {
        SqlTree::open(postgres::open(place)?)
    }

    /// Looks at all rows.
    fn open(engine: impl Engine + 'static) -> Result<SqlTree, OpenError> {
        let table = Table::new(Box::new(engine));
        table.engine.require_columns()?;
        let (survey, damaged) = survey::run(&table)?;
        table.engine.walk_ahead()?;
        Ok(SqlTree { table, survey, damaged })
    }

    pub(super) fn root(&self) -> Bucket<'_> {
        Bucket::root(self)
    }

    /// What the look at all rows found.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    pub(super) fn in_use(&self) -> Result<Option<String>, EngineError> {
        self.table.engine.in_use()
    }

    pub(super) fn moved(&self) -> Result<Option<String>, EngineError> {
        self.table.engine.moved()
    }
}
