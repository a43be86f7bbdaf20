//! Opening stores by name.

use std::fs::File;
use std::path::Path;

use channelcoord::{Backend, BackendError, Head};
use sqlstore::SqliteBackend;
use thiserror::Error;

use crate::archive::{ArchiveBackend, ArchiveError};
use crate::finding::chain;
use crate::holder;
use crate::lnd::source::{LndSource, SourceError};
use crate::url::{Engine, ServerUrl, StoreUrl};

/// A store opened for reading.
pub enum Opened {
    /// lnd's.
    Lnd(Box<LndSource>),
    /// One of ours.
    Store(Box<dyn Backend>),
}

/// Why a job did not come to its end. Decides the exit code of `migrate`.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// What was read or asked for stops the job: exit code 1.
    #[error("{0}")]
    Content(String),
    /// The request cannot be carried out as it stands: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something cannot be read or written: exit code 3.
    #[error("{0}")]
    Access(String),
}

impl Failure {
    /// An access failure from an error and its causes.
    pub fn access(what: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
        Failure::Access(format!("{what}: {}", chain(error)))
    }

    /// A content failure from an error and its causes.
    pub fn content(what: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
        Failure::Content(format!("{what}: {}", chain(error)))
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn and(self, advice: impl std::fmt::Display) -> Failure {
        match self {
            Failure::Content(what) => Failure::Content(format!("{what}; {advice}")),
            Failure::Usage(what) => Failure::Usage(format!("{what}; {advice}")),
            Failure::Access(what) => Failure::Access(format!("{what}; {advice}")),
        }
    }

    /// Sorts a failure to read a store: damage is content, anything else is access.
    pub fn of_backend(what: impl std::fmt::Display, error: &BackendError) -> Failure {
        match error {
            BackendError::Corrupt { .. } => Failure::content(what, error),
            _ => Failure::access(what, error),
        }
    }
}

/// Opens a store for reading. Nothing in it changes. SQLite leaves its shared memory beside it.
///
/// # Errors
/// `Content` for an lnd file that must not be used (damaged as a whole, tombstoned, of an unknown
/// version) and for an archive that is cut or damaged; `Access` for anything else.
pub fn open(url: &StoreUrl, allow_tombstoned: bool) -> Result<Opened, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(url, error);
    let (engine, path) = match url {
        StoreUrl::File { engine, path } => (engine, path),
        StoreUrl::Server(server) => {
            let store = server.options().open_read_only().map_err(|error| access(&error))?;
            return Ok(Opened::Store(Box::new(store)));
        }
        StoreUrl::LndServer(server) => {
            return lnd(url, LndSource::open_postgres(server.place(), allow_tombstoned));
        }
    };
    require_file(url, path)?;
    Ok(match engine {
        Engine::LndBolt => lnd(url, LndSource::open(path, allow_tombstoned))?,
        Engine::LndSqlite => lnd(url, LndSource::open_sqlite(path, allow_tombstoned))?,
        Engine::Redb => {
            Opened::Store(Box::new(redb().open_read_only(path).map_err(|error| access(&error))?))
        }
        Engine::Sqlite => {
            let store = SqliteBackend::open_read_only(path).map_err(|error| access(&error))?;
            Opened::Store(Box::new(store))
        }
        Engine::Archive => {
            Opened::Store(Box::new(ArchiveBackend::open(path).map_err(|error| match error {
                ArchiveError::Read(_) => access(&error),
                _ => Failure::content(url, &error),
            })?))
        }
    })
}

/// What to do about a database that cannot be opened, where its error does not say.
fn advice(url: &StoreUrl, error: &SourceError) -> String {
    use crate::bolt::OpenError;
    match error {
        SourceError::Open(OpenError::Locked) => {
            let holder = match url {
                StoreUrl::File { path, .. } => holder::of(path),
                _ => None,
            };
            match holder {
                Some(holder) => format!("; it is {holder}: stop it, and keep it stopped"),
                None => "; stop lnd, and keep it stopped".into(),
            }
        }
        SourceError::Tombstoned(_) => {
            "; use what it was moved to, or read it all the same with --allow-tombstoned".into()
        }
        _ => String::new(),
    }
}

fn lnd(url: &StoreUrl, opened: Result<LndSource, SourceError>) -> Result<Opened, Failure> {
    match opened {
        Ok(source) => Ok(Opened::Lnd(Box::new(source))),
        Err(error) => {
            let what = format!("{url}: {}{}", chain(&error), advice(url, &error));
            Err(if is_access(&error) { Failure::Access(what) } else { Failure::Content(what) })
        }
    }
}

