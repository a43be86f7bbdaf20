//! Every source into every target, and back. The server is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "common/command.rs"]
mod command;
#[path = "common/database.rs"]
mod database;
#[path = "common/kv.rs"]
mod kv;
#[path = "common/table.rs"]
mod table;

use std::sync::OnceLock;

use serde_json::Value;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, verify};
use crate::database::Database;
use crate::kv::Order;

/// A database of lnd's with every kind of record.
const NODE: &str = "node.db";

/// What holds a store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    LndBolt,
    LndSqlite,
    LndPostgres,
    Redb,
    Sqlite,
    Postgres,
    Archive,
}

use Kind::{Archive, LndBolt, LndPostgres, LndSqlite, Postgres, Redb, Sqlite};

impl Kind {
    fn is_lnd(self) -> bool {
        matches!(self, LndBolt | LndSqlite | LndPostgres)
    }
}

/// Where the stores of a test are.
struct Site {
    desk: Desk,
    database: OnceLock<Database>,
}

impl Site {
    fn new() -> Site {
        Site { desk: Desk::new(), database: OnceLock::new() }
    }

    fn database(&self) -> &Database {
        self.database.get_or_init(Database::new)
    }

    /// Names a store that is not there yet.
    fn url(&self, kind: Kind, name: &str) -> String {
        match kind {
            LndBolt => format!("lnd-bolt:{}", fixture(NODE).display()),
            LndSqlite => self.desk.url("lnd-sqlite", name),
            LndPostgres => self.database().lnd_url(),
            Redb => self.desk.url("redb", name),
            Sqlite => self.desk.url("sqlite", name),
            Postgres => self.database().url(name),
            Archive => self.desk.url("archive", name),
        }
    }

    /// Makes the source.
    fn source(&self, kind: Kind) -> String {
        let url = self.url(kind, "source");
        let rows = || kv::rows(&Tree::read(&fixture(NODE)), Order::Walk);
        match kind {
            LndBolt => {}
            LndSqlite => kv::write(&self.desk.0.path().join("source"), &rows(), 4096),
            LndPostgres => table::fill(self.database(), &rows()),
            Redb | Sqlite | Postgres | Archive => copied(&self.url(LndBolt, ""), &url),
        }
        url
    }

    fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.desk.0.path().join(name)).unwrap()
    }
}

#[track_caller]
fn copied(from: &str, to: &str) {
    let copied = copy(from, to);
    assert_eq!(code(&copied), 0, "{from} to {to}: {}", stderr(&copied));
}

/// Every record of one is in the other.
#[track_caller]
fn equal(one: &str, other: &str) {
    let verified = verify(one, other);
    let told = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(code(&verified), 0, "{one} and {other}: {told}{}", stderr(&verified));
}

#[track_caller]
fn told(command: &[&str], store: &str) -> Value {
    let told = migrate(&[command, &["--json", store]].concat());
    assert_eq!(code(&told), 0, "{store}: {}", stderr(&told));
    json(&told)
}

/// What is in a store, in short.
#[track_caller]
fn summary(store: &str) -> (Value, Value) {
    let (digest, inspected) = (told(&["digest", "--channels"], store), told(&["inspect"], store));
    let parts = ["digest", "rest", "records", "channels"].map(|part| digest[part].clone());
    let shown = ["counts", "channels"].map(|part| inspected[part].clone());
    (parts.into(), shown.into())
}

/// What is in every copy of the source, whatever the way.
fn expected() -> &'static (Value, Value) {
    static EXPECTED: OnceLock<(Value, Value)> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let site = Site::new();
        summary(&site.source(Redb))
    })
}

fn moves(from: Kind, to: Kind) {
    let site = Site::new();
    let (source, target) = (site.source(from), site.url(to, "target"));
    copied(&source, &target);
    equal(&source, &target);
    assert_eq!(summary(&target), *expected());
    assert_eq!(told(&["inspect"], &source)["counts"], expected().1[0]);
    if from.is_lnd() {
        return;
    }
    equal(&target, &source);
    let back = site.url(from, "back");
    copied(&target, &back);
    equal(&source, &back);
    equal(&back, &source);
    assert_eq!(summary(&back), *expected());
    if from == Archive {
        assert!(site.content("back") == site.content("source"));
    }
}

macro_rules! matrix {
    ($($from:ident $source:ident: $($to:ident $target:ident),*;)*) => {$(
        mod $from {
            use super::*;

            $(#[test]
            fn $to() {
                moves($source, $target);
            })*
        }
    )*};
}

matrix! {
    from_lnd_bolt LndBolt: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_lnd_sqlite LndSqlite: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_lnd_postgres LndPostgres: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_redb Redb: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_sqlite Sqlite: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_postgres Postgres: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
    from_archive Archive: to_redb Redb, to_sqlite Sqlite, to_postgres Postgres, to_archive Archive;
}
