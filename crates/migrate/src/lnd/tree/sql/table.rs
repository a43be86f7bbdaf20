//! The statements over lnd's table.

use super::engine::{Cell, Engine, EngineCause, EngineError, Row};

/// lnd's table in a database.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) engine: Box<dyn Engine>,
    texts: Texts,
}

/// Statements that run once for each bucket or more often.
#[derive(Debug)]
struct Texts {
    first_page: String,
    next_page: String,
    first_top_page: String,
    next_top_page: String,
    get: String,
    get_top: String,
    up: String,
}

/// An entry of a bucket.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) id: i64,
    pub(super) key: Vec<u8>,
    /// `None` for a bucket.
    pub(super) value: Option<Vec<u8>>,
    pub(super) sequence: Option<i64>,
}

/// The parent and the key of a row.
pub(super) type Up = (Option<i64>, Vec<u8>);

impl Table {
    pub(super) fn new(engine: Box<dyn Engine>) -> Table {
        let table = engine.table();
        // Blobs sort bytewise and, in SQLite, above everything that is no blob.
        let page = |parent: &str, than: &str, after: &str, limit: &str| {
            format!(
                "select id, key, value, sequence from {table} where {parent} and key {than} {after} \
                 order by key limit {limit}"
            )
        };
        let get = |parent: &str, key: &str| {
            format!(
                "select id, key, value, sequence from {table} where {parent} and key = {key} limit 1"
            )
        };
        let texts = Texts {
            first_page: page("parent_id = $1", ">=", "$2", "$3"),
            next_page: page("parent_id = $1", ">", "$2", "$3"),
            first_top_page: page("parent_id is null", ">=", "$1", "$2"),
            next_top_page: page("parent_id is null", ">", "$1", "$2"),
            get: get("parent_id = $1", "$2"),
            get_top: get("parent_id is null", "$1"),
            up: format!("select parent_id, key from {table} where id = $1"),
        };
        Table { engine, texts }
    }

    /// Up to `limit` entries of a bucket whose keys are above `after`, in byte order.
    pub(super) fn page(
        &self,
        parent: Option<i64>,
        after: Option<&[u8]>,
        limit: i64,
    ) -> Result<Vec<EntryRow>, EngineError> {
        let texts = &self.texts;
        let text = match (parent, after) {
            (Some(_), None) => &texts.first_page,
            (Some(_), Some(_)) => &texts.next_page,
            (None, None) => &texts.first_top_page,
            (None, Some(_)) => &texts.next_top_page,
        };
        let mut parameters: Vec<_> = parent.map(Cell::Integer).into_iter().collect();
        parameters.push(Cell::Bytes(after.unwrap_or_default().to_vec()));
        parameters.push(Cell::Integer(limit));
        self.engine.rows(text, &parameters)?.into_iter().map(entry).collect()
    }

    /// The entry of a bucket with this key.
    pub(super) fn get(
        &self,
        parent: Option<i64>,
        key: &[u8],
    ) -> Result<Option<EntryRow>, EngineError> {
        let text = if parent.is_some() { &self.texts.get } else { &self.texts.get_top };
        let mut parameters: Vec<_> = parent.map(Cell::Integer).into_iter().collect();
        parameters.push(Cell::Bytes(key.to_vec()));
        self.engine.rows(text, &parameters)?.into_iter().next().map(entry).transpose()
    }

    /// The parent and the key of a row; `None` if there is no such row.
    pub(super) fn up(&self, id: i64) -> Result<Option<Up>, EngineError> {
        let rows = self.engine.rows(&self.texts.up, &[Cell::Integer(id)])?;
        let found = rows.into_iter().next();
        Ok(found.map(|mut row| (row.integer(), row.bytes().unwrap_or_default())))
    }

    /// Runs a statement in which `{table}` stands for the table, `{key_fault}` and `{fault}` for what
    /// is wrong with a row by itself.
    pub(super) fn ask(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        let text = text.replace("{table}", self.engine.table());
        let text = text.replace("{key_fault}", self.engine.key_fault());
        self.engine.rows(&text.replace("{fault}", self.engine.fault()), parameters)
    }
}

fn entry(mut row: Row) -> Result<EntryRow, EngineError> {
    let unexpected = || EngineError { doing: "reading a row", cause: EngineCause::Answer };
    Ok(EntryRow {
        id: row.integer().ok_or_else(unexpected)?,
        key: row.bytes().ok_or_else(unexpected)?,
        value: row.bytes(),
        sequence: row.integer(),
    })
}
