//! Why a store cannot be opened.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chanstate::Cause;
use thiserror::Error;

/// Where a store is: the path of its file, or the server and schema that hold it.
pub type StoreName = String;

/// Why a store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is something at the place already.
    #[error("{0} exists already")]
    Exists(StoreName),
    /// There is nothing at the place, or an empty file.
    #[error("no store at {0}")]
    Absent(StoreName),
    /// Another process, or another backend of this one, has the store open for writing.
    #[error("store {0} is in use")]
    InUse(StoreName),
    /// The place holds something else.
    #[error("{0} is not a store")]
    Foreign(StoreName),
    /// A name or URL that no server understands, or a number that makes no sense.
    #[error("{option} cannot be used")]
    Option {
        /// What it is for.
        option: &'static str,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// The store belongs to another node, or to another network.
    #[error("store is of {what} {found}, not {expected}")]
    Owner {
        /// `node` or `network`.
        what: &'static str,
        /// What was asked for.
        expected: String,
        /// What the store says.
        found: String,
    },
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
    /// The engine does not have a setting that the store relies on.
    #[error("{name} is {found} instead of {expected}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Value that is needed.
        expected: String,
        /// Value found.
        found: String,
    },
    /// Another instance holds the store, whose schema this release would have to change first.
    #[error("store is held by {by} for {remaining:?} unless renewed, and has to be upgraded")]
    Held {
        /// Its name.
        by: String,
        /// When it has to renew its hold at the latest.
        remaining: Duration,
    },
    /// The server does not let this role in: a wrong password, or not from here, or not without TLS.
    #[error("the server refused the login")]
    Denied(#[source] Cause),
    /// The server is not the one that it should be, or has no TLS.
    #[error("no secure connection")]
    Tls(#[source] Cause),
    /// A file cannot be used.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The engine failed.
    #[error("engine failed")]
    Engine(#[source] Cause),
}
