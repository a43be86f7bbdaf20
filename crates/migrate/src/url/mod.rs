//! Names of stores on the command line.

mod lnd_server;
mod server;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use chanstate::Cause;
use thiserror::Error;

use crate::archive;
use crate::lnd::tree::sql::holds_tree;

pub use self::lnd_server::LndServerUrl;
pub use self::server::ServerUrl;

/// Engine of a store that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// lnd's `channel.db` on bbolt; read only.
    LndBolt,
    /// lnd's `channel.sqlite`, with its log; read only.
    LndSqlite,
    /// Our store on redb.
    Redb,
    /// Our store on SQLite.
    Sqlite,
    /// A store as an archive; written once.
    Archive,
}

impl Engine {
    const ALL: [Engine; 5] =
        [Engine::LndBolt, Engine::LndSqlite, Engine::Redb, Engine::Sqlite, Engine::Archive];

    /// What names begin with.
    pub fn scheme(self) -> &'static str {
        match self {
            Engine::LndBolt => "lnd-bolt",
            Engine::LndSqlite => "lnd-sqlite",
            Engine::Redb => "redb",
            Engine::Sqlite => "sqlite",
            Engine::Archive => "archive",
        }
    }

    fn named(scheme: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.scheme() == scheme)
    }
}

/// A store.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// A file.
    File {
        /// Engine.
        engine: Engine,
        /// The file.
        path: PathBuf,
    },
    /// A schema of a PostgreSQL database.
    Server(ServerUrl),
    /// lnd's table in a PostgreSQL database; read only.
    LndServer(LndServerUrl),
}

/// Why a name is not one of a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme is not known.
    #[error("unknown scheme {0:?}; use {SCHEMES}")]
    Scheme(String),
    /// A path without a scheme leads to nothing whose content could be looked at.
    #[error(
        "{0} does not exist; name its engine: lnd-bolt:, lnd-sqlite:, redb:, sqlite: or archive:"
    )]
    NotThere(PathBuf),
    /// The file cannot be looked at.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: std::io::Error,
    },
    /// The path leads to a directory, a pipe or a device.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// The path is empty.
    #[error("no path given")]
    Empty,
    /// Not the URL of a PostgreSQL database. Says nothing of its text, which may hold a password.
    #[error("not a URL such as postgres://USER@HOST/DATABASE?schema=NAME")]
    Server(#[source] Cause),
    /// As `Server`, for a database of lnd.
    #[error("not a URL such as lnd-postgres://USER@HOST/DATABASE")]
    LndServer(#[source] Cause),
}

/// Schemes as messages name them.
const SCHEMES: &str = "lnd-bolt:, lnd-sqlite:, lnd-postgres://, redb:, sqlite:, archive: or \
                       postgres://";

const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// Application id in the header of an SQLite file that is a store of ours.
const STORE_MARK: &[u8] = b"chst";
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

impl UrlError {
    /// Whether the name itself is wrong, whatever there is to be found.
    pub fn is_usage(&self) -> bool {
        use UrlError::{Empty, LndServer, Scheme, Server};
        matches!(self, Scheme(_) | Empty | Server(_) | LndServer(_))
    }
}

impl StoreUrl {
    /// The form of its content.
    pub fn format(&self) -> &'static str {
        match self {
            StoreUrl::File { engine, .. } => engine.scheme(),
            StoreUrl::Server(_) => "postgres",
            StoreUrl::LndServer(_) => "lnd-postgres",
        }
    }

    /// The same store, to belong to a node and a network when it is created. Files do not say whose
    /// they are.
    pub(crate) fn owned_by(&self, node: Option<PublicKey>, network: Option<Network>) -> StoreUrl {
        match self {
            StoreUrl::File { .. } | StoreUrl::LndServer(_) => self.clone(),
            StoreUrl::Server(server) => StoreUrl::Server(server.owned_by(node, network)),
        }
    }

    /// The file, if the store is an archive.
    pub fn archive(&self) -> Option<&Path> {
        match self {
            StoreUrl::File { engine: Engine::Archive, path } => Some(path),
            _ => None,
        }
    }

    /// The store that is named: `lnd-bolt:PATH`, `lnd-sqlite:PATH`, `redb:PATH`, `sqlite:PATH`,
    /// `archive:PATH`, the URL of a PostgreSQL database, with `lnd-` before it for one of lnd, or the
    /// bare path of an existing file, whose content tells the engine.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn resolve(name: &str) -> Result<StoreUrl, UrlError> {
        let (scheme, path) = take_apart(name);
        if path.is_empty() {
            return Err(UrlError::Empty);
        }
        let engine = match scheme {
            Some("postgres" | "postgresql") => return Ok(StoreUrl::Server(ServerUrl::new(name)?)),
            Some("lnd-postgres") => return Ok(StoreUrl::LndServer(LndServerUrl::new(name)?)),
            Some(scheme) => Engine::named(scheme).ok_or_else(|| UrlError::Scheme(scheme.into()))?,
            None => return recognise(path.into()),
        };
        Ok(StoreUrl::File { engine, path: path.into() })
    }
}

