//! Every way in which rows can fail to be a tree is found and named, and takes away no more than itself.

use rusqlite::Connection;
use serde_json::Value;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, fixture, json, migrate, stderr, verify};
use crate::kv::{KvRow, Order, rows, write, write_loose};

/// A table without constraints, to be damaged.
struct Table {
    desk: Desk,
    rows: Vec<KvRow>,
}

impl Table {
    fn new() -> Table {
        let rows = rows(&Tree::read(&fixture("legacy31.db")), Order::Walk);
        let desk = Desk::new();
        write_loose(&desk.0.path().join("channel.sqlite"), &rows);
        Table { desk, rows }
    }

    fn url(&self) -> String {
        self.desk.url("lnd-sqlite", "channel.sqlite")
    }

    /// Number of the row at a path.
    fn id(&self, path: &[&[u8]]) -> i64 {
        path.iter()
            .fold(None, |parent, name| {
                let row = self.rows.iter().find(|row| row.parent == parent && row.key == *name);
                Some(row.unwrap().id)
            })
            .unwrap()
    }

    /// Number and path of the first open channel's bucket.
    fn channel(&self) -> (i64, Vec<Vec<u8>>) {
        let mut path = vec![b"open-chan-bucket".to_vec()];
        let mut id = self.id(&[b"open-chan-bucket"]);
        for _ in 0..3 {
            let child = self.rows.iter().find(|row| row.parent == Some(id)).unwrap();
            path.push(child.key.clone());
            id = child.id;
        }
        (id, path)
    }

    #[track_caller]
    fn change(&self, sql: &str) {
        let shell = Connection::open(self.desk.0.path().join("channel.sqlite")).unwrap();
        assert!(shell.execute(sql, []).unwrap() > 0, "{sql}");
    }

    fn findings(&self) -> Vec<(String, String)> {
        let checked = migrate(&["check", "--json", &self.url()]);
        assert_eq!(code(&checked), 1, "{}", stderr(&checked));
        let damage = |finding: &&Value| finding["severity"] == "damage";
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let findings = json(&checked)["findings"].as_array().unwrap().clone();
        findings.iter().filter(damage).map(|it| (text(it, "place"), text(it, "what"))).collect()
    }

    /// Finds this; a copy is refused, unless damage is left out, and then it is equal but for that.
    #[track_caller]
    fn assert_finds(&self, place: &str, what: &str) {
        let found = self.findings();
        let is_it = |(at, it): &(String, String)| at.contains(place) && it.contains(what);
        assert!(found.iter().any(is_it), "no {place}: {what} in {found:#?}");
        let refused =
            migrate(&["copy", "--from", &self.url(), "--to", &self.desk.url("redb", "a")]);
        assert_eq!(code(&refused), 1, "{}", stderr(&refused));
        assert!(stderr(&refused).contains("--skip-damaged"), "{}", stderr(&refused));
        let store = self.desk.url("redb", "store");
        let options = ["--skip-damaged", "--accept", "--json"];
        let copied =
            migrate(&[&["copy", "--from", &self.url(), "--to", &store], &options[..]].concat());
        assert_eq!(code(&copied), 0, "{}", stderr(&copied));
        let verified = verify(&self.url(), &store);
        let text = String::from_utf8(verified.stdout.clone()).unwrap();
        assert!(text.contains("identical") && text.contains("not compared"), "{text}");
    }
}

