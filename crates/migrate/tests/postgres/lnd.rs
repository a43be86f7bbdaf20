//! lnd's table in PostgreSQL as a source.

use migrate::lnd::source::{LndSource, Refused};
use migrate::lnd::tombstone::{Home, TombstoneError, remove, write};
use migrate::lnd::tree::sql::Place;
use migrate::opened::Failure;
use serde_json::Value;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, succeeds, told, verify};
use crate::database::Database;
use crate::kv::{Order, rows};
use crate::meanwhile::copy_with;
use crate::table::fill;

/// What is left of the constraints after somebody moved the table by hand: nothing.
const LOOSEN: &str = "
alter table channeldb_kv drop constraint channeldb_kv_parent;
alter table channeldb_kv drop constraint channeldb_kv_pkey;
alter table channeldb_kv alter column key drop not null;
alter table channeldb_kv alter column id drop not null;
drop index channeldb_kv_up;
drop index channeldb_kv_unp;
";

/// A database of lnd, in a server of its own, with a fixture's content.
fn lnd(name: &str, order: Order) -> (Database, String) {
    let database = Database::new();
    fill(&database, &rows(&Tree::read(&fixture(name)), order));
    let url = database.lnd_url();
    (database, url)
}

fn survives(name: &str, order: Order) {
    let (desk, (database, source)) = (Desk::new(), lnd(name, order));
    let bolt = format!("lnd-bolt:{}", fixture(name).display());
    // The store may be in the database of its source.
    let (of_bolt, of_table) = (desk.url("sqlite", "of_bolt"), database.url("of_table"));
    succeeds(&copy(&bolt, &of_bolt));
    succeeds(&copy(&source, &of_table));
    for (source, store) in [
        (&source, &of_table),
        (&source, &of_bolt),
        (&bolt, &of_table),
        (&of_bolt, &of_table),
        (&of_table, &of_bolt),
    ] {
        succeeds(&verify(source, store));
    }
    for command in ["check", "inspect"] {
        assert_eq!(told(command, &bolt), told(command, &source), "{command}");
    }
}

#[test]
fn a_database_of_every_kind_of_record_survives() {
    survives("node.db", Order::Backward);
}

#[test]
fn old_databases_survive() {
    survives("legacy.db", Order::Scattered);
    survives("legacy31.db", Order::Walk);
}

#[test]
fn a_database_without_channels_survives() {
    survives("empty.db", Order::Walk);
}

#[test]
fn buckets_of_many_pages_survive() {
    let (desk, (_database, source)) = (Desk::new(), lnd("deep.db", Order::Scattered));
    let store = desk.url("sqlite", "store");
    succeeds(&copy(&source, &store));
    succeeds(&verify(&fixture("deep.db").display().to_string(), &store));
}

#[test]
fn a_table_of_another_name_is_found() {
    let (database, url) = lnd("legacy31.db", Order::Walk);
    database.run("create schema \"Node 1\"; alter table channeldb_kv set schema \"Node 1\"");
    let missing = migrate(&["check", &url]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("there is no table"), "{}", stderr(&missing));
    database.run("alter table \"Node 1\".channeldb_kv rename to other_kv");
    let moved = format!("{url}&prefix=other&schema=Node+1");
    let moved = if url.contains('?') { moved } else { moved.replacen('&', "?", 1) };
    succeeds(&migrate(&["check", &moved]));
}

#[test]
fn a_tombstoned_database_is_refused_unless_allowed() {
    let (_database, url) = lnd("tombstoned.db", Order::Walk);
    assert_eq!(code(&migrate(&["check", &url])), 1);
    succeeds(&migrate(&["check", "--allow-tombstoned", &url]));
}

