//! Names of stores on the command line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// Engine of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// lnd's `channel.db` on bbolt; read only.
    LndBolt,
    /// Our store on redb.
    Redb,
    /// Our store on SQLite.
    Sqlite,
}

/// A store as it is named on the command line: `lnd-bolt:PATH`, `redb:PATH`, `sqlite:PATH`, or the
/// bare path of an existing file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreName {
    engine: Option<Engine>,
    path: PathBuf,
}

/// A store: its engine and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Engine.
    pub engine: Engine,
    /// File.
    pub path: PathBuf,
}

/// Why a name is not one of a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme is not known.
    #[error("unknown scheme {0:?}; use lnd-bolt:, redb: or sqlite:")]
    Scheme(String),
    /// A path without a scheme leads to nothing whose content could be looked at.
    #[error("{0} does not exist; name its engine: lnd-bolt:, redb: or sqlite:")]
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
}

const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

impl FromStr for StoreName {
    type Err = UrlError;

    /// Takes a name apart; looks at no file but to tell a scheme from a file name with a colon.
    ///
    /// # Errors
    /// `Scheme`, `Empty`.
    fn from_str(text: &str) -> Result<StoreName, UrlError> {
        let (scheme, path) = match text.split_once(':') {
            Some((scheme, path)) if is_scheme(scheme) || !Path::new(text).exists() => {
                // A path such as ./a:b has no scheme, whether or not it exists.
                match scheme.contains(['/', '.', '\\']) {
                    true => (None, text),
                    false => (Some(scheme), path),
                }
            }
            _ => (None, text),
        };
        if path.is_empty() {
            return Err(UrlError::Empty);
        }
        let engine = match scheme {
            Some("lnd-bolt") => Some(Engine::LndBolt),
            Some("redb") => Some(Engine::Redb),
            Some("sqlite") => Some(Engine::Sqlite),
            Some(other) => return Err(UrlError::Scheme(other.into())),
            None => None,
        };
        Ok(StoreName { engine, path: PathBuf::from(path) })
    }
}

fn is_scheme(text: &str) -> bool {
    ["lnd-bolt", "redb", "sqlite"].contains(&text)
}

impl StoreName {
    /// The store that is named; without a scheme its content tells the engine.
    ///
    /// # Errors
    /// `NotThere`, `NotAFile`, `Read`.
    pub fn resolve(&self) -> Result<StoreUrl, UrlError> {
        let path = self.path.clone();
        match self.engine {
            Some(engine) => Ok(StoreUrl { engine, path }),
            None => recognise(path),
        }
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.engine {
            Engine::LndBolt => "lnd-bolt",
            Engine::Redb => "redb",
            Engine::Sqlite => "sqlite",
        };
        write!(f, "{scheme}:{}", self.path.display())
    }
}

/// Looks at the first bytes. What is neither of our engines is taken for lnd's: its reader says
/// best what is wrong with a damaged file.
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
    let read = File::open(&path).and_then(|file| file.take(16).read_to_end(&mut head));
    if let Err(error) = read {
        return Err(UrlError::Read { path, error });
    }
    let engine = if head.starts_with(SQLITE_MAGIC) {
        Engine::Sqlite
    } else if head.starts_with(REDB_MAGIC) {
        Engine::Redb
    } else {
        Engine::LndBolt
    };
    Ok(StoreUrl { engine, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_name_engines() {
        let url = "sqlite:/tmp/a:b.db".parse::<StoreName>().unwrap().resolve().unwrap();
        assert_eq!(url.engine, Engine::Sqlite);
        assert_eq!(url.path, PathBuf::from("/tmp/a:b.db"));
        assert_eq!(url.to_string(), "sqlite:/tmp/a:b.db");
    }

    #[test]
    fn unknown_schemes_and_missing_paths_are_refused() {
        assert!(matches!("mysql:x".parse::<StoreName>(), Err(UrlError::Scheme(_))));
        assert!(matches!("redb:".parse::<StoreName>(), Err(UrlError::Empty)));
        let missing = "./no/such/file".parse::<StoreName>().unwrap();
        assert!(matches!(missing.resolve(), Err(UrlError::NotThere(_))));
        let directory = "/".parse::<StoreName>().unwrap();
        assert!(matches!(directory.resolve(), Err(UrlError::NotAFile(_))));
    }

    #[test]
    fn a_bare_path_is_recognised_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        for (content, engine) in [
            (SQLITE_MAGIC, Engine::Sqlite),
            (REDB_MAGIC, Engine::Redb),
            (&b"anything else"[..], Engine::LndBolt),
        ] {
            std::fs::write(&path, content).unwrap();
            let name: StoreName = path.to_str().unwrap().parse().unwrap();
            assert_eq!(name.resolve().unwrap().engine, engine);
        }
    }
}