/// Refuses a path that leads to something else than a file.
pub(crate) fn require_file(url: &StoreUrl, path: &Path) -> Result<(), Failure> {
    // Opening a pipe would wait for somebody to write to it.
    match std::fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
        true => Err(Failure::Access(format!("{url}: not a regular file"))),
        false => Ok(()),
    }
}

/// Whether a database cannot be read at all, rather than holds something that must not be used.
fn is_access(error: &SourceError) -> bool {
    use crate::bolt::{FileError, OpenError};
    use crate::lnd::tree::{ReadError, sql};
    match error {
        SourceError::Open(
            OpenError::Open { .. }
            | OpenError::NotAFile
            | OpenError::Locked
            | OpenError::Lock { .. }
            | OpenError::Read { .. },
        )
        | SourceError::Read(ReadError::File(
            FileError::Io { .. } | FileError::OutOfMemory { .. },
        ))
        | SourceError::Sql(sql::OpenError::NotAFile) => true,
        SourceError::Read(ReadError::Sql(error))
        | SourceError::Sql(sql::OpenError::Engine(error)) => !error.is_damage(),
        _ => false,
    }
}

/// redb with a cache that keeps memory flat: records are read and written once, in order.
fn redb() -> kvstore::Options {
    kvstore::Options::default().cache_bytes(32 << 20)
}

/// Where a store of ours stands that nobody writes.
///
/// # Errors
/// `Content` if what the store keeps about itself is damaged, `Usage` for an engine that is not
/// ours, `Access`.
pub fn head(url: &StoreUrl) -> Result<Head, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(url, error);
    let head = match url {
        StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
        | StoreUrl::LndServer(_) => {
            return Err(Failure::Usage(format!("{url} is no store of ours")));
        }
        // Its content does not change.
        StoreUrl::File { engine: Engine::Archive, .. } => return Ok(Head::default()),
        StoreUrl::File { engine: Engine::Redb, path } => {
            redb().open_read_only(path).map_err(|error| access(&error))?.head()
        }
        StoreUrl::File { engine: Engine::Sqlite, path } => {
            SqliteBackend::open_read_only(path).map_err(|error| access(&error))?.head()
        }
        StoreUrl::Server(server) => {
            let standing = server.options().standing();
            return Ok(standing.map_err(|error| access(&error))?.head);
        }
    };
    head.map_err(|error| Failure::of_backend(url, &error))
}

/// Opens a store that exists for writing. No node can have it open at the same time; on a server it
/// can be claimed unless a node holds it.
///
/// # Errors
/// `Usage` for an engine that cannot be written; `Access`, also while a node has the store open.
pub fn open_to_write(url: &StoreUrl) -> Result<Box<dyn Backend>, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(url, error);
    Ok(match url {
        StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
        | StoreUrl::LndServer(_) => return Err(only_read()),
        StoreUrl::File { engine: Engine::Archive, .. } => {
            return Err(Failure::Usage(format!("{url} is an archive, which no node opens")));
        }
        StoreUrl::File { engine: Engine::Redb, path } => {
            Box::new(redb().open_existing(path).map_err(|error| access(&error))?)
        }
        StoreUrl::File { engine: Engine::Sqlite, path } => {
            Box::new(SqliteBackend::open_existing(path).map_err(|error| access(&error))?)
        }
        StoreUrl::Server(server) => {
            Box::new(ours(server).open_existing().map_err(|error| access(&error))?)
        }
    })
}

fn only_read() -> Failure {
    Failure::Usage("lnd's databases are only read".into())
}

/// A server's store as this tool writes it: what an earlier run claimed, and did not give back when
/// it was killed, is ours to claim.
fn ours(server: &ServerUrl) -> sqlstore::PostgresOptions {
    server.options().instance("migrate")
}

/// Opens a store so that damaged rows can be compared; `None` if its engine shows none.
///
/// # Errors
/// `Access`.
pub fn open_damaged(url: &StoreUrl) -> Result<Option<Opened>, Failure> {
    let access = |error| Failure::access(url, &error);
    let store: Box<dyn Backend> = match url {
        StoreUrl::File { engine: Engine::Sqlite, path } => {
            Box::new(SqliteBackend::open_read_only(path).map_err(access)?.without_checksums())
        }
        StoreUrl::Server(server) => {
            Box::new(server.options().open_read_only().map_err(access)?.without_checksums())
        }
        StoreUrl::File { .. } | StoreUrl::LndServer(_) => return Ok(None),
    };
    Ok(Some(Opened::Store(store)))
}

