//! Why a store cannot be opened.

use std::io;
use std::path::PathBuf;

use chanstate::Cause;
use thiserror::Error;

/// Why a store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is something at the path already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is nothing at the path, or an empty file.
    #[error("no store at {}", .0.display())]
    Absent(PathBuf),
    /// Another process, or another backend of this one, has the store open for writing.
    #[error("store {} is in use", .0.display())]
    InUse(PathBuf),
    /// The file is no SQLite database, or the database of something else.
    #[error("{} is not a store", .0.display())]
    Foreign(PathBuf),
    /// A newer release wrote the store.
    #[error("schema version {found}, newest known is {newest}")]
    Newer {
        /// Schema version of the store.
        found: u32,
        /// Newest schema version that this release knows.
        newest: u32,
    },
    /// The store is older than this release reads without upgrading it, and was opened to be read
    /// only.
    #[error("schema version {found}, open the store for writing to upgrade it to {newest}")]
    Older {
        /// Schema version of the store.
        found: u32,
        /// Schema version of this release.
        newest: u32,
    },
    /// The store did not go through the schema steps that this release knows.
    #[error("schema step {version} differs from the one of this release")]
    History {
        /// Schema version that the step leads to.
        version: u32,
    },
    /// SQLite did not accept a setting that the store relies on.
    #[error("{name} is {found} instead of {expected}")]
    Setting {
        /// Name of the pragma.
        name: &'static str,
        /// Value that is needed.
        expected: String,
        /// Value found.
        found: String,
    },
    /// A file cannot be used.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite failed.
    #[error("engine failed")]
    Engine(#[source] Cause),
}