#[test]
fn a_role_that_may_only_read_is_enough() {
    let (database, _) = lnd("legacy31.db", Order::Walk);
    let role = format!("lnd_reader_{}", std::process::id());
    database.run(&format!(
        "create role {role} login password 'hush'; grant select on channeldb_kv to {role}"
    ));
    let desk = Desk::new();
    succeeds(&copy(&database.lnd_url_as(&role, "hush"), &desk.url("sqlite", "store")));
    database.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn a_copy_of_a_database_that_was_written_meanwhile_is_not_complete() {
    for change in [
        "update channeldb_kv set value = value || '\\x00' where key = 'dbp'",
        "update channeldb_kv set sequence = coalesce(sequence, 0) + 1 where key = 'nib'",
        "delete from channeldb_kv where id = (select max(id) from channeldb_kv where value is not null)",
        "insert into channeldb_kv (id, key) values ((select max(id) + 1 from channeldb_kv), \
         convert_to(clock_timestamp()::text, 'UTF8'))",
    ] {
        let (desk, (database, url)) = (Desk::new(), lnd("legacy31.db", Order::Walk));
        // What is read is one state all the same.
        let discarded =
            copy_with(&url, &desk.url("sqlite", "store"), "copying", || database.run(change));
        let Err(Failure::Access(what)) = discarded else { panic!("{change}: {discarded:?}") };
        assert!(what.contains("in use while it was copied: its rows changed"), "{what}");
        // It is gone on with only if nothing of what is copied changed.
        let (from, to) = (url.as_str(), desk.url("sqlite", "store"));
        assert_eq!(code(&migrate(&["activate", "--from", from, "--to", &to])), 1);
        match code(&migrate(&["copy", "--resume", "--from", from, "--to", &to])) {
            0 => succeeds(&verify(from, &to)),
            refused => assert_eq!(refused, 2),
        }
    }
}

#[test]
fn a_job_sees_one_state() {
    let (database, _) = lnd("deep.db", Order::Walk);
    let place = place(&database);
    let source = LndSource::open_postgres(&place, false).unwrap();
    let refused = Refused::default();
    let mut walk = source.walk(&refused);
    // Somewhere in the middle of a bucket.
    let seen: Vec<_> = walk.by_ref().take(5000).map(Result::unwrap).collect();
    database.run("delete from channeldb_kv where value is not null");
    let rest: Vec<_> = walk.map(Result::unwrap).collect();
    let bolt = LndSource::open(&fixture("deep.db"), false).unwrap();
    let whole: Vec<_> = bolt.walk(&refused).map(Result::unwrap).collect();
    assert!(seen.into_iter().chain(rest).eq(whole));
}

#[test]
fn a_write_that_changes_nothing_is_no_change() {
    let (desk, (database, url)) = (Desk::new(), lnd("empty.db", Order::Walk));
    let act = || database.run("update channeldb_kv set key = key");
    copy_with(&url, &desk.url("sqlite", "store"), "copying", act).unwrap();
}

#[test]
fn damage_is_found_and_the_rest_copied() {
    let channel =
        "(select parent_id from channeldb_kv where key = 'last-was-revoke' order by id limit 1)";
    for (change, place, what) in [
        (format!("delete from channeldb_kv where id = {channel}"), "row ", "does not exist"),
        (
            format!(
                "update channeldb_kv set parent_id = (select id from channeldb_kv as log \
                 where log.parent_id = {channel} and log.key = 'revocation-log') where id = {channel}"
            ),
            "row ",
            "below itself",
        ),
        (
            format!(
                "insert into channeldb_kv (id, parent_id, key, value) select 90000, id, '\\x01', '' \
                 from channeldb_kv where parent_id = {channel} and key = 'chan-info-key'"
            ),
            "/chan-info-key",
            "is a value and has entries below it",
        ),
        (
            format!(
                "update channeldb_kv set value = null where parent_id = {channel} and key = 'chan-info-key'"
            ),
            "/chan-info-key",
            "is a bucket, a value belongs here",
        ),
        (
            format!(
                "insert into channeldb_kv (id, parent_id, key, value) \
                 values (90000, {channel}, 'last-was-revoke', '\\x00')"
            ),
            "/last-was-revoke",
            "have the same key",
        ),
        (
            "insert into channeldb_kv (id, key) values (90000, 'nib')".into(),
            "nib",
            "have the same key",
        ),
        (
            "insert into channeldb_kv (id, key, value) values (90000, 'x', '')".into(),
            "x",
            "a bucket belongs here",
        ),
        (
            "update channeldb_kv set sequence = -1 where key = 'nib'".into(),
            "nib",
            "sequence is negative: -1",
        ),
        (
            "update channeldb_kv set sequence = 5 where key = 'dbp'".into(),
            "metadata/dbp",
            "has a sequence: 5",
        ),
        (
            "update channeldb_kv set key = null where key = 'dbp'".into(),
            "metadata",
            "it has no key",
        ),
        (
            "update channeldb_kv set key = '' where key = 'dbp'".into(),
            "metadata",
            "its key is empty",
        ),
        (
            "insert into channeldb_kv (id, parent_id, key) select 90000 + i, \
             case i when 0 then null else 89999 + i end, '\\x07' from generate_series(0, 60) as i"
                .into(),
            "07/07/07",
            "nested deeper than 32",
        ),
    ] {
        let (desk, (database, url)) = (Desk::new(), lnd("legacy31.db", Order::Walk));
        database.run(LOOSEN);
        database.run(&change);
        let checked = migrate(&["check", "--json", &url]);
        assert_eq!(code(&checked), 1, "{change}: {}", stderr(&checked));
        let told = json(&checked);
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let is_it =
            |it: &Value| text(it, "place").contains(place) && text(it, "what").contains(what);
        assert!(told["findings"].as_array().unwrap().iter().any(is_it), "{change}: {told:#}");
        let store = desk.url("sqlite", "store");
        assert_eq!(code(&copy(&url, &store)), 1);
        succeeds(&migrate(&["copy", "--skip-damaged", "--accept", "--from", &url, "--to", &store]));
        let verified = String::from_utf8(verify(&url, &store).stdout).unwrap();
        assert!(verified.contains("identical") && verified.contains("not compared"), "{verified}");
    }
}

#[test]
fn a_table_of_another_form_is_refused() {
    for (change, what) in [
        (
            "alter table channeldb_kv alter column key type text using encode(key, 'hex')",
            "column key is of type text",
        ),
        ("alter table channeldb_kv drop column sequence", "column sequence is missing"),
        ("insert into channeldb_kv select * from channeldb_kv where id = 5", "more than one row 5"),
        ("update channeldb_kv set id = null where id = 5", "more than one row null"),
    ] {
        let (database, url) = lnd("empty.db", Order::Walk);
        database.run(LOOSEN);
        database.run(change);
        let refused = migrate(&["check", &url]);
        assert_eq!(code(&refused), 1, "{change}");
        assert!(stderr(&refused).contains(what), "{}", stderr(&refused));
    }
}

#[test]
fn a_server_that_is_not_there_is_an_access_failure() {
    assert_eq!(code(&migrate(&["check", "lnd-postgres://nobody@127.0.0.1:1/lnd"])), 3);
    assert_eq!(code(&migrate(&["check", "lnd-postgres://h/lnd?table=a"])), 2);
}

fn place(database: &Database) -> Place {
    let url = database.lnd_url();
    Place::new(url.strip_prefix("lnd-").unwrap(), "public", "channeldb").unwrap()
}

/// Sum of all rows.
const SUM: &str = "select coalesce(sum(hashtextextended(t::text, 0)), 0)::int8 % 1000000007 \
                   from channeldb_kv as t";

#[test]
fn a_tombstone_is_written_and_removed() {
    let (database, url) = lnd("legacy31.db", Order::Walk);
    database.run("select setval('channeldb_kv_id_seq', (select max(id) from channeldb_kv))");
    let (place, before) = (place(&database), database.number(SUM));
    write(Home::Postgres(&place), "moved").unwrap();
    let refused = migrate(&["check", &url]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("migrated away") && stderr(&refused).contains("(moved)"));
    let again = write(Home::Postgres(&place), "again");
    assert!(
        matches!(&again, Err(TombstoneError::Tombstoned(text)) if text == "moved"),
        "{again:?}"
    );
    // As lnd looks for it.
    let seen = "select count(*) from channeldb_kv as bucket join channeldb_kv as mark \
                on mark.parent_id = bucket.id where bucket.parent_id is null and bucket.value is null \
                and bucket.key = 'data-migration-tombstone' \
                and mark.key = bucket.key and mark.value = 'moved'";
    assert_eq!(database.number(seen), 1);
    assert_eq!(remove(Home::Postgres(&place)).unwrap().as_deref(), Some("moved"));
    assert_eq!(database.number(SUM), before);
    assert_eq!(remove(Home::Postgres(&place)).unwrap(), None);
}

#[test]
fn a_tombstone_is_written_whole_or_not_at_all() {
    let (database, _) = lnd("empty.db", Order::Walk);
    database.run("select setval('channeldb_kv_id_seq', (select max(id) from channeldb_kv))");
    let (place, before) = (place(&database), database.number(SUM));
    // The second row of the mark is refused.
    database.run(
        "create function stop() returns trigger language plpgsql as \
         $$ begin raise 'no more'; end $$; \
         create trigger stop before insert on channeldb_kv for each row \
         when (new.value is not null) execute function stop()",
    );
    let refused = write(Home::Postgres(&place), "text");
    assert!(matches!(refused, Err(TombstoneError::Engine(_))), "{refused:?}");
    assert_eq!(database.number(SUM), before);
}

#[test]
fn a_writer_in_the_middle_of_something_keeps_its_table() {
    let (database, _) = lnd("empty.db", Order::Walk);
    database.run("select setval('channeldb_kv_id_seq', (select max(id) from channeldb_kv))");
    let mut lnd = database.another_shell();
    lnd.run("begin; update channeldb_kv set sequence = 1 where key = 'nib'");
    let refused = write(Home::Postgres(&place(&database)), "text");
    assert!(matches!(refused, Err(TombstoneError::Engine(_))), "{refused:?}");
    lnd.run("rollback");
    write(Home::Postgres(&place(&database)), "text").unwrap();
}

#[test]
fn a_damaged_table_gets_no_tombstone() {
    let (database, _) = lnd("empty.db", Order::Walk);
    database.run("update channeldb_kv set sequence = -1 where key = 'nib'");
    let refused = write(Home::Postgres(&place(&database)), "text");
    assert!(matches!(refused, Err(TombstoneError::Damaged { .. })), "{refused:?}");
}
