//! What a database is asked, and what it answers.

use std::fmt;

use thiserror::Error;

use super::OpenError;

/// A database with a snapshot that does not change.
pub(super) trait Engine: fmt::Debug + Send + Sync {
    /// The table, quoted for statements.
    fn table(&self) -> &str;

    /// Says of a row in words what is wrong with its key: an expression that is null for a good row.
    fn key_fault(&self) -> &'static str;

    /// As [`key_fault`](Engine::key_fault), of its other columns.
    fn fault(&self) -> &'static str;

    /// Requires the columns of lnd's table.
    fn require_columns(&self) -> Result<(), OpenError>;

    /// Runs a statement; its parameters are `$1`, `$2` and so on, in the order of their first use.
    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError>;

    /// From here on, rows are asked for in key order.
    fn walk_ahead(&self) -> Result<(), EngineError>;

    /// Who else has the database open, as far as that can be told.
    fn in_use(&self) -> Result<Option<String>, EngineError>;

    /// What tells that the table is not any more what the snapshot shows.
    fn moved(&self) -> Result<Option<String>, EngineError>;

    /// Ends the transaction, and makes durable what was written in it.
    fn commit(&self) -> Result<(), EngineError>;
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Bytes(Vec<u8>),
    Text(String),
}

/// The values of a row, taken from the left.
#[derive(Debug)]
pub(super) struct Row(std::vec::IntoIter<Cell>);

impl Row {
    pub(super) fn new(cells: Vec<Cell>) -> Row {
        Row(cells.into_iter())
    }

    /// The next value, if it is a number.
    pub(super) fn integer(&mut self) -> Option<i64> {
        match self.0.next()? {
            Cell::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The next value as bytes. One of another type is shown; the look at all rows has named it.
    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.0.next()? {
            Cell::Bytes(bytes) => Some(bytes),
            Cell::Text(text) => Some(text.into_bytes()),
            Cell::Integer(number) => Some(number.to_string().into_bytes()),
            Cell::Null => None,
        }
    }

    /// The next value, if it is a text.
    pub(super) fn text(&mut self) -> Option<String> {
        match self.0.next()? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What a database said instead of an answer.
#[derive(Debug, Error)]
#[error("{doing}")]
pub struct EngineError {
    /// What was being done.
    pub(super) doing: &'static str,
    /// What came of it.
    #[source]
    pub(super) cause: EngineCause,
}

/// Who said it.
#[derive(Debug, Error)]
pub(super) enum EngineCause {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the threads that talk to the server stopped")]
    Stopped,
    #[error("unexpected answer")]
    Answer,
}

impl EngineError {
    pub(super) fn doing<E: Into<EngineCause>>(
        doing: &'static str,
    ) -> impl FnOnce(E) -> EngineError {
        move |cause| EngineError { doing, cause: cause.into() }
    }

    /// Whether the content of the database is at fault, not the way to it.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match &self.cause {
            EngineCause::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            EngineCause::Postgres(sqlx::Error::Database(error)) => {
                // Damaged data, damaged index.
                matches!(error.code().as_deref(), Some("XX001" | "XX002"))
            }
            _ => false,
        }
    }
}
