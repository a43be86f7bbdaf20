//! Stops at every commit, before and after it is stored.

use crate::command::Desk;
use crate::database::Database;
use crate::stopping::url;
use crate::stops::{lnd, store, survives_every_stop};

/// Copies a store; PostgreSQL is on one side or on both.
fn survives(source: &str, target: &str) {
    let (desk, database) = (Desk::new(), Database::new());
    let named = |engine: &str, name: &str| match engine {
        "postgres" => url(&database.url(name)),
        engine => url(&desk.url(engine, name)),
    };
    let from = match source {
        "lnd-bolt" => lnd(&desk),
        engine => {
            let from = named(engine, "source");
            store(&desk, &from);
            from
        }
    };
    survives_every_stop(&from, &named(target, "a"), &named(target, "b"));
}

#[test]
fn lnd_to_postgres() {
    survives("lnd-bolt", "postgres");
}

#[test]
fn redb_to_postgres() {
    survives("redb", "postgres");
}

#[test]
fn sqlite_to_postgres() {
    survives("sqlite", "postgres");
}

#[test]
fn postgres_to_postgres() {
    survives("postgres", "postgres");
}

#[test]
fn postgres_to_redb() {
    survives("postgres", "redb");
}

#[test]
fn postgres_to_sqlite() {
    survives("postgres", "sqlite");
}
