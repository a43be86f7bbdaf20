//! lnd's SQLite file, with its write-ahead log.
//!
//! The file is opened to be read only, so SQLite can neither write it nor move the log into it. Beside
//! it SQLite keeps its shared memory, through which it sees the log and the writer. Where that cannot
//! be made, in a directory that is not ours, nobody else can have it either: without a log the file is
//! read as it is, and with one both are copied to a place of our own first.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use tempfile::TempDir;
use url::Url;

use super::OpenError;
use super::engine::{Cell, Engine, EngineError, Row};
use super::write::Writing;

/// lnd's name for the table with channel state; other tables of the file are other databases.
const TABLE: &str = "channeldb_kv";

/// Memory for pages, in KiB with a minus sign.
const CACHE: i64 = -(32 << 10);

/// How long to wait for a writer, in milliseconds.
const BUSY_MS: i64 = 5_000;

/// Faults of SQLite's own structure that are shown.
const SHOWN: usize = 5;

/// Bytes of the range that SQLite locks in the file while somebody has it open, and their place.
const SHARED: (u64, u64) = ((1 << 30) + 2, 510);

/// A file with a snapshot.
#[derive(Debug)]
struct Sqlite {
    // Dropped first: a process that closes any handle of a file loses its locks on it.
    connection: Mutex<Connection>,
    path: PathBuf,
    file: File,
    /// What file and log were when the snapshot was taken.
    before: Print,
    /// The copy that is read instead.
    _copy: Option<TempDir>,
}

/// What tells one state of file and log from another.
#[derive(Debug, PartialEq, Eq)]
struct Print {
    file: Part,
    log: Option<Part>,
}

/// Size, time of the last write, and header. The file's header counts changes; that of the log is
/// another one each time the log is begun anew.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    size: u64,
    written: (i64, i64),
    header: Vec<u8>,
}

/// Opens a file and takes a snapshot.
pub(super) fn open(path: &Path) -> Result<impl Engine + use<>, OpenError> {
    let sqlite = look_into(path)?;
    sqlite.require_structure()?;
    Ok(sqlite)
}

/// Whether an SQLite file holds lnd's table.
pub(crate) fn holds_tree(path: &Path) -> bool {
    look_into(path).is_ok_and(|sqlite| sqlite.has_table().is_ok_and(|has| has))
}

fn look_into(path: &Path) -> Result<Sqlite, OpenError> {
    let failed = || EngineError::doing::<io::Error>("cannot open the file");
    let kind = fs::metadata(path).map_err(failed())?;
    if !kind.is_file() {
        return Err(OpenError::NotAFile);
    }
    // Of an empty file SQLite would delete the log.
    if kind.len() == 0 {
        return Err(OpenError::Empty);
    }
    let path = path.canonicalize().map_err(failed())?;
    let file = File::open(&path).map_err(failed())?;
    let before = Print::of(&file, &path).map_err(failed())?;
    let (connection, copy) = connect(&path, &file, &before)?;
    Ok(Sqlite { connection: Mutex::new(connection), path, file, before, _copy: copy })
}