#[test]
fn a_table_without_constraints_can_be_sound() {
    let table = Table::new();
    let checked = migrate(&["check", &table.url()]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
}

#[test]
fn a_row_whose_parent_does_not_exist() {
    let table = Table::new();
    let (id, _) = table.channel();
    table.change(&format!("delete from channeldb_kv where id = {id}"));
    table.assert_finds("row ", &format!("chan-info-key: its parent, row {id}, does not exist"));
}

#[test]
fn many_rows_whose_parents_do_not_exist() {
    let table = Table::new();
    let sql = "insert into channeldb_kv (parent_id, key, value) \
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 30000) \
               select 1000000 + i, x'01', x'02' from n";
    table.change(sql);
    table.assert_finds("29900 more rows", "their parents do not exist");
}

#[test]
fn a_circle_that_no_way_leads_to() {
    let table = Table::new();
    let (id, _) = table.channel();
    let log = table.rows.iter().find(|row| row.parent == Some(id) && row.key == b"revocation-log");
    let log = log.unwrap().id;
    // The log holds its own channel.
    table.change(&format!("update channeldb_kv set parent_id = {log} where id = {id}"));
    table.assert_finds(
        &format!("row {id}"),
        &format!("below itself, so no way leads there; rows {id}, {log}"),
    );
}

#[test]
fn a_row_that_is_its_own_parent() {
    let table = Table::new();
    table.change("insert into channeldb_kv (id, parent_id, key) values (90000, 90000, x'01')");
    table.assert_finds("row 90000", "below itself");
}

#[test]
fn a_value_with_entries_below_it() {
    let table = Table::new();
    let (id, _) = table.channel();
    let info = table.rows.iter().find(|row| row.parent == Some(id) && row.key == b"chan-info-key");
    let info = info.unwrap().id;
    table.change(&format!(
        "insert into channeldb_kv (parent_id, key, value) values ({info}, x'01', x'')"
    ));
    table.assert_finds(
        "/chan-info-key",
        &format!("row {info}: is a value and has entries below it"),
    );
}

#[test]
fn a_value_that_is_null() {
    let table = Table::new();
    let (id, _) = table.channel();
    table.change(&format!(
        "update channeldb_kv set value = null where parent_id = {id} and key = cast('chan-info-key' as blob)"
    ));
    table.assert_finds("/chan-info-key", "is a bucket, a value belongs here");
}

#[test]
fn a_bucket_that_is_a_value() {
    let table = Table::new();
    let (id, _) = table.channel();
    let log = format!("parent_id = {id} and key = cast('revocation-log' as blob)");
    table.change(&format!(
        "delete from channeldb_kv where parent_id = (select id from channeldb_kv where {log})"
    ));
    table.change(&format!("update channeldb_kv set value = x'' where {log}"));
    table.assert_finds("/revocation-log", "is a value, a bucket belongs here");
}

#[test]
fn a_value_at_the_top_level() {
    let table = Table::new();
    table.change("insert into channeldb_kv (id, key, value) values (90000, cast('final-htlcs' as blob), x'01')");
    table.assert_finds("final-htlcs", "row 90000: is a value, a bucket belongs here");
}

#[test]
fn two_rows_of_a_bucket_with_one_key() {
    let table = Table::new();
    let (id, _) = table.channel();
    table.change(&format!(
        "insert into channeldb_kv (id, parent_id, key, value) select 90000, parent_id, key, x'00' \
         from channeldb_kv where parent_id = {id} and key = cast('last-was-revoke' as blob)"
    ));
    table.assert_finds("/last-was-revoke", "and 90000 have the same key");
    // Which of them counts is not known, so the channel is not used.
    assert!(table.findings().iter().any(|(place, _)| place.ends_with("/last-was-revoke")));
}

#[test]
fn two_buckets_of_the_top_level_with_one_key() {
    let table = Table::new();
    table.change("insert into channeldb_kv (id, key) values (90000, cast('nib' as blob))");
    table.assert_finds("nib", "and 90000 have the same key");
}

#[test]
fn a_negative_sequence() {
    let table = Table::new();
    table.change("update channeldb_kv set sequence = -1 where key = cast('nib' as blob)");
    table.assert_finds("nib", "its sequence is negative: -1");
}

#[test]
fn a_value_with_a_sequence() {
    let table = Table::new();
    table.change("update channeldb_kv set sequence = 5 where key = cast('dbp' as blob)");
    table.assert_finds("metadata/dbp", "is a value and has a sequence: 5");
}

#[test]
fn columns_of_other_types() {
    for (change, place, what) in [
        (
            "value = 'text' where key = cast('dbp' as blob)",
            "metadata/dbp",
            "its value is text, not bytes",
        ),
        (
            "value = 7 where key = cast('dbp' as blob)",
            "metadata/dbp",
            "its value is integer, not bytes",
        ),
        ("sequence = 'many' where key = cast('nib' as blob)", "nib", "its sequence is text"),
        // A bucket in which something cannot be found by its key is not whole.
        (
            "key = 'dbp' where key = cast('dbp' as blob)",
            "metadata",
            "in it: its key is text, not bytes",
        ),
        (
            "key = null where key = cast('dbp' as blob)",
            "metadata",
            "in it: its key is null, not bytes",
        ),
        ("key = x'' where key = cast('dbp' as blob)", "metadata", "in it: its key is empty"),
        (
            "parent_id = 'nowhere' where key = cast('dbp' as blob)",
            "row ",
            "its parent, row nowhere, does not exist",
        ),
    ] {
        let table = Table::new();
        table.change(&format!("update channeldb_kv set {change}"));
        table.assert_finds(place, what);
    }
}

#[test]
fn a_top_level_name_that_is_no_bytes_takes_everything() {
    let table = Table::new();
    table.change("update channeldb_kv set key = 'nib' where key = cast('nib' as blob)");
    table.assert_finds("/", "its key is text, not bytes; everything is lost");
}

#[test]
fn buckets_nested_too_deep() {
    let table = Table::new();
    let sql = "insert into channeldb_kv (id, parent_id, key) \
               with recursive n (i) as (select 0 union all select i + 1 from n where i < 100) \
               select 90000 + i, case i when 0 then null else 89999 + i end, x'07' from n";
    table.change(sql);
    table.assert_finds("07/07/07", "buckets are nested deeper than 32");
}

#[test]
fn a_table_that_is_missing_or_has_other_columns() {
    for (change, what) in [
        ("alter table channeldb_kv rename to other_kv", "there is no table channeldb_kv"),
        (
            "alter table channeldb_kv rename column sequence to counter",
            "column sequence is missing",
        ),
        (
            "create table copied as select * from channeldb_kv; drop table channeldb_kv; \
             alter table copied rename to channeldb_kv; \
             insert into channeldb_kv select * from channeldb_kv where id = 5",
            "more than one row 5",
        ),
    ] {
        let table = Table::new();
        let shell = Connection::open(table.desk.0.path().join("channel.sqlite")).unwrap();
        shell.execute_batch(change).unwrap();
        drop(shell);
        let refused = migrate(&["check", &table.url()]);
        assert_eq!(code(&refused), 1, "{what}");
        assert!(stderr(&refused).contains(what), "{what}: {}", stderr(&refused));
    }
}

#[test]
fn so_much_damage_that_nothing_can_be_told() {
    let table = Table::new();
    let sql = "insert into channeldb_kv (parent_id, key, value, sequence) \
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) \
               select 1, cast(i as blob), x'', 1 from n";
    table.change(sql);
    let refused = migrate(&["check", &table.url()]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("damaged throughout"), "{}", stderr(&refused));
}

/// An index that lacks a row would hide the row, and what the table says of it with it.
#[test]
fn an_index_that_disagrees_with_its_table() {
    let desk = Desk::new();
    let path = desk.0.path().join("channel.sqlite");
    write(&path, &rows(&Tree::read(&fixture("legacy31.db")), Order::Walk), 4096);
    let shell = Connection::open(&path).unwrap();
    shell.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    // The index is told to hold none of the rows that come now.
    shell
        .execute_batch(
            "pragma writable_schema = on; \
             update sqlite_schema set sql = replace(sql, 'WHERE parent_id IS NOT NULL', 'WHERE parent_id < 0') \
             where name = 'channeldb_kv_up'; pragma writable_schema = reset",
        )
        .unwrap();
    drop(shell);
    let shell = Connection::open(&path).unwrap();
    shell
        .execute_batch("insert into channeldb_kv (parent_id, key, value) values (1, x'ff', x'01')")
        .unwrap();
    shell.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    shell
        .execute_batch(
            "pragma writable_schema = on; \
             update sqlite_schema set sql = replace(sql, 'WHERE parent_id < 0', 'WHERE parent_id IS NOT NULL') \
             where name = 'channeldb_kv_up'; pragma writable_schema = reset",
        )
        .unwrap();
    drop(shell);
    let refused = migrate(&["check", &desk.url("lnd-sqlite", "channel.sqlite")]);
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("missing from index channeldb_kv_up"),
        "{}",
        stderr(&refused)
    );
}
