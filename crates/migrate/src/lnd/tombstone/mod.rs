//! The mark of a database whose content was moved away: lnd refuses to start with it.
//!
//! At its start lnd looks for the top-level bucket `data-migration-tombstone`, and in it for the key of
//! the same name. Any value but an empty one is the mark, and is shown to the operator (lnd's
//! `channeldb.EnsureNoTombstone`). lndinit writes the same. It is the only thing that is ever written to
//! a database of lnd, and only into one that is sound and that nobody else has open, as far as that can
//! be told.
//!
//! | Module | Writes it into |
//! |---|---|
//! | `bolt` | a bbolt file |
//! | `sql` | a table, in one transaction |

mod bolt;
mod sql;

use std::path::Path;

use thiserror::Error;

use super::codec::keys::bucket::TOMBSTONE;
use super::tree::sql::{EngineError, OpenError as SqlOpenError, Place};
use super::tree::{Damage, ReadError};
use crate::bolt::{EditError, OpenError};
use crate::identity::Identity;
use crate::url::{Engine, StoreUrl};

/// A database of lnd.
#[derive(Clone, Copy, Debug)]
pub enum Home<'a> {
    /// A bbolt file.
    Bolt(&'a Path),
    /// An SQLite file.
    Sqlite(&'a Path),
    /// A table in PostgreSQL.
    Postgres(&'a Place),
}

impl<'a> Home<'a> {
    /// The database that is named; `None` if it is none of lnd's.
    pub fn of(url: &'a StoreUrl) -> Option<Home<'a>> {
        match url {
            StoreUrl::File { engine: Engine::LndBolt, path } => Some(Home::Bolt(path)),
            StoreUrl::File { engine: Engine::LndSqlite, path } => Some(Home::Sqlite(path)),
            StoreUrl::LndServer(server) => Some(Home::Postgres(server.place())),
            StoreUrl::File { .. } | StoreUrl::Server(_) => None,
        }
    }
}

/// Why a mark is not written or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TombstoneError {
    /// An empty text is none to lnd.
    #[error("a tombstone needs a text")]
    Empty,
    /// The database has a tombstone already.
    #[error("database was migrated away before ({0})")]
    Tombstoned(String),
    /// The bucket of the tombstone holds something else as well, whoever put it there.
    #[error("the bucket of the tombstone holds something else")]
    Occupied,
    /// Somebody has the database open.
    #[error("the database is in use: {0}")]
    InUse(String),
    /// The bbolt file cannot be opened; `Locked` if somebody has it open.
    #[error("cannot be opened")]
    Bolt(#[from] OpenError),
    /// The SQL database cannot be opened.
    #[error("cannot be opened")]
    Sql(#[from] SqlOpenError),
    /// The database cannot be read.
    #[error("cannot be read")]
    Read(#[from] ReadError),
    /// Part of the database is damaged, and a change could take away what may still be saved.
    #[error("the database is damaged at {place}: {what}")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The bbolt file cannot be changed. After `EditError::Write` it may be marked or not; any other
    /// variant leaves it as it was.
    #[error("cannot be changed")]
    Edit(#[from] EditError),
    /// The SQL database did not take the change. Whether it is marked shows when it is opened again.
    #[error("cannot be changed")]
    Engine(#[from] EngineError),
}

/// Marks a database. It is durable when this returns.
///
/// # Errors
/// `Tombstoned` if it is marked already, and any other [`TombstoneError`]. Nothing is written but after
/// `Edit` and `Engine`, as they say.
pub fn write(home: Home<'_>, text: &str) -> Result<(), TombstoneError> {
    if text.is_empty() {
        return Err(TombstoneError::Empty);
    }
    Session::open(home)?.write(text)
}

/// Removes the mark, with its bucket, so that lnd starts again; returns its text, or `None` if there was
/// none. It is durable when this returns.
///
/// The state under the mark is that of the moment when it was set. If a node ran elsewhere since, lnd
/// must not be started with it.
///
/// # Errors
/// Any [`TombstoneError`] but `Empty` and `Tombstoned`. Nothing is written but after `Edit` and `Engine`,
/// as they say.
pub fn remove(home: Home<'_>) -> Result<Option<String>, TombstoneError> {
    Session::open(home)?.remove()
}

/// A sound database that nobody else writes, from when it is opened until it is changed or dropped.
pub(crate) struct Session(Inner);

enum Inner {
    Bolt(bolt::Session),
    Sql(sql::Session),
}

impl Session {
    /// Opens and locks a database, and looks for damage.
    pub(crate) fn open(home: Home<'_>) -> Result<Session, TombstoneError> {
        Ok(Session(match home {
            Home::Bolt(path) => Inner::Bolt(bolt::Session::open(path)?),
            Home::Sqlite(path) => Inner::Sql(sql::Session::sqlite(path)?),
            Home::Postgres(place) => Inner::Sql(sql::Session::postgres(place)?),
        }))
    }

    /// The text of the mark.
    pub(crate) fn text(&self) -> Result<Option<String>, TombstoneError> {
        let found = match &self.0 {
            Inner::Bolt(session) => session.find()?,
            Inner::Sql(session) => session.find()?,
        };
        Ok(match found {
            Found::Mark(text) => Some(text),
            Found::Nothing | Found::NoMark => None,
        })
    }

    /// What the database is told by, as it stands.
    pub(crate) fn identity(&self) -> Result<Identity, TombstoneError> {
        match &self.0 {
            Inner::Bolt(session) => session.identity(),
            Inner::Sql(session) => session.identity(),
        }
    }

    /// What it will be told by once the mark is removed.
    pub(crate) fn identity_unmarked(&self) -> Result<Identity, TombstoneError> {
        match &self.0 {
            Inner::Bolt(session) => session.identity_unmarked(),
            Inner::Sql(session) => session.identity_unmarked(),
        }
    }

    /// Refuses a text that has no room. A table has room for any.
    pub(crate) fn require_room(&self, text: &str) -> Result<(), TombstoneError> {
        match &self.0 {
            Inner::Bolt(session) => session.require_room(text),
            Inner::Sql(_) => Ok(()),
        }
    }

    /// As [`write()`].
    pub(crate) fn write(self, text: &str) -> Result<(), TombstoneError> {
        match self.0 {
            Inner::Bolt(session) => session.write(text),
            Inner::Sql(session) => session.write(text),
        }
    }

    /// As [`remove`].
    pub(crate) fn remove(self) -> Result<Option<String>, TombstoneError> {
        match self.0 {
            Inner::Bolt(session) => session.remove(),
            Inner::Sql(session) => session.remove(),
        }
    }
}

/// What is where the mark belongs.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// No bucket.
    Nothing,
    /// The bucket, without a mark in it.
    NoMark,
    /// The mark.
    Mark(String),
}

impl Found {
    /// Takes one more entry of the bucket in; `value` is `None` for a bucket. What is no mark must not
    /// be lost.
    fn with(self, key: &[u8], value: Option<&[u8]>) -> Result<Found, TombstoneError> {
        match value {
            Some([]) if key == TOMBSTONE => Ok(self),
            Some(text) if key == TOMBSTONE => {
                Ok(Found::Mark(String::from_utf8_lossy(text).into_owned()))
            }
            _ => Err(TombstoneError::Occupied),
        }
    }

    /// Requires that there is no mark.
    fn require_none(self) -> Result<(), TombstoneError> {
        match self {
            Found::Mark(text) => Err(TombstoneError::Tombstoned(text)),
            Found::Nothing | Found::NoMark => Ok(()),
        }
    }
}

impl TombstoneError {
    /// Whether the database is not one to be changed, rather than cannot be read or written now.
    pub(crate) fn is_content(&self) -> bool {
        use TombstoneError::{
            Bolt, Damaged, Edit, Empty, Engine, InUse, Occupied, Read, Sql, Tombstoned,
        };
        match self {
            Empty | Tombstoned(_) | Occupied | Damaged { .. } => true,
            Read(error) => matches!(error, ReadError::Damaged(_)),
            Edit(EditError::File(_) | EditError::Write(_)) => false,
            Edit(_) => true,
            Sql(error) => !matches!(error, SqlOpenError::Engine(_) | SqlOpenError::NotAFile),
            InUse(_) | Bolt(_) | Engine(_) => false,
        }
    }
}

impl From<Damage> for TombstoneError {
    fn from(Damage { path, what }: Damage) -> TombstoneError {
        TombstoneError::Damaged { place: crate::bolt::display_path(&path).to_string(), what }
    }
}
