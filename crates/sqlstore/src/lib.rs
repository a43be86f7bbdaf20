//! SQLite and PostgreSQL behind the [`Backend`](channelcoord::Backend) of `channelcoord`.
//!
//! ```
//! use channelcoord::{Backend, Batch, ChangeSet, MetaRecord, Record, Verdict};
//! use sqlstore::SqliteBackend;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # pollster::block_on(async {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("store.sqlite");
//! let backend = SqliteBackend::create(&path)?;
//! let head = backend.claim(None).await?;
//!
//! let network = MetaRecord { name: "network".into(), value: "regtest".into() };
//! let set = ChangeSet { puts: vec![Record::Meta(network)], ..ChangeSet::default() };
//! let batch = Batch { epoch: head.epoch, before: head.seq, sets: &[set] };
//! let verdicts = backend.commit(batch).await?;
//! assert!(matches!(verdicts[..], [Verdict::Applied]));
//!
//! backend.release().await?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # What is stored
//!
//! A table for each kind of record, with a column for everything that an operator may ask about;
//! see `SCHEMA.md`. Operators should ask the views, whose names and columns are stable:
//! `channels`, `balances`, `htlcs_in_flight`, `forwarding_packages`, `closed_channels`, `peers`,
//! `peer_addresses`. They can do so while the node runs, with any SQLite shell.
//!
//! Unsigned 64-bit numbers are stored as signed ones with the same bits. Numbers within keys must be
//! below 2^63, so that rows sort like keys, and sets with larger ones are refused. A short channel
//! id that leads a key may be any number, as aliases are.
//!
//! Every row carries a checksum over its table and all its values.
//!
//! # SQLite
//!
//! [`SqliteBackend`] keeps a store in one file.
//!
//! SQLite runs with a write-ahead log that is synced before a commit returns. What one commit stored
//! is seen by every later read, and by no read before it is durable.
//!
//! A full disk stores nothing and the store lives on. If it cannot be told whether a commit was stored,
//! because a sync failed, the store serves nothing any more; open it again and settle the batch.
//!
//! An operator who keeps a read transaction open keeps the log from being emptied, so that it grows.
//!
//! A lock on the file `<path>.lock` keeps a second writer out; see [`OpenError::InUse`]. Beside it
//! each claim raises an epoch that each commit checks.
//!
//! # PostgreSQL
//!
//! [`PostgresOptions`] open a [`PostgresBackend`], which keeps a store in one schema of a database;
//! see `POSTGRESQL.md`.
//!
//! A batch is one statement, which PostgreSQL commits by itself, in one round trip. If the connection
//! is lost on the way, the same statement is sent again: it can only take effect once. So callers see
//! `Unknown` only if the server stays away for longer than [`PostgresOptions::patience`].
//!
//! A lease keeps other node instances out until it ends or is given back; see
//! [`PostgresOptions::instance`]. Beside it each claim raises the epoch that each commit checks.
//!
//! # Layers
//!
//! * `schema`: the schema text, with tokens for what differs between SQL engines.
//! * `table`: which record goes into which columns; `columns` and `row` carry values there and
//!   back; `keys` turns keys and ranges into values.
//! * `statement`, `text`: statement texts, generated from the tables.
//! * `verdict`: what becomes of the sets of a batch.
//! * `sqlite`: connections, transactions, reads. Nothing above it knows SQLite.
//! * `postgres`: `part` and `batch` make one statement of a batch, `commit` and `settle` see it
//!   through, `lease` says who may write, `worker` are the threads that all of it runs on.

mod columns;
mod fault;
mod keys;
mod open;
mod postgres;
mod row;
mod schema;
mod sqlite;
mod statement;
mod table;
mod text;
mod value;
mod verdict;

pub use open::{OpenError, StoreName};
#[cfg(feature = "single-statements")]
pub use postgres::SingleStatements;
pub use postgres::{PostgresBackend, PostgresOptions, Standing};
pub use schema::NEWEST as SCHEMA_VERSION;
pub use sqlite::SqliteBackend;
pub use verdict::fits;
