//! Whatever holds a tree, it is the same source.

use std::path::Path;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, succeeds, told, verify};
use crate::kv::{Order, rows, write};

/// Copies a database from both homes; everything must be equal, and each copy verifies against the
/// other's source.
fn survives(bolt: &Path, order: Order, page_size: u32) {
    let desk = Desk::new();
    let file = desk.0.path().join("channel.sqlite");
    write(&file, &rows(&Tree::read(bolt), order), page_size);
    let (bolt, sqlite) =
        (format!("lnd-bolt:{}", bolt.display()), desk.url("lnd-sqlite", "channel.sqlite"));
    let (of_bolt, of_sqlite) = (desk.url("sqlite", "of_bolt"), desk.url("sqlite", "of_sqlite"));
    let report = |from: &str, to: &str| {
        let copied = migrate(&["copy", "--json", "--from", from, "--to", to]);
        succeeds(&copied);
        json(&copied)
    };
    let reports = (report(&bolt, &of_bolt), report(&sqlite, &of_sqlite));
    // Pages of a bbolt file are one more thing to warn of.
    for part in ["records", "residues", "verified", "skipped", "left_untouched"] {
        assert_eq!(reports.0[part], reports.1[part], "{part}");
    }
    for (source, store) in [
        (&sqlite, &of_sqlite),
        (&sqlite, &of_bolt),
        (&bolt, &of_sqlite),
        (&of_bolt, &of_sqlite),
        (&of_sqlite, &of_bolt),
    ] {
        succeeds(&verify(source, store));
    }
    for command in ["check", "inspect"] {
        assert_eq!(told(command, &bolt), told(command, &sqlite), "{command}");
    }
}

#[test]
fn a_database_of_every_kind_of_record_survives() {
    survives(&fixture("node.db"), Order::Walk, 4096);
}

#[test]
fn page_sizes_and_the_order_of_rows_do_not_matter() {
    survives(&fixture("legacy31.db"), Order::Backward, 512);
    survives(&fixture("legacy31.db"), Order::Scattered, 65536);
}

#[test]
fn old_databases_survive() {
    survives(&fixture("legacy.db"), Order::Scattered, 4096);
}

#[test]
fn a_database_without_channels_survives() {
    survives(&fixture("empty.db"), Order::Walk, 1024);
}

#[test]
fn buckets_of_many_pages_survive() {
    survives(&fixture("deep.db"), Order::Backward, 4096);
}

/// Written by a daemon of somebody else, so it is not part of this repository.
#[test]
#[ignore = "needs ../shared/fixtures/lnd/regtest-real.db beside the project"]
fn a_real_daemon_s_database_survives() {
    let shared = "../../../shared/fixtures/lnd/regtest-real.db";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(shared);
    survives(&path, Order::Scattered, 4096);
}

#[test]
fn a_lost_entry_and_an_added_one_are_differences() {
    let desk = Desk::new();
    let source = desk.url("lnd-sqlite", "channel.sqlite");
    let store = desk.url("redb", "store");
    let file = desk.0.path().join("channel.sqlite");
    write(&file, &rows(&Tree::read(&fixture("legacy31.db")), Order::Walk), 4096);
    succeeds(&copy(&source, &store));
    let shell = crate::kv::connect(&file);
    let places: [(&str, &str); 3] = [
        (
            "delete from channeldb_kv where id = (select max(child.id) from channeldb_kv as child \
          join channeldb_kv as log on log.id = child.parent_id where log.key = cast('revocation-log' as blob))",
            "only in the store",
        ),
        // One more entry at the end of a bucket.
        (
            "insert into channeldb_kv (parent_id, key, value) select id, cast(printf('%032d', 9) as blob), x'' \
          from channeldb_kv where key = cast('chan-id-bucket' as blob)",
            "only in the source",
        ),
        (
            "update channeldb_kv set sequence = 7 where key = cast('nib' as blob)",
            "sequence 7 in the source",
        ),
    ];
    for (change, what) in places {
        shell.execute_batch("begin").unwrap();
        assert_eq!(shell.execute(change, []).unwrap(), 1, "{change}");
        shell.execute_batch("commit").unwrap();
        let verified = verify(&source, &store);
        assert_eq!(code(&verified), 1);
        let text = String::from_utf8(verified.stdout).unwrap();
        assert!(text.contains(what), "{what}: {text}");
    }
}

#[test]
fn inconsistencies_are_found_and_carried() {
    let desk = Desk::new();
    let source = desk.url("lnd-sqlite", "channel.sqlite");
    let file = desk.0.path().join("channel.sqlite");
    let bolt = fixture("damaged/log-gap.db");
    write(&file, &rows(&Tree::read(&bolt), Order::Walk), 4096);
    let findings = |store: &str| told("check", store)["findings"].clone();
    assert_eq!(findings(&source), findings(bolt.to_str().unwrap()));
    assert_eq!(code(&copy(&source, &desk.url("sqlite", "refused"))), 1);
    let store = desk.url("sqlite", "store");
    succeeds(&migrate(&["copy", "--accept", "--from", &source, "--to", &store]));
    succeeds(&verify(&source, &store));
}

#[test]
fn a_tombstoned_database_is_refused_unless_allowed() {
    let desk = Desk::new();
    let source = desk.url("lnd-sqlite", "channel.sqlite");
    let file = desk.0.path().join("channel.sqlite");
    write(&file, &rows(&Tree::read(&fixture("tombstoned.db")), Order::Walk), 4096);
    let refused = migrate(&["check", &source]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("migrated away"), "{}", stderr(&refused));
    succeeds(&migrate(&["check", "--allow-tombstoned", &source]));
}

#[test]
fn an_unknown_version_is_refused() {
    let desk = Desk::new();
    let source = desk.url("lnd-sqlite", "channel.sqlite");
    let file = desk.0.path().join("channel.sqlite");
    write(&file, &rows(&Tree::read(&fixture("damaged/dbp36.db")), Order::Walk), 4096);
    let refused = migrate(&["check", &source]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("version 36"), "{}", stderr(&refused));
}

#[test]
fn it_is_no_target() {
    let desk = Desk::new();
    let source = fixture("empty.db").display().to_string();
    assert_eq!(code(&copy(&source, &desk.url("lnd-sqlite", "a"))), 2);
    assert_eq!(code(&copy(&source, "lnd-postgres://nobody@127.0.0.1:1/lnd")), 2);
    assert_eq!(std::fs::read_dir(desk.0.path()).unwrap().count(), 0);
}
