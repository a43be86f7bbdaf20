//! Connections for reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::Semaphore;

use super::error::{Class, Fault};
use super::row::Parameters;
use super::server::{Purpose, Server};

/// As many connections as are in use at once, up to a limit. The one that was used last is used
/// first, so one reader alone keeps to one of them.
pub(crate) struct Readers {
    limit: Semaphore,
    /// None once the store is released.
    idle: Mutex<Option<Vec<PgConnection>>>,
}

/// A statement and its parameters.
pub(crate) type Statement = (Arc<str>, Parameters);

/// Shows all statements up to the next commit the same rows.
const BEGIN: &str = "begin isolation level repeatable read read only";

impl Readers {
    pub(crate) fn new(limit: u32, idle: Option<PgConnection>) -> Readers {
        let limit = Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS));
        Readers { limit, idle: Mutex::new(Some(idle.into_iter().collect())) }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<PgConnection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs statements that see the same rows. A connection that is lost is not kept, nor are the
    /// others, which fared no better most likely.
    pub(crate) async fn ask(
        &self,
        server: &Server,
        statements: &[Statement],
    ) -> Result<Vec<Vec<PgRow>>, Fault> {
        // Never closed.
        let _permit = self.limit.acquire().await;
        let idle = self.idle().as_mut().and_then(Vec::pop);
        let mut connection = match idle {
            Some(connection) => connection,
            None => server.connect(Purpose::Read).await?,
        };
        let answers = ask(server, &mut connection, statements).await;
        if let Some(idle) = self.idle().as_mut() {
            match &answers {
                Ok(_) => idle.push(connection),
                Err(fault) if fault.class() == Class::Lost => idle.clear(),
                // It may be in the middle of a transaction.
                Err(_) => {}
            }
        }
        answers
    }

    /// Closes those that are in no use; the others are closed after it.
    pub(crate) async fn close(&self) {
        let idle = self.idle().take().unwrap_or_default();
        for connection in idle {
            // The server notices by itself otherwise.
            let _ = sqlx::Connection::close(connection).await;
        }
    }
}

async fn ask(
    server: &Server,
    connection: &mut PgConnection,
    statements: &[Statement],
) -> Result<Vec<Vec<PgRow>>, Fault> {
    // One statement sees one moment anyway.
    let alone = statements.len() <= 1;
    let mut answers = Vec::with_capacity(statements.len());
    if !alone {
        server.ask(connection, "beginning a read", BEGIN.into(), Parameters::new()).await?;
    }
    for (text, parameters) in statements {
        let asking = server.ask(connection, "reading", Arc::clone(text), parameters.clone());
        answers.push(asking.await?);
    }
    if !alone {
        server.ask(connection, "ending a read", "commit".into(), Parameters::new()).await?;
    }
    Ok(answers)
}