/// Bytes that a store takes.
///
/// # Errors
/// `Access`.
pub fn size(url: &StoreUrl) -> Result<u64, Failure> {
    match url {
        StoreUrl::File { path, .. } => {
            Ok(std::fs::metadata(path).map_err(|error| Failure::access(url, &error))?.len())
        }
        StoreUrl::Server(server) => {
            let standing = server.options().standing();
            Ok(standing.map_err(|error| Failure::access(url, &error))?.bytes)
        }
        StoreUrl::LndServer(server) => {
            server.place().size().map_err(|error| Failure::access(url, &error))
        }
    }
}

/// That no node writes a store while it is copied.
#[derive(Debug)]
pub enum Quiet {
    /// The reader of the store locks its file itself.
    ByReader,
    /// Kept for as long as the lock is held.
    ByLock(File),
    /// Nothing is locked on a server, since a source is only read: it must not have moved.
    AsOf(Head),
    /// lnd keeps its SQL databases to itself by no lock that a reader could take: they must not have
    /// moved.
    AsRead,
}

impl Quiet {
    /// Makes sure that no node has a store open.
    ///
    /// # Errors
    /// `Access` while the store is in use.
    pub fn of(url: &StoreUrl, store: &Opened) -> Result<Quiet, Failure> {
        let path = match url {
            StoreUrl::LndServer(_) | StoreUrl::File { engine: Engine::LndSqlite, .. } => {
                let Opened::Lnd(source) = store else { return Ok(Quiet::AsRead) };
                return match source.tree().in_use() {
                    Ok(None) => Ok(Quiet::AsRead),
                    Ok(Some(user)) => Err(Failure::Access(format!("{url} is in use: {user}"))),
                    Err(error) => Err(Failure::access(url, &error)),
                };
            }
            StoreUrl::Server(server) => return Ok(Quiet::AsOf(free_head(url, server)?)),
            StoreUrl::File { engine: Engine::Sqlite, path } => path,
            StoreUrl::File { .. } => return Ok(Quiet::ByReader),
        };
        let lock = SqliteBackend::lock_path(path).map_err(|error| Failure::access(url, &error))?;
        match File::open(lock) {
            // Nobody has ever written it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Quiet::ByReader),
            Err(error) => Err(Failure::access(url, &error)),
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(Quiet::ByLock(file)),
                Err(error) => Err(Failure::access(format!("{url} is in use"), &error)),
            },
        }
    }

    /// Makes sure that none had it open since.
    ///
    /// # Errors
    /// `Access` if one had.
    pub fn confirm(&self, url: &StoreUrl, store: &Opened) -> Result<(), Failure> {
        match (self, url, store) {
            (Quiet::AsOf(head), StoreUrl::Server(server), _)
                if free_head(url, server)? != *head =>
            {
                Err(Failure::Access(format!("{url} was in use while it was copied")))
            }
            (Quiet::AsRead, _, Opened::Lnd(source)) => match source.tree().moved() {
                Ok(None) => Ok(()),
                Ok(Some(how)) => {
                    Err(Failure::Access(format!("{url} was in use while it was copied: {how}")))
                }
                Err(error) => Err(Failure::access(url, &error)),
            },
            _ => Ok(()),
        }
    }
}

/// Where a store on a server stands, unless a node holds it.
fn free_head(url: &StoreUrl, server: &ServerUrl) -> Result<Head, Failure> {
    let standing = server.options().standing().map_err(|error| Failure::access(url, &error))?;
    match standing.holder {
        None => Ok(standing.head),
        Some((instance, remaining)) => Err(Failure::Access(format!(
            "{url} is in use: its lease is held by {instance}, for {} s unless it is renewed",
            remaining.as_secs()
        ))),
    }
}

/// Creates an empty store for writing; `shown` is its name for messages.
///
/// # Errors
/// `Usage` for an engine that cannot be written; `Access`.
pub fn create(url: &StoreUrl, shown: &StoreUrl) -> Result<Box<dyn Backend>, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(shown, error);
    Ok(match url {
        StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
        | StoreUrl::LndServer(_) => {
            return Err(only_read());
        }
        StoreUrl::File { engine: Engine::Redb, path } => {
            Box::new(redb().create(path).map_err(|error| access(&error))?)
        }
        StoreUrl::File { engine: Engine::Sqlite, path } => {
            Box::new(SqliteBackend::create(path).map_err(|error| access(&error))?)
        }
        StoreUrl::File { engine: Engine::Archive, .. } => {
            return Err(Failure::Usage("archives are written in one go, by a copy".into()));
        }
        StoreUrl::Server(server) => {
            Box::new(ours(server).create().map_err(|error| access(&error))?)
        }
    })
}