/// Opens the file in the way that works, and takes a snapshot.
fn connect(
    path: &Path,
    file: &File,
    before: &Print,
) -> Result<(Connection, Option<TempDir>), OpenError> {
    let opening = || EngineError::doing::<rusqlite::Error>("cannot open the database");
    let in_place = match begin(Connection::open_with_flags(path, FLAGS)) {
        Err(error) if is_closed_directory(&error) => error,
        begun => return Ok((begun.map_err(opening())?, None)),
    };
    // Without shared memory nothing would tell what a writer does meanwhile. And a rollback journal
    // says that the file itself is in the middle of something, which only a writer can undo.
    let journal = fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0);
    if journal || user_of(file)?.is_some() {
        return Err(opening()(in_place).into());
    }
    if before.log.is_none() {
        let uri = unchanging_uri(path).map_err(EngineError::doing("cannot name the database"))?;
        let opened = Connection::open_with_flags(uri.as_str(), FLAGS | OpenFlags::SQLITE_OPEN_URI);
        return Ok((begin(opened).map_err(opening())?, None));
    }
    let copying = || EngineError::doing::<io::Error>("cannot copy the database with its log");
    let directory = tempfile::tempdir().map_err(copying())?;
    let copy = directory.path().join("channel.sqlite");
    fs::copy(path, &copy).map_err(copying())?;
    fs::copy(beside(path, "-wal"), beside(&copy, "-wal")).map_err(copying())?;
    if Print::of(file, path).map_err(copying())? != *before {
        let moved = io::Error::other("they were written meanwhile");
        return Err(copying()(moved).into());
    }
    let begun = begin(Connection::open_with_flags(&copy, FLAGS));
    Ok((begun.map_err(EngineError::doing("cannot open the copied database"))?, Some(directory)))
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Settles the connection and begins the transaction that everything is read in.
fn begin(opened: rusqlite::Result<Connection>) -> rusqlite::Result<Connection> {
    let connection = opened?;
    connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "query_only", 1)?;
    // A file that somebody tampered with runs no functions with side effects.
    connection.pragma_update(None, "trusted_schema", 0)?;
    connection.pragma_update(None, "cell_size_check", 1)?;
    connection.execute_batch("begin")?;
    // The first read takes the snapshot.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether SQLite could not make its shared memory beside the file.
fn is_closed_directory(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Names a file that nobody writes.
fn unchanging_uri(path: &Path) -> io::Result<Url> {
    let path = std::path::absolute(path)?;
    let no_url = || io::Error::other("its path cannot be written as a URL");
    let mut uri = Url::from_file_path(path).map_err(|()| no_url())?;
    uri.set_query(Some("immutable=1"));
    Ok(uri)
}

/// Another process that has the file open: it holds a lock for as long as it is connected.
fn user_of(file: &File) -> Result<Option<String>, EngineError> {
    let (start, length) = SHARED;
    let (typ, offset_type) = (FlockType::WriteLock, FlockOffsetType::Set);
    let asked = fcntl_getlk(file, &Flock { start, length, pid: None, typ, offset_type });
    let held =
        asked.map_err(io::Error::from).map_err(EngineError::doing("cannot ask for locks"))?;
    // Our own connection is not in our way.
    Ok(held.map(|lock| match lock.pid {
        Some(pid) => format!("process {} has it open", pid.as_raw_nonzero()),
        None => "another process has it open".to_owned(),
    }))
}

impl Sqlite {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_table(&self) -> Result<bool, EngineError> {
        let exists = "select 1 from sqlite_schema where name = $1 and type = 'table'";
        Ok(!self.rows(exists, &[Cell::Text(TABLE.into())])?.is_empty())
    }

    /// Requires that SQLite finds no fault with the table and its indexes: a row that an index has
    /// not would be missed without a word.
    fn require_structure(&self) -> Result<(), OpenError> {
        if !self.has_table()? {
            return Err(OpenError::NoTable(TABLE.into()));
        }
        let found = self.rows(&format!("pragma integrity_check({TABLE})"), &[])?;
        let found: Vec<_> = found.into_iter().filter_map(|mut row| row.text()).collect();
        // What the rows themselves say is looked at row by row.
        let faults =
            found.into_iter().filter(|fault| fault != "ok" && !fault.starts_with("NULL value in "));
        let faults: Vec<_> = faults.take(SHOWN).collect();
        if faults.is_empty() { Ok(()) } else { Err(OpenError::Structure(faults.join("; "))) }
    }
}

fn ask(connection: &Connection, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
    let run = || -> rusqlite::Result<Vec<Row>> {
        let mut statement = connection.prepare_cached(text)?;
        let columns = statement.column_count();
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            let cells = (0..columns).map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Text(number.to_string()),
                    ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                })
            });
            Ok(Row::new(cells.collect::<rusqlite::Result<_>>()?))
        })?;
        rows.collect()
    };
    run().map_err(EngineError::doing("cannot read the database"))
}

