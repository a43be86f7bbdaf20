//! Committing a batch: one statement, sent until it is known what became of it.
//!
//! Sending a batch again is safe, and tells the fate of the one sent before: it raises the sequence
//! number of the very row that the lost one has to raise from the same value. So it waits for the lost
//! one and then finds it stored, or it stores the batch itself and makes the lost one impossible.

use std::collections::HashMap;
use std::sync::Arc;

use channelcoord::{Batch, CommitError, Epoch, Head, Subject, Verdict};
use chanstate::Version;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::batch::Prepared;
use super::client::{Client, Session};
use super::error::{Class, Fault};
use super::lease::{self, Renewal};
use super::part::Puts;
use super::settle::{self, Fate};
use crate::fault::WrongSeq;

/// What a batch that is stored answered.
pub(crate) enum Stored {
    /// For each guard part, the rows that were stale, counted from 1.
    Answered(Vec<Vec<i64>>),
    /// Its answer was lost: the versions that its subjects have now, and where the store stands.
    Found(HashMap<Subject, Version>, Head),
}

/// Commits a batch.
pub(crate) async fn commit(client: &Client, batch: &Prepared) -> Result<Stored, CommitError> {
    let mut patience = client.patience();
    // An attempt failed; one may have been stored without our knowing.
    let (mut again, mut lost) = (false, false);
    let mut puts = Puts::New;
    loop {
        let mut session = client.session().await;
        let fault = match attempt(client, &mut session, batch, puts, again).await {
            // A batch that is not due need not have waited for the one sent before, which may still
            // be on its way: only settling waits for it.
            Ok(Some(Err(refused))) if lost => return Err(CommitError::Unknown(Arc::new(refused))),
            Ok(Some(done)) => return done,
            Ok(None) => continue,
            // Nothing of the batch is stored.
            Err(fault) if puts == Puts::New && fault.is_duplicate() => {
                puts = Puts::Any;
                continue;
            }
            Err(fault) => fault,
        };
        drop(session);
        again = true;
        lost |= fault.class() == Class::Lost;
        if let Err(fault) = patience.pause(fault).await {
            return Err(match lost {
                true => CommitError::Unknown(fault.cause()),
                false => CommitError::NotStored(fault.cause()),
            });
        }
    }
}

/// Sends the batch once; `None` if it is to be sent again at once.
async fn attempt(
    client: &Client,
    session: &mut Session<'_>,
    batch: &Prepared,
    puts: Puts,
    again: bool,
) -> Result<Option<Result<Stored, CommitError>>, Fault> {
    let text = client.texts.of(batch, puts);
    let rows = session.ask("committing", text, batch.parameters()).await?;
    let answered = rows.first().ok_or(sqlx::Error::RowNotFound).and_then(answer);
    // An answer that cannot be read says as little as none.
    if let Some(stale) = answered.map_err(Fault::doing("committing"))? {
        return Ok(Some(Ok(Stored::Answered(stale))));
    }
    // Whatever the failure before said of it.
    if again && let Fate::Stored(versions, head) = settle::fate(session, batch).await? {
        return Ok(Some(Ok(Stored::Found(versions, head))));
    }
    let store = session.store().await?;
    let refused = if store.epoch != batch.epoch.0 {
        fenced(batch, Epoch(store.epoch))
    } else if store.seq != batch.before.0 {
        let wrong = WrongSeq { expected: batch.before.0, found: store.seq };
        CommitError::NotStored(Arc::new(wrong))
    } else {
        session.durable().await?;
        match lease::revive(&client.lease, session, batch.epoch).await? {
            Renewal::Renewed => return Ok(None),
            Renewal::Over => fenced(batch, batch.epoch),
        }
    };
    Ok(Some(Err(refused)))
}

fn fenced(batch: &Prepared, found: Epoch) -> CommitError {
    CommitError::Fenced { ours: batch.epoch, found }
}

/// What the statement says, if the batch was due.
fn answer(row: &PgRow) -> Result<Option<Vec<Vec<i64>>>, sqlx::Error> {
    if row.try_get::<Option<i64>, _>(0)?.is_none() {
        return Ok(None);
    }
    let stale = |index| row.try_get::<Option<_>, _>(index).map(Option::unwrap_or_default);
    (1..row.len()).map(stale).collect::<Result<_, _>>().map(Some)
}

/// The verdicts on a stored batch.
///
/// # Errors
/// `Unknown` if its answer was lost and a newer claim's commits hide a verdict.
pub(crate) fn verdicts(
    batch: Batch<'_>,
    prepared: &Prepared,
    stored: Stored,
) -> Result<Vec<Verdict>, CommitError> {
    let stale = match stored {
        Stored::Answered(stale) => stale,
        Stored::Found(versions, head) => {
            let verdicts = settle::verdicts(batch, prepared, &versions, head);
            return verdicts.map_err(|error| CommitError::Unknown(Arc::new(error)));
        }
    };
    let mut conflicts: HashMap<usize, Subject> = HashMap::new();
    // The first subject that is stale is named: parts and rows come in the order of a set's guards.
    for (guards, stale) in prepared.guards.iter().zip(stale) {
        let mut stale: Vec<_> =
            stale.iter().filter_map(|at| usize::try_from(at - 1).ok()).collect();
        stale.sort_unstable();
        for (position, subject) in stale.iter().filter_map(|at| guards.get(*at)) {
            conflicts.entry(*position).or_insert(*subject);
        }
    }
    let of_set = |position| match prepared.refused(position) {
        Some(refused) => refused,
        None => conflicts.remove(&position).map_or(Verdict::Applied, Verdict::Conflict),
    };
    Ok((0..batch.sets.len()).map(of_set).collect())
}
