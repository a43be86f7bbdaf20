//! Engines that cases run over, named by URL.

use std::str::FromStr;

use thiserror::Error;

use crate::place::{InMemory, Place, Unusable, chain};

/// Makes a place for each case.
pub struct Engine {
    name: String,
    place: Box<dyn Fn() -> Result<Box<dyn Place>, Unusable> + Send + Sync>,
}

/// Engines that cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BadEngine {
    /// A URL names no engine that this runner knows.
    #[error(
        "no engine \"{0}\"; known are memory, redb, redb:DIR, sqlite, sqlite:DIR and postgres://..."
    )]
    Unknown(String),
    /// An engine is named twice, and results are told apart by its name.
    #[error("engine \"{0}\" is named twice")]
    Twice(String),
    /// It has no place for a store.
    #[error("engine \"{0}\" cannot be used: {1}")]
    Unusable(String, String),
}

impl Engine {
    /// An engine of this name; `place` makes a new, empty place at each call.
    pub fn new(
        name: impl Into<String>,
        place: impl Fn() -> Result<Box<dyn Place>, Unusable> + Send + Sync + 'static,
    ) -> Engine {
        Engine { name: name.into(), place: Box::new(place) }
    }

    /// Its name, as results show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new, empty place.
    ///
    /// # Errors
    /// The engine's, such as a server that does not answer.
    pub fn place(&self) -> Result<Box<dyn Place>, Unusable> {
        (self.place)()
    }
}

impl FromStr for Engine {
    type Err = BadEngine;

    /// Reads `memory`, or `redb` or `sqlite` with an optional directory to work in: `redb:DIR`, or the
    /// URL of a PostgreSQL database.
    fn from_str(url: &str) -> Result<Engine, BadEngine> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        match (scheme, rest) {
            ("memory", "") => Ok(Engine::new(scheme, || boxed(Ok(InMemory::default())))),
            #[cfg(feature = "redb")]
            ("redb", dir) => {
                Ok(in_directory(scheme, dir, |dir| boxed(crate::InRedb::redb_in(dir))))
            }
            #[cfg(feature = "sqlite")]
            ("sqlite", dir) => {
                Ok(in_directory(scheme, dir, |dir| boxed(crate::InSqlite::sqlite_in(dir))))
            }
            #[cfg(feature = "postgres")]
            ("postgres" | "postgresql", _) => {
                let server = url.to_owned();
                let place = move || boxed(crate::InPostgres::on_server(&server));
                Ok(Engine::new("postgres", place))
            }
            _ => Err(BadEngine::Unknown(url.to_owned())),
        }
    }
}

/// The engines that URLs name. Each is tried once, so that cases fail for what they are about.
///
/// # Errors
/// See [`BadEngine`].
pub fn engines(urls: &[String]) -> Result<Vec<Engine>, BadEngine> {
    let mut engines: Vec<Engine> = Vec::new();
    for url in urls {
        let engine: Engine = url.parse()?;
        let name = engine.name();
        if engines.iter().any(|other| other.name() == name) {
            return Err(BadEngine::Twice(name.to_owned()));
        }
        let tried = engine.place().and_then(|place| place.open().map(drop));
        tried.map_err(|error| BadEngine::Unusable(name.to_owned(), chain(error.as_ref())))?;
        engines.push(engine);
    }
    Ok(engines)
}

/// An engine that works in a directory, or in the system's for temporary files if none is named.
#[cfg(any(feature = "redb", feature = "sqlite"))]
fn in_directory(
    scheme: &str,
    dir: &str,
    place: fn(&std::path::Path) -> Result<Box<dyn Place>, Unusable>,
) -> Engine {
    match dir {
        "" => Engine::new(scheme, move || place(&std::env::temp_dir())),
        dir => {
            // One directory has one name.
            let dir: std::path::PathBuf = std::path::Path::new(dir).components().collect();
            Engine::new(format!("{scheme}:{}", dir.display()), move || place(&dir))
        }
    }
}

fn boxed(place: Result<impl Place + 'static, Unusable>) -> Result<Box<dyn Place>, Unusable> {
    place.map(|place| Box::new(place) as Box<dyn Place>)
}
