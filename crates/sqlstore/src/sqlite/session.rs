//! Statements on single rows within one transaction.

use std::sync::Arc;

use channelcoord::{BackendError, PackageAck, Record, RecordRef, Subject};
use chanstate::key::RecordKey;
use chanstate::{Cause, Version};
use rusqlite::{CachedStatement, Connection};

use super::bind::{Parameters, bind};
use super::error::{Engine, Unwritten};
use super::text;
use crate::columns::Columns;
use crate::fault::Missing;
use crate::keys;
use crate::row::{Checksums, Damage, RowReader, RowWriter};
use crate::table::{self, EpochRow, StoreRow};
use crate::text::{ENTRIES, Entry};
use crate::value::Value;

/// What a statement does to a row.
#[derive(Clone, Copy)]
enum Verb {
    Get,
    Upsert,
    Replace,
    Delete,
    Version,
}

const VERBS: usize = 5;

/// A connection with the statements that were used so far.
///
/// Looking a statement up by its text costs about as much as running it, so each is looked up once.
pub(crate) struct Session<'c> {
    connection: &'c Connection,
    held: Vec<Option<CachedStatement<'c>>>,
    scratch: Vec<u8>,
    checksums: Checksums,
}

impl<'c> Session<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Session::reading(connection, Checksums::Checked)
    }

    /// A session that may read rows whose checksum is wrong.
    pub(crate) fn reading(connection: &'c Connection, checksums: Checksums) -> Self {
        let held = std::iter::repeat_with(|| None).take(ENTRIES * VERBS).collect();
        Session { connection, held, scratch: Vec::new(), checksums }
    }

    /// Where the store stands.
    pub(crate) fn store(&mut self) -> Result<StoreRow, BackendError> {
        let row = self.row::<StoreRow>(text::store(), &[Value::Int(1)], "store")?;
        let missing = || BackendError::Corrupt { record: "store".into(), cause: Arc::new(Missing) };
        row.ok_or_else(missing)
    }

    /// Reads a record.
    pub(crate) fn record(&mut self, key: &RecordKey) -> Result<Option<Record>, BackendError> {
        let entry = text::of_kind(key.kind);
        let Some(values) = keys::values(entry.table, key) else { return Ok(None) };
        self.get(entry, &values, key, |row| table::read(key.kind, row))
    }

    /// Reads a row of our own.
    fn row<T: Columns>(
        &mut self,
        entry: &'static Entry,
        key: &[Value<'_>],
        name: &str,
    ) -> Result<Option<T>, BackendError> {
        self.get(entry, key, name, T::read)
    }

    /// Sequence number of the store when an epoch began.
    pub(crate) fn began_at(&mut self, epoch: u64) -> Result<u64, BackendError> {
        let name = format!("epoch/{epoch}");
        let row = self.row::<EpochRow>(text::epoch(), &[Value::unsigned(epoch)], &name)?;
        let missing = || BackendError::Corrupt { record: name, cause: Arc::new(Missing) };
        row.map(|row| row.began_at).ok_or_else(missing)
    }

    /// The version of a subject.
    pub(crate) fn version(&mut self, subject: &Subject) -> Result<Version, Cause> {
        let key = subject.key();
        let entry = text::of_kind(key.kind);
        let values = keys::values(entry.table, &key).unwrap_or_default();
        let read = |statement: &mut CachedStatement<'_>| {
            bind(statement, values)?;
            let mut rows = statement.raw_query();
            let row = rows.next()?;
            row.map_or(Ok(0), |row| row.get::<_, i64>(0))
        };
        let version = self.statement(entry, Verb::Version).and_then(read);
        version
            .map(|version| Version(version.cast_unsigned()))
            .map_err(Engine::cause("reading a version"))
    }

    /// Writes a record.
    pub(crate) fn put(&mut self, record: RecordRef<'_>) -> Result<(), Unwritten> {
        let entry = text::of_kind(record.kind());
        self.put_with(entry, |row| table::write(record, row))
            .map_err(|source| Unwritten { record: record.key().to_string(), source })
    }

    /// Writes a row of our own.
    pub(crate) fn put_row(
        &mut self,
        entry: &'static Entry,
        row: &impl Columns,
    ) -> Result<(), Unwritten> {
        self.put_with(entry, |writer| row.write(writer))
            .map_err(|source| Unwritten { record: entry.table.name.to_owned(), source })
    }

    /// Removes a record if it exists.
    pub(crate) fn remove(&mut self, key: &RecordKey) -> Result<(), Unwritten> {
        let entry = text::of_kind(key.kind);
        let Some(values) = keys::values(entry.table, key) else { return Ok(()) };
        let delete = |statement: &mut CachedStatement<'_>| {
            bind(statement, values)?;
            statement.raw_execute().map(drop)
        };
        self.statement(entry, Verb::Delete)
            .and_then(delete)
            .map_err(|source| Unwritten { record: key.to_string(), source })
    }

    /// Acknowledges an update if it exists. Reads the row first, since its checksum covers all of it.
    pub(crate) fn ack(&mut self, ack: &PackageAck) -> Result<(), Cause> {
        let key = ack.key();
        let Some(mut record) = self.record(&key).map_err(|error| Arc::new(error) as Cause)? else {
            return Ok(());
        };
        if let Record::Channel(chanstate::Record::PackageUpdate(update)) = &mut record {
            update.acked = true;
        }
        self.put(record.as_ref()).map_err(|error| Arc::new(error) as Cause)
    }

    fn put_with(
        &mut self,
        entry: &'static Entry,
        write: impl Fn(&mut RowWriter<'_>),
    ) -> rusqlite::Result<()> {
        let changed = self.execute_row(entry, Verb::Upsert, &write)?;
        if changed == 0 && entry.statements.replace.is_some() {
            self.execute_row(entry, Verb::Replace, &write)?;
        }
        Ok(())
    }

    fn execute_row(
        &mut self,
        entry: &'static Entry,
        verb: Verb,
        write: impl Fn(&mut RowWriter<'_>),
    ) -> rusqlite::Result<usize> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let statement = self.statement(entry, verb)?;
        let mut parameters = Parameters::new(statement);
        let mut row = RowWriter::new(entry.table, &mut parameters, &mut scratch);
        write(&mut row);
        row.finish();
        parameters.finish()?;
        let changed = statement.raw_execute();
        self.scratch = scratch;
        changed
    }

    fn get<T>(
        &mut self,
        entry: &'static Entry,
        key: &[Value<'_>],
        name: impl ToString,
        read: impl FnOnce(&mut RowReader<'_>) -> Result<T, Damage>,
    ) -> Result<Option<T>, BackendError> {
        let checksums = self.checksums;
        let statement = match self.statement(entry, Verb::Get) {
            Ok(statement) => statement,
            Err(error) => return Err(Engine::reading(name)(error)),
        };
        if let Err(error) = bind(statement, key.iter().copied()) {
            return Err(Engine::reading(name)(error));
        }
        let mut rows = statement.raw_query();
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Engine::reading(name)(error)),
        };
        let row = RowReader::new(entry.table, row, checksums);
        let value = row.and_then(|mut row| read(&mut row));
        let damaged =
            |damage| BackendError::Corrupt { record: name.to_string(), cause: Arc::new(damage) };
        value.map(Some).map_err(damaged)
    }

    fn statement(
        &mut self,
        entry: &'static Entry,
        verb: Verb,
    ) -> rusqlite::Result<&mut CachedStatement<'c>> {
        let held = &mut self.held[entry.slot * VERBS + verb as usize];
        let statement = match held.take() {
            Some(statement) => statement,
            None => self.connection.prepare_cached(entry.text(verb))?,
        };
        Ok(held.insert(statement))
    }
}

impl Entry {
    fn text(&self, verb: Verb) -> &str {
        let statements = &self.statements;
        match verb {
            Verb::Get => &statements.get,
            Verb::Upsert => &statements.upsert,
            Verb::Replace => statements.replace.as_deref().unwrap_or(&statements.upsert),
            Verb::Delete => &statements.delete,
            Verb::Version => statements.version.as_deref().unwrap_or_default(),
        }
    }
}