/// Splits a name; looks at no file but to tell a scheme from a file name with a colon.
fn take_apart(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        // A path such as ./a:b has no scheme, whether or not it exists.
        Some((scheme, _)) if scheme.contains(['/', '.', '\\']) => (None, name),
        Some((scheme, path)) if is_scheme(scheme) || !Path::new(name).exists() => {
            (Some(scheme), path)
        }
        _ => (None, name),
    }
}

fn is_scheme(text: &str) -> bool {
    ["lnd-postgres", "postgres", "postgresql"].contains(&text) || Engine::named(text).is_some()
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::File { engine, path } => write!(f, "{}:{}", engine.scheme(), path.display()),
            StoreUrl::Server(server) => server.fmt(f),
            StoreUrl::LndServer(server) => server.fmt(f),
        }
    }
}

/// Looks at the first bytes, and into an SQLite file that is not marked as ours. What no engine knows
/// is taken for lnd's: its reader says best what is wrong with a damaged file.
fn recognise(path: PathBuf) -> Result<StoreUrl, UrlError> {
    // Opening a pipe would wait for somebody to write to it.
    match std::fs::metadata(&path) {
        Ok(kind) if !kind.is_file() => return Err(UrlError::NotAFile(path)),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(UrlError::NotThere(path));
        }
        Err(error) => return Err(UrlError::Read { path, error }),
    }
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(100).read_to_end(&mut head));
    if let Err(error) = read {
        return Err(UrlError::Read { path, error });
    }
    let engine = if head.starts_with(SQLITE_MAGIC) {
        // A store of ours that was never closed can have its mark in the log alone.
        let is_marked = head.get(68..72) == Some(STORE_MARK);
        if !is_marked && holds_tree(&path) { Engine::LndSqlite } else { Engine::Sqlite }
    } else if head.starts_with(REDB_MAGIC) {
        Engine::Redb
    } else if head.starts_with(&archive::MAGIC) {
        Engine::Archive
    } else {
        Engine::LndBolt
    };
    Ok(StoreUrl::File { engine, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_name_engines() {
        let url = StoreUrl::resolve("sqlite:/tmp/a:b.db").unwrap();
        assert_eq!(url.to_string(), "sqlite:/tmp/a:b.db");
        let StoreUrl::File { engine: Engine::Sqlite, path } = url else { panic!("{url}") };
        assert_eq!(path, PathBuf::from("/tmp/a:b.db"));
        let url = StoreUrl::resolve("postgresql://me@host/nodes").unwrap();
        assert!(matches!(url, StoreUrl::Server(_)), "{url}");
    }

    #[test]
    fn unknown_schemes_and_missing_paths_are_refused() {
        assert!(matches!(StoreUrl::resolve("mysql:x"), Err(UrlError::Scheme(_))));
        assert!(matches!(StoreUrl::resolve("redb:"), Err(UrlError::Empty)));
        assert!(matches!(StoreUrl::resolve("./no/such/file"), Err(UrlError::NotThere(_))));
        assert!(matches!(StoreUrl::resolve("/"), Err(UrlError::NotAFile(_))));
    }

    #[test]
    fn a_bare_path_is_recognised_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        for (content, expected) in [
            (SQLITE_MAGIC, Engine::Sqlite),
            (REDB_MAGIC, Engine::Redb),
            (&archive::MAGIC, Engine::Archive),
            (&b"anything else"[..], Engine::LndBolt),
        ] {
            std::fs::write(&path, content).unwrap();
            let url = StoreUrl::resolve(path.to_str().unwrap()).unwrap();
            assert!(matches!(url, StoreUrl::File { engine, .. } if engine == expected), "{url}");
        }
    }
}
