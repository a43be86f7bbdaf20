//! Connections and their settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use channelcoord::BackendError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::error::Engine;
use crate::open::OpenError;
use crate::text::ENTRIES;

/// Bytes of a page.
///
/// Measured with commits of 45 kB (300 HTLCs in flight) and of 2.3 kB, one by one: commits per
/// second are those of the disk's sync for every size, and bytes written grow with the page, since a
/// commit touches a handful of small rows (105, 141, 182 kB and 29, 55, 69 kB for pages of 4, 8 and
/// 16 kB).
const PAGE_SIZE: i64 = 4096;

/// Pages of the log after which it is copied into the database: 16 MiB.
///
/// The commit that reaches it waits for the copy, about 20 ms on the disk measured. A log of 4 MiB
/// writes a few percent more, since fewer rewrites of a page fall together; one of 64 MiB writes a
/// quarter less, but stalls for 35 to 50 ms and is read whole when a store opens after a crash.
const CHECKPOINT_PAGES: i64 = 4096;

/// Size that the log file is cut down to when it grew larger, behind a long read for example.
const LOG_BYTES: i64 = 64 << 20;

/// Memory of a connection for pages, in KiB with a minus sign.
const CACHE: i64 = -(32 << 10);

/// How long to wait for another process that writes, for example an operator's shell.
const BUSY_MS: i64 = 5_000;

/// Settings of every connection.
const COMMON: &[(&str, i64)] = &[
    ("busy_timeout", BUSY_MS),
    ("cache_size", CACHE),
    // In memory.
    ("temp_store", 2),
    // Views and defaults of a file that somebody tampered with run no functions with side effects.
    ("trusted_schema", 0),
    // Damaged pages are reported instead of being walked.
    ("cell_size_check", 1),
];

/// Settings of the connection that writes.
const WRITING: &[(&str, i64)] = &[
    // FULL: the log is synced before a COMMIT returns.
    ("synchronous", 2),
    // Where a plain sync does not reach the disk (macOS).
    ("fullfsync", 1),
    ("checkpoint_fullfsync", 1),
    ("foreign_keys", 1),
    ("wal_autocheckpoint", CHECKPOINT_PAGES),
    ("journal_size_limit", LOG_BYTES),
];

/// Settings of a connection that reads.
const READING: &[(&str, i64)] = &[("query_only", 1)];

/// Opens a connection to write. The file must exist.
pub(crate) fn writing(path: &Path) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Opens a connection to read.
pub(crate) fn reading(path: &Path) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a connection to read a file to which nobody writes, without any file beside it.
pub(crate) fn reading_unchanging(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open(Path::new(&unchanging_uri(path)), flags)
}

// Each connection is behind a mutex, so SQLite needs none of its own.
fn open(path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    let opened = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    Ok(opened.map_err(Engine::doing("opening"))?)
}

/// Settles the format of a new file. Takes effect with the first table.
pub(crate) fn format(connection: &Connection) -> Result<(), OpenError> {
    set(connection, "page_size", PAGE_SIZE)
}

/// Makes a connection ready to write.
pub(crate) fn prepare_to_write(connection: &Connection) -> Result<(), OpenError> {
    let engine = Engine::doing("setting journal_mode");
    connection.pragma_update(None, "journal_mode", "wal").map_err(engine)?;
    check(connection, "journal_mode", "wal")?;
    prepare(connection, WRITING)
}

/// Makes a connection ready to read.
pub(crate) fn prepare_to_read(connection: &Connection) -> Result<(), OpenError> {
    prepare(connection, READING)
}

/// Copies the log into the database, empties it, and closes the connection.
pub(crate) fn close(connection: Connection) -> Result<(), BackendError> {
    // Readers of other processes are not waited for. While there are any, the pragma leaves the rest
    // of the log and says so in its row: the log is durable, and the next to open the store goes on.
    let empty = connection
        .busy_timeout(Duration::ZERO)
        .and_then(|()| connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())));
    let closed = connection.close().map_err(|(_, error)| error);
    empty
        .and(closed)
        .map_err(|error| BackendError::Unavailable(Arc::new(Engine::doing("closing")(error))))
}

fn prepare(connection: &Connection, settings: &[(&'static str, i64)]) -> Result<(), OpenError> {
    connection.set_prepared_statement_cache_capacity(ENTRIES * STATEMENTS);
    let mut settings = COMMON.iter().chain(settings);
    settings.try_for_each(|(name, value)| set(connection, name, *value))
}

/// More than the statements of any table.
const STATEMENTS: usize = 16;

/// Sets a value and reads it back: a setting that SQLite does not know is ignored without an error.
fn set(connection: &Connection, name: &'static str, value: i64) -> Result<(), OpenError> {
    connection.pragma_update(None, name, value).map_err(Engine::doing("setting a pragma"))?;
    check(connection, name, &value.to_string())
}

fn check(connection: &Connection, name: &'static str, expected: &str) -> Result<(), OpenError> {
    let found = connection.pragma_query_value(None, name, |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(value) => value.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        })
    });
    let found = found.map_err(Engine::doing("reading a pragma"))?;
    if found == expected {
        Ok(())
    } else {
        Err(OpenError::Setting { name, expected: expected.to_owned(), found })
    }
}

fn unchanging_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}
