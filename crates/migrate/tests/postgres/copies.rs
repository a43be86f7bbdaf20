//! Copies are equal to their source, whatever the way.

use std::sync::atomic::{AtomicBool, Ordering};

use channelcoord::{Stage, Transfer};
use migrate::command::{self, CopyOptions, Preflight, Watch};
use migrate::finding::Finding;
use migrate::opened::{self, Failure, Opened};
use migrate::progress::Progress;
use migrate::url::StoreUrl;
use serde_json::Value;

use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, verify};
use crate::database::Database;

fn copied(from: &str, to: &str) {
    let copied = copy(from, to);
    assert_eq!(code(&copied), 0, "{from} to {to}: {}", stderr(&copied));
}

fn equal(one: &str, other: &str) {
    let verified = verify(one, other);
    assert_eq!(code(&verified), 0, "{one} and {other}: {}", stderr(&verified));
}

fn survives(name: &str) {
    let (desk, database) = (Desk::new(), Database::new());
    let lnd = format!("lnd-bolt:{}", fixture(name).display());
    let direct = database.url("direct");
    copied(&lnd, &direct);
    let mut stores = vec![direct.clone()];
    for engine in ["sqlite", "redb"] {
        let (out, back) = (desk.url(engine, engine), database.url(&format!("by_{engine}")));
        copied(&direct, &out);
        copied(&out, &back);
        stores.extend([out, back]);
    }
    let moved = database.url("moved");
    copied(&direct, &moved);
    stores.push(moved);
    for store in &stores {
        equal(&lnd, store);
        equal(&direct, store);
        equal(store, &direct);
    }
    assert_eq!(database.schemas(), ["by_redb", "by_sqlite", "direct", "moved"]);
}

#[test]
fn an_empty_database_survives() {
    survives("empty.db");
}

#[test]
fn an_old_database_survives() {
    survives("legacy31.db");
}

#[test]
fn a_database_of_every_kind_of_record_survives() {
    survives("node.db");
}

#[test]
fn residues_are_kept() {
    let (desk, database) = (Desk::new(), Database::new());
    let source = fixture("node.db").display().to_string();
    let residues = |to: &str| {
        let copied = migrate(&["copy", "--json", "--from", &source, "--to", to]);
        json(&copied)["residues"].as_i64().unwrap()
    };
    let kept = residues(&database.url("store"));
    assert!(kept > 0);
    assert_eq!(kept, residues(&desk.url("sqlite", "store")));
    assert_eq!(database.number("select count(*) from store.lnd_residue"), kept);
}

#[test]
fn inspect_shows_what_it_shows_of_a_file() {
    let (desk, database) = (Desk::new(), Database::new());
    let (file, schema) = (desk.url("sqlite", "store"), database.url("store"));
    copied(&fixture("node.db").display().to_string(), &file);
    copied(&file, &schema);
    let inspect = |store: &str| json(&migrate(&["inspect", "--json", store]));
    let (of_file, of_schema) = (inspect(&file), inspect(&schema));
    for part in ["counts", "channels", "damages", "other_tenants", "version"] {
        assert_eq!(of_file[part], of_schema[part], "{part}");
    }
    assert_eq!(of_schema["format"], "postgres");
    let bytes = "select sum(pg_total_relation_size(oid))::int8 from pg_class \
                 where relnamespace = 'store'::regnamespace and relkind = 'r'";
    assert_eq!(of_schema["size"], Value::from(database.number(bytes)));
}

#[test]
fn a_changed_field_is_named() {
    let database = Database::new();
    let (source, target) = (fixture("legacy31.db").display().to_string(), database.url("store"));
    copied(&source, &target);
    database.run("update store.channel_terms set capacity = capacity + 1 where no = 1");
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 1, "{}", stderr(&verified));
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(text.contains("Terms/1") && text.contains("(capacity)"), "{text}");
    // Such a store is not copied.
    let refused = copy(&target, &database.url("copy"));
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    assert_eq!(database.schemas(), ["store"]);
}

#[test]
fn a_missing_row_is_found() {
    let database = Database::new();
    let (source, target) = (fixture("legacy31.db").display().to_string(), database.url("store"));
    copied(&source, &target);
    let first = "(select min(height) from store.revoked_state where no = 1)";
    database.run(&format!("delete from store.revoked_state where no = 1 and height = {first}"));
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 1, "{}", stderr(&verified));
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(text.contains("only in the source"), "{text}");
}

/// Does something else in the middle of a copy, once.
struct Meanwhile<'a> {
    phase: &'static str,
    act: &'a (dyn Fn() + Sync),
    done: AtomicBool,
}

impl<'a> Meanwhile<'a> {
    fn at(phase: &'static str, act: &'a (dyn Fn() + Sync)) -> Meanwhile<'a> {
        Meanwhile { phase, act, done: AtomicBool::new(false) }
    }

    fn reaches(&self, phase: &str) {
        if phase == self.phase && !self.done.swap(true, Ordering::Relaxed) {
            (self.act)();
        }
    }
}

impl Watch for Meanwhile<'_> {
    fn phase(&self, name: &str, _total: Option<u64>) -> Progress {
        self.reaches(name);
        Progress::silent()
    }

    fn finding(&self, _finding: &Finding) {}

    fn preflight(&self, _preflight: &Preflight) {
        self.reaches("preflight");
    }
}

#[test]
fn a_run_does_not_write_over_what_another_one_completed_meanwhile() {
    let database = Database::new();
    let url = |name: &str| StoreUrl::resolve(name).unwrap();
    let from = url(&format!("lnd-bolt:{}", fixture("legacy31.db").display()));
    let to = url(&database.url("store"));
    let resume = |watch: &dyn Watch| {
        let source = opened::open(&from, false).unwrap();
        let options = CopyOptions { resume: true, ..CopyOptions::default() };
        command::copy(&from, &source, &to, options, watch)
    };
    let taken_over = |watch: &dyn Watch| match resume(watch) {
        Err(Failure::Access(_)) => {}
        other => panic!("{other:?}"),
    };
    let third = || drop(resume(&Meanwhile::at("never", &|| {})).unwrap());
    let second = || taken_over(&Meanwhile::at("preflight", &third));
    // The first one made the target and stands still before its first record.
    taken_over(&Meanwhile::at("copying", &second));
    let Opened::Store(target) = opened::open(&to, false).unwrap() else { panic!("{to}") };
    let part = pollster::block_on(Transfer::of(target.as_ref())).unwrap().unwrap();
    assert_eq!(part.stage, Stage::Complete);
    equal(&from.to_string(), &database.url("store"));
}
