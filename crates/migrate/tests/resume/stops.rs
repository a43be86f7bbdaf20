//! Stops at every commit, before and after it is stored.

use crate::command::Desk;
use crate::stopping::url;
use crate::stops::{lnd, store, survives_every_stop};

fn from_store(source: &str, target: &str) {
    let desk = Desk::new();
    let from = url(&desk.url(source, "source"));
    store(&desk, &from);
    survives_every_stop(&from, &url(&desk.url(target, "a")), &url(&desk.url(target, "b")));
}

fn from_lnd(target: &str) {
    let desk = Desk::new();
    survives_every_stop(&lnd(&desk), &url(&desk.url(target, "a")), &url(&desk.url(target, "b")));
}

#[test]
fn lnd_to_redb() {
    from_lnd("redb");
}

#[test]
fn lnd_to_sqlite() {
    from_lnd("sqlite");
}

#[test]
fn redb_to_redb() {
    from_store("redb", "redb");
}

#[test]
fn redb_to_sqlite() {
    from_store("redb", "sqlite");
}

#[test]
fn sqlite_to_redb() {
    from_store("sqlite", "redb");
}

#[test]
fn sqlite_to_sqlite() {
    from_store("sqlite", "sqlite");
}
