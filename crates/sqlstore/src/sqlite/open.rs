//! Opening a store.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};

use super::SqliteBackend;
use super::connection;
use super::error::{Engine, is_damage};
use super::lock::{StoreLock, Unlocked, lock_path};
use super::session::Session;
use super::text;
use crate::open::{OpenError, StoreName};
use crate::schema::{NEWEST, SQLITE, STEPS, Step};
use crate::table::{FORMAT, StoreRow};

/// Marks a database as a store: "chst".
const APPLICATION_ID: i32 = 0x6368_7374;

impl SqliteBackend {
    /// Creates a store at a path where there is nothing.
    ///
    /// # Errors
    /// `Exists`, `InUse`, `Io`, `Setting`, `Engine`.
    pub fn create(path: impl AsRef<Path>) -> Result<SqliteBackend, OpenError> {
        let path = real_path(path.as_ref())?;
        let lock = lock(&path)?;
        match File::create_new(&path) {
            Ok(_) => open_writing(&path, lock, Expect::Anything),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(OpenError::Exists(name(&path)))
            }
            Err(source) => Err(OpenError::Io { path, source }),
        }
    }

    /// Opens the store at a path, or creates it where there is nothing or an empty file.
    ///
    /// # Errors
    /// `InUse`, `Foreign`, `Newer`, `History`, `Io`, `Setting`, `Engine`.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteBackend, OpenError> {
        let path = real_path(path.as_ref())?;
        let lock = lock(&path)?;
        let created = File::options().write(true).create(true).truncate(false).open(&path);
        created.map_err(|source| OpenError::Io { path: path.clone(), source })?;
        open_writing(&path, lock, Expect::Anything)
    }

    /// Opens the store at a path.
    ///
    /// # Errors
    /// `Absent`, and as for [`open`](SqliteBackend::open).
    pub fn open_existing(path: impl AsRef<Path>) -> Result<SqliteBackend, OpenError> {
        let path = real_path(path.as_ref())?;
        require_content(&path)?;
        let lock = lock(&path)?;
        open_writing(&path, lock, Expect::Store)
    }

    /// Opens the store at a path to read it, beside whoever writes it.
    ///
    /// Takes no lock and writes nothing; a store on a read-only medium can be read if it was closed
    /// in an orderly way. Claims and commits are refused, and an older schema is not upgraded.
    ///
    /// # Errors
    /// `Absent`, `Foreign`, `Newer`, `Older`, `History`, `Io`, `Setting`, `Engine`.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SqliteBackend, OpenError> {
        let path = real_path(path.as_ref())?;
        require_content(&path)?;
        let reader = match connect_reading(&path) {
            // Without write access SQLite cannot make the files that a shared log needs. If there
            // is no log, nobody writes, and they are not needed.
            Err(OpenError::Engine(_)) if !has_log(&path) => {
                let reader = connection::reading_unchanging(&path)?;
                prepare_reading(reader, &path)?
            }
            other => other?,
        };
        Ok(SqliteBackend::new(None, reader, None))
    }

    /// The file beside the store at a path that is locked while somebody has it open to write. It is
    /// there since the store was first written.
    ///
    /// # Errors
    /// `Io` if the path leads nowhere.
    pub fn lock_path(path: impl AsRef<Path>) -> Result<PathBuf, OpenError> {
        Ok(lock_path(&real_path(path.as_ref())?))
    }
}

fn connect_reading(path: &Path) -> Result<Connection, OpenError> {
    prepare_reading(connection::reading(path)?, path)
}

fn prepare_reading(reader: Connection, path: &Path) -> Result<Connection, OpenError> {
    match schema_version(&reader, path)? {
        0 => return Err(OpenError::Absent(name(path))),
        found if found < NEWEST => return Err(OpenError::Older { found, newest: NEWEST }),
        found => check_history(&reader, found)?,
    }
    connection::prepare_to_read(&reader)?;
    Ok(reader)
}

/// What has to be in a file that is opened for writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A store, or nothing.
    Anything,
    /// A store.
    Store,
}

