//! The way not taken, to measure against: a transaction for each change set, a statement for each
//! record.

use std::sync::Arc;

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Op, Record, Seq,
    Settled, Subject, Verdict,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use sqlx::Row;

use super::PostgresBackend;
use super::batch::store_checksum;
use super::client::Session;
use super::error::Fault;
use super::row::{Parameters, kept, kept_as};
use super::text;
use crate::keys;
use crate::row::{RowWriter, checksum_change};
use crate::table;
use crate::text::Entry;
use crate::value::{Sink, Value};

/// A store that commits each change set in a transaction of single statements. It gives up at the
/// first failure.
#[derive(Debug)]
pub struct SingleStatements(pub PostgresBackend);

/// A statement with its parameters.
type Statement = (Arc<str>, Parameters);

/// What one change set asks for.
struct Transaction {
    guards: Vec<(Subject, i64, Statement)>,
    changes: Vec<Statement>,
}

impl Transaction {
    fn of(set: &ChangeSet) -> Transaction {
        let guard = |(subject, expected): (Subject, chanstate::Version)| {
            let entry = text::of_kind(subject.key().kind);
            let version = entry.statements.version.as_deref().unwrap_or_default();
            (subject, expected.0.cast_signed(), (version.into(), by_key(entry, &subject.key())))
        };
        Transaction {
            guards: set.guards().map(guard).collect(),
            changes: set.ops().map(statement).collect(),
        }
    }
}

fn by_key(entry: &Entry, key: &RecordKey) -> Parameters {
    let values = keys::values(entry.table, key).unwrap_or_default();
    let columns = kept(entry.table, 0..entry.table.key).zip(values);
    columns.fold(Parameters::new(), |all, (ty, value)| all.value(ty, value))
}

fn statement(op: Op<'_>) -> Statement {
    match op {
        Op::Remove(key) => {
            let entry = text::of_kind(key.kind);
            (entry.statements.delete.as_str().into(), by_key(entry, key))
        }
        Op::Ack(ack) => {
            let change = checksum_change(Value::Int(0), Value::Int(1));
            let text = format!(
                "update package_update set acked = true, checksum = checksum # {change} \
                 where source = $1 and height = $2 and list = $3 and position = $4 and not acked"
            );
            (text.into(), by_key(text::of_kind(Kind::PackageUpdate), &ack.key()))
        }
        Op::Put(record) => {
            let entry = text::of_kind(record.kind());
            let (mut sink, mut scratch) = (Single(entry, 0, Parameters::new()), Vec::new());
            let mut row = RowWriter::new(entry.table, &mut sink, &mut scratch);
            table::write(record, &mut row);
            row.finish();
            let upsert = entry.statements.replace.as_ref().unwrap_or(&entry.statements.upsert);
            (upsert.as_str().into(), sink.2)
        }
    }
}

/// Table, next column, parameters.
struct Single(&'static Entry, usize, Parameters);

impl Sink for Single {
    fn push(&mut self, value: Value<'_>) {
        let ty = kept_as(self.0.table, self.1);
        self.2 = std::mem::take(&mut self.2).value(ty, value);
        self.1 += 1;
    }
}

async fn run(
    session: &mut Session<'_>,
    head: Head,
    transaction: Transaction,
) -> Result<Option<Subject>, Fault> {
    session.ask("beginning", "begin", Parameters::new()).await?;
    let text = "select epoch, seq from store where id = 1 for update";
    session.ask("reading", text, Parameters::new()).await?;
    for (subject, expected, (text, parameters)) in transaction.guards {
        let rows = session.ask("reading", text, parameters).await?;
        let found = rows.first().and_then(|row| row.try_get::<i64, _>(0).ok()).unwrap_or_default();
        if found != expected {
            session.ask("rolling back", "rollback", Parameters::new()).await?;
            return Ok(Some(subject));
        }
    }
    for (text, parameters) in transaction.changes {
        session.ask("writing", text, parameters).await?;
    }
    let text = "update store set seq = $1, checksum = $2 where id = 1";
    let raised = Parameters::new().unsigned(head.seq.0).int(store_checksum(head.epoch, head.seq));
    session.ask("writing", text, raised).await?;
    session.ask("committing", "commit", Parameters::new()).await?;
    Ok(None)
}

#[async_trait]
impl Backend for SingleStatements {
    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let transactions: Vec<_> = batch.sets.iter().map(Transaction::of).collect();
        let (client, epoch) = (Arc::clone(&self.0.client), batch.epoch);
        let seqs = batch.before.0 + 1..;
        let committing = async move {
            let mut session = client.session().await;
            let mut verdicts = Vec::new();
            for (transaction, seq) in transactions.into_iter().zip(seqs) {
                let head = Head { epoch, seq: Seq(seq) };
                let stale = run(&mut session, head, transaction).await?;
                verdicts.push(stale.map_or(Verdict::Applied, Verdict::Conflict));
            }
            Ok(verdicts)
        };
        let unknown = |stopped| CommitError::Unknown(Arc::new(stopped));
        let committed = self.0.worker.run(committing).await.map_err(unknown)?;
        committed.map_err(|fault: Fault| CommitError::Unknown(fault.cause()))
    }

    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.0.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.0.release().await
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.0.settle(batch).await
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.0.read(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.0.scan(range, limit).await
    }
}