impl Engine for Sqlite {
    fn table(&self) -> &str {
        TABLE
    }

    fn key_fault(&self) -> &'static str {
        "case when typeof(key) <> 'blob' then 'its key is ' || typeof(key) || ', not bytes' \
         when length(key) = 0 then 'its key is empty' end"
    }

    fn fault(&self) -> &'static str {
        "case when typeof(value) not in ('blob', 'null') then 'its value is ' || typeof(value) || ', not bytes' \
         when parent_id is null and value is not null then 'is a value, a bucket belongs here' \
         when typeof(sequence) not in ('integer', 'null') then 'its sequence is ' || typeof(sequence) \
         when sequence < 0 then 'its sequence is negative: ' || sequence \
         when value is not null and sequence <> 0 then 'is a value and has a sequence: ' || sequence \
         end"
    }

    fn require_columns(&self) -> Result<(), OpenError> {
        let found =
            self.rows("select name from pragma_table_info($1)", &[Cell::Text(TABLE.into())])?;
        let found: Vec<_> = found.into_iter().filter_map(|mut row| row.text()).collect();
        for column in ["key", "value", "parent_id", "id", "sequence"] {
            if !found.iter().any(|name| name == column) {
                let (table, fault) = (TABLE.to_owned(), "is missing".to_owned());
                return Err(OpenError::Column { table, column, fault });
            }
        }
        Ok(())
    }

    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        ask(&self.connection(), text, parameters)
    }

    fn walk_ahead(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn in_use(&self) -> Result<Option<String>, EngineError> {
        user_of(&self.file)
    }

    fn moved(&self) -> Result<Option<String>, EngineError> {
        if let Some(user) = self.in_use()? {
            return Ok(Some(user));
        }
        let now = Print::of(&self.file, &self.path);
        let now = now.map_err(EngineError::doing("cannot look at the file again"))?;
        Ok((now != self.before).then(|| "the file or its log was written".to_owned()))
    }
}

impl Print {
    fn of(file: &File, path: &Path) -> io::Result<Print> {
        let log = match File::open(beside(path, "-wal")) {
            Ok(log) => Some(Part::of(&log)?).filter(|log| log.size > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Print { file: Part::of(file)?, log })
    }
}

impl Part {
    fn of(file: &File) -> io::Result<Part> {
        let kind = file.metadata()?;
        let mut header = vec![0; 100];
        let read = file.read_at(&mut header, 0)?;
        header.truncate(read);
        Ok(Part { size: kind.len(), written: (kind.mtime(), kind.mtime_nsec()), header })
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// A connection that writes, in a transaction.
#[derive(Debug)]
pub(super) struct Writer {
    // Dropped first, as above.
    connection: Connection,
    file: File,
}

impl Writer {
    /// Opens a file that is there. Whoever else has it open is not waited for.
    pub(super) fn begin(path: &Path) -> Result<Writer, EngineError> {
        let file = File::open(path).map_err(EngineError::doing("cannot open the file"))?;
        let begin = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.pragma_update(None, "busy_timeout", 0)?;
            // FULL, also where a plain sync does not reach the disk (macOS).
            connection.pragma_update(None, "synchronous", 2)?;
            connection.pragma_update(None, "fullfsync", 1)?;
            connection.pragma_update(None, "trusted_schema", 0)?;
            connection.pragma_update(None, "foreign_keys", 1)?;
            connection.execute_batch("begin exclusive")?;
            Ok(connection)
        };
        let begun = begin().map_err(EngineError::doing("cannot open the database to write"));
        Ok(Writer { connection: begun?, file })
    }
}

impl Writing for Writer {
    fn table(&self) -> &str {
        TABLE
    }

    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        ask(&self.connection, text, parameters)
    }

    fn in_use(&self) -> Result<Option<String>, EngineError> {
        user_of(&self.file)
    }

    fn commit(self: Box<Self>) -> Result<(), EngineError> {
        let committed = self.connection.execute_batch("commit");
        committed.map_err(EngineError::doing("cannot commit"))
    }
}
