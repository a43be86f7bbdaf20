//! Finding out what became of a batch.

use std::collections::HashMap;
use std::convert::Infallible;

use channelcoord::{BackendError, Batch, ChangeSet, Epoch, Head, Seq, Settled, Subject, Verdict};
use chanstate::Version;
use chanstate::key::Kind;
use sqlx::Row;

use super::array::{Rows, array_type};
use super::batch::{Prepared, store_checksum};
use super::client::{Client, Session};
use super::error::Fault;
use super::row::{Parameters, kept_as};
use crate::table;
use crate::value::Sink;
use crate::{keys, verdict};

/// What became of a batch.
pub(crate) enum Fate {
    /// It is stored; the versions that its subjects have now.
    Stored(HashMap<Subject, Version>, Head),
    /// It is not stored and never will be.
    NotStored(Head),
}

impl Fate {
    /// As an answer about `batch`.
    ///
    /// # Errors
    /// `Unavailable` if later commits hide a verdict.
    pub(crate) fn settled(
        self,
        batch: Batch<'_>,
        prepared: &Prepared,
    ) -> Result<Settled, BackendError> {
        Ok(match self {
            Fate::Stored(versions, head) => {
                Settled::Stored(verdicts(batch, prepared, &versions, head)?, head)
            }
            Fate::NotStored(head) => Settled::NotStored(head),
        })
    }
}

/// Takes the batch's sequence numbers, so that it cannot be stored any more; or waits for it, if it is
/// on its way, and finds them taken.
const BURN: &str = "\
    with gate as (update store set seq = $3, checksum = $5 \
        where id = 1 and epoch = $1 and seq = $2 and checksum = $4 and $3 > $2 returning id) \
    insert into burnt (epoch, before) select $1, $2 from gate";

/// Makes a lost batch impossible, or waits for it, then tells its fate.
pub(crate) async fn settle(client: &Client, batch: &Prepared) -> Result<Fate, BackendError> {
    let mut patience = client.patience();
    loop {
        let mut session = client.session().await;
        let fault = match burn(&mut session, batch).await {
            Ok(()) => match fate(&mut session, batch).await {
                Ok(fate) => return Ok(fate),
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        drop(session);
        patience.pause(fault).await.map_err(Fault::reading)?;
    }
}

async fn burn(session: &mut Session<'_>, batch: &Prepared) -> Result<(), Fault> {
    let parameters = Parameters::new()
        .unsigned(batch.epoch.0)
        .unsigned(batch.before.0)
        .unsigned(batch.last.0)
        .int(store_checksum(batch.epoch, batch.before))
        .int(store_checksum(batch.epoch, batch.last));
    session.ask("settling", BURN, parameters).await.map(drop)
}

/// Changes nothing, and waits for whatever a commit waits for.
///
/// What is seen next may be of a session that ended while it waited for a standby, or of a server
/// that crashed meanwhile: it is stored here and nowhere else. This commit comes after it, so when it
/// is through, the standby has both.
const CONFIRM: &str = "update store set seq = seq where id = 1";

/// Tells the fate of a batch whose sequence numbers are taken, or whose claim is over, from the
/// sequence numbers of its claim and the versions of its subjects.
pub(crate) async fn fate(session: &mut Session<'_>, batch: &Prepared) -> Result<Fate, Fault> {
    session.durable().await?;
    session.ask("settling", CONFIRM, Parameters::new()).await?;
    let store = session.store().await?;
    let head = Head { epoch: Epoch(store.epoch), seq: Seq(store.seq) };
    let next = match head.epoch > batch.epoch {
        true => Some(session.epoch(batch.epoch.0 + 1).await?.began_at),
        false => None,
    };
    let began_at = |_| Ok::<_, Infallible>(Seq(next.unwrap_or_default()));
    let Ok(reached) = verdict::reached(head, batch.epoch, began_at);
    if reached < batch.last || is_burnt(session, batch).await? {
        return Ok(Fate::NotStored(head));
    }
    Ok(Fate::Stored(versions(session, batch).await?, head))
}

async fn is_burnt(session: &mut Session<'_>, batch: &Prepared) -> Result<bool, Fault> {
    let text = "select from burnt where epoch = $1 and before = $2";
    let parameters = Parameters::new().unsigned(batch.epoch.0).unsigned(batch.before.0);
    Ok(!session.ask("settling", text, parameters).await?.is_empty())
}

/// The versions of a batch's subjects; none for those that do not exist.
async fn versions(
    session: &mut Session<'_>,
    batch: &Prepared,
) -> Result<HashMap<Subject, Version>, Fault> {
    let mut versions = HashMap::new();
    for kind in [Kind::Channel, Kind::LinkNode] {
        let subjects: Vec<_> = batch.subjects().filter(|s| s.key().kind == kind).copied().collect();
        if subjects.is_empty() {
            continue;
        }
        let (text, parameters) = version_query(kind, &subjects);
        for row in session.ask("settling", text, parameters).await? {
            let read = |index| row.try_get::<i64, _>(index).map_err(Fault::doing("settling"));
            if let Some(subject) =
                usize::try_from(read(0)? - 1).ok().and_then(|at| subjects.get(at))
            {
                versions.insert(*subject, Version(read(1)?.cast_unsigned()));
            }
        }
    }
    Ok(versions)
}

fn version_query(kind: Kind, subjects: &[Subject]) -> (String, Parameters) {
    let table = table::of_kind(kind);
    let (key, ty) = (&table.columns[0].name, kept_as(table, 0));
    let mut rows = Rows::new([ty]);
    for subject in subjects {
        let subject = subject.key();
        let values = keys::values(table, &subject).unwrap_or_default();
        values.into_iter().for_each(|value| rows.push(value));
    }
    let text = format!(
        "select u.at, t.version from unnest($1::{}) with ordinality u ({key}, at) \
         join {} t on t.{key} = u.{key}",
        array_type(ty),
        table.name,
    );
    (text, Parameters::new().rows(&rows))
}

/// The verdicts on a stored batch, from the versions of its subjects.
///
/// # Errors
/// `Unavailable` if later commits hide one.
pub(crate) fn verdicts(
    batch: Batch<'_>,
    prepared: &Prepared,
    versions: &HashMap<Subject, Version>,
    head: Head,
) -> Result<Vec<Verdict>, BackendError> {
    let version = |subject: &Subject| Ok(versions.get(subject).copied().unwrap_or(Version::ABSENT));
    let refused = |position, _: &ChangeSet| prepared.refused(position);
    verdict::of_stored(batch, head.seq == batch.last(), refused, version)
}