fn open_writing(path: &Path, lock: StoreLock, expect: Expect) -> Result<SqliteBackend, OpenError> {
    let mut writer = connection::writing(path)?;
    // Before anything is written to a file that may not be ours.
    let version = schema_version(&writer, path)?;
    if version == 0 && expect == Expect::Store {
        return Err(OpenError::Absent(name(path)));
    }
    check_history(&writer, version)?;
    if version == 0 {
        connection::format(&writer)?;
    }
    connection::prepare_to_write(&writer)?;
    for step in STEPS.iter().filter(|step| step.version > version) {
        upgrade(&mut writer, step)?;
    }
    if version == 0 {
        sync_directory(path)?;
    }
    let reader = connection::reading(path)?;
    connection::prepare_to_read(&reader)?;
    Ok(SqliteBackend::new(Some(writer), reader, Some(lock)))
}

/// Schema version of the database; 0 for an empty one.
fn schema_version(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    let header = || -> rusqlite::Result<(i32, i64, i64)> {
        let integer = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let id = connection.query_row("pragma application_id", [], |row| row.get(0))?;
        Ok((id, integer("pragma user_version")?, integer("select count(*) from sqlite_schema")?))
    };
    let (id, version, objects) = match header() {
        Ok(header) => header,
        Err(error) if is_damage(&error) => return Err(OpenError::Foreign(name(path))),
        Err(error) => return Err(Engine::doing("reading the header")(error).into()),
    };
    match (id, u32::try_from(version), objects) {
        (0, Ok(0), 0) => Ok(0),
        (APPLICATION_ID, Ok(found @ 1..), _) if found <= NEWEST => Ok(found),
        (APPLICATION_ID, Ok(found @ 1..), _) => Err(OpenError::Newer { found, newest: NEWEST }),
        _ => Err(OpenError::Foreign(name(path))),
    }
}

/// Checks that the database went through the steps that lead to `version`.
fn check_history(connection: &Connection, version: u32) -> Result<(), OpenError> {
    for step in STEPS.iter().filter(|step| step.version <= version) {
        let sql = "select count(*) from schema_step where version = ?1 and digest = ?2";
        let row = connection.query_row(sql, (step.version, step.digest(&SQLITE)), |row| row.get(0));
        let count: i64 = row.map_err(Engine::doing("reading the schema steps"))?;
        if count != 1 {
            return Err(OpenError::History { version: step.version });
        }
    }
    Ok(())
}

/// Takes one step, all of it or nothing.
fn upgrade(connection: &mut Connection, step: &Step) -> Result<(), OpenError> {
    let taken = take(connection, step);
    taken.map_err(|error| Engine::doing("upgrading the schema")(error).into())
}

fn take(connection: &mut Connection, step: &Step) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&step.sql(&SQLITE))?;
    transaction.execute(
        "insert into schema_step (version, name, digest, applied_at) values (?1, ?2, ?3, ?4)",
        (step.version, step.name, step.digest(&SQLITE), now()),
    )?;
    transaction.pragma_update(None, "user_version", step.version)?;
    if step.version == 1 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let row = StoreRow { id: 1, format: FORMAT.to_owned(), epoch: 0, seq: 0 };
        let put = Session::new(&transaction).put_row(text::store(), &row);
        put.map_err(|unwritten| unwritten.source)?;
    }
    transaction.commit()
}

fn now() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_secs()).unwrap_or(i64::MAX)
}

/// The path without links, so that a store has one lock whatever it is called by.
fn real_path(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    match path.canonicalize() {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let absent = || failed(io::ErrorKind::NotFound.into());
            let name = path.file_name().ok_or_else(absent)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).canonicalize().map_err(failed)?;
            Ok(parent.join(name))
        }
        Err(error) => Err(failed(error)),
    }
}

fn lock(path: &Path) -> Result<StoreLock, OpenError> {
    StoreLock::take(path).map_err(|unlocked| match unlocked {
        Unlocked::Held => OpenError::InUse(name(path)),
        Unlocked::Io(source) => OpenError::Io { path: path.to_owned(), source },
    })
}

fn require_content(path: &Path) -> Result<(), OpenError> {
    match path.metadata() {
        Ok(found) if found.len() == 0 => Err(OpenError::Absent(name(path))),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Absent(name(path))),
        Err(source) => Err(OpenError::Io { path: path.to_owned(), source }),
    }
}

fn name(path: &Path) -> StoreName {
    path.display().to_string()
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).metadata().is_ok_and(|found| found.len() > 0)
}

/// Makes the new file's name durable.
#[cfg(unix)]
fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| OpenError::Io { path: directory.to_owned(), source })
}

/// Other systems have no handle of a directory to sync.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}

impl From<Engine> for OpenError {
    fn from(engine: Engine) -> Self {
        OpenError::Engine(Arc::new(engine))
    }
}
