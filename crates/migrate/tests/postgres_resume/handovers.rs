//! Which of a copy and its source is in use.

use migrate::command::{ActivateOptions, activate, copy, unseal};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;

use crate::command::Desk;
use crate::database::Database;
use crate::handover::{Handover, is_usable, survives_every_stop_of_a_handover};
use crate::kv::{Order, rows};
use crate::stopping::{Silent, url};
use crate::stops::{lnd, options, small, store};
use crate::table::fill;

const SEAL: ActivateOptions = ActivateOptions { seal_source: true };

/// lnd's table with the small content.
fn table(database: &Database) -> StoreUrl {
    fill(database, &rows(&small(), Order::Walk));
    database.run("select setval('channeldb_kv_id_seq', (select max(id) from channeldb_kv))");
    url(&database.lnd_url())
}

fn copy_to(from: &StoreUrl, to: &StoreUrl) {
    let source = opened::open(from, false).unwrap();
    copy(from, &source, to, options(), &Silent).unwrap();
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, why: &str) {
    match result {
        Err(Failure::Content(what)) => assert!(what.contains(why), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handover_of_lnd_s_table_goes_on_after_any_stop() {
    for seal in [false, true] {
        let (desk, database) = (Desk::new(), Database::new());
        let from = table(&database);
        // Also into the database that it is in.
        for to in [url(&desk.url("sqlite", "copy")), url(&database.url("copy"))] {
            copy_to(&from, &to);
            survives_every_stop_of_a_handover(&Handover { from: &from, to: &to, seal });
        }
    }
}

#[test]
fn a_handover_to_postgres_goes_on_after_any_stop() {
    let (desk, database) = (Desk::new(), Database::new());
    let (from, to) = (lnd(&desk), url(&database.url("copy")));
    copy_to(&from, &to);
    survives_every_stop_of_a_handover(&Handover { from: &from, to: &to, seal: true });
}

#[test]
fn a_handover_of_stores_goes_on_after_any_stop() {
    for (source, target) in [("redb", "postgres"), ("postgres", "postgres"), ("postgres", "sqlite")]
    {
        let (desk, database) = (Desk::new(), Database::new());
        let named = |engine: &str, name: &str| match engine {
            "postgres" => url(&database.url(name)),
            engine => url(&desk.url(engine, name)),
        };
        let (from, to) = (named(source, "source"), named(target, "copy"));
        // In use itself, as a copy of lnd's.
        store(&desk, &from);
        activate(&lnd(&desk), &from, ActivateOptions::default()).unwrap();
        copy_to(&from, &to);
        survives_every_stop_of_a_handover(&Handover { from: &from, to: &to, seal: false });
    }
}

#[test]
fn a_table_that_was_written_is_not_replaced() {
    let (desk, database) = (Desk::new(), Database::new());
    let (from, to) = (table(&database), url(&desk.url("sqlite", "copy")));
    copy_to(&from, &to);
    let change = "update channeldb_kv set value = value || '\\x00' where id = \
                  (select max(id) from channeldb_kv where value is not null)";
    let before = "was written since; nothing was changed";
    activate(&from, &to, SEAL).unwrap();
    unseal(&from, &to).unwrap();
    database.run(change);
    refused(activate(&from, &to, ActivateOptions::default()), before);
    refused(activate(&from, &to, SEAL), before);
    assert!(is_usable(&from) && !is_usable(&to));
}

#[test]
fn the_tombstone_of_another_move_of_a_table_stays() {
    let (desk, database) = (Desk::new(), Database::new());
    let from = table(&database);
    let (to, second) = (url(&desk.url("sqlite", "copy")), url(&desk.url("redb", "second")));
    copy_to(&from, &to);
    copy_to(&from, &second);
    activate(&from, &to, SEAL).unwrap();
    refused(activate(&from, &second, SEAL), "migrated away before (moved to sqlite:");
    refused(activate(&from, &second, ActivateOptions::default()), "is not the store that was");
    refused(unseal(&from, &second), "is not the store that was copied");
    assert!(!is_usable(&from) && !is_usable(&second) && is_usable(&to));
}

#[test]
fn a_table_that_lnd_is_writing_is_not_sealed() {
    let (desk, database) = (Desk::new(), Database::new());
    let (from, to) = (table(&database), url(&desk.url("sqlite", "copy")));
    copy_to(&from, &to);
    let mut lnd = database.another_shell();
    lnd.run("begin; update channeldb_kv set sequence = 1 where key = 'nib'");
    let held = activate(&from, &to, SEAL);
    assert!(matches!(held, Err(Failure::Access(_))), "{held:?}");
    assert!(!is_usable(&to));
    lnd.run("rollback");
    activate(&from, &to, SEAL).unwrap();
}
