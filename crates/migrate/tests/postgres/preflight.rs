//! What is looked at before a copy into PostgreSQL, or out of it.

use std::process::Output;

use bitcoin::Network;
use serde_json::Value;

use crate::command::{Desk, code, fixture, migrate, stderr};
use crate::database::Database;

/// What was looked at, and the exit code.
fn looked(from: &str, to: &str, options: &[&str]) -> (Value, Output) {
    let output = migrate(&[&["copy", "--json", "--from", from, "--to", to], options].concat());
    let text = stderr(&output);
    let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let found = events.find(|event| event["event"] == "preflight");
    (found.unwrap_or_else(|| panic!("no preflight in {text}")), output)
}

fn check(preflight: &Value, name: &str) -> Value {
    let checks = preflight["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null).clone()
}

fn lnd(name: &str) -> String {
    fixture(name).display().to_string()
}

#[test]
fn measuring_leaves_no_schema_and_free_space_is_not_known() {
    let database = Database::new();
    let target = database.url("store");
    let (dry, output) = looked(&lnd("legacy31.db"), &target, &["--dry-run"]);
    assert_eq!(code(&output), 0, "{dry}");
    assert!(database.schemas().is_empty(), "{:?}", database.schemas());
    let space = check(&dry, "space");
    assert_eq!(space["verdict"], "note");
    assert!(space["what"].as_str().unwrap().contains("cannot be known"), "{space}");
    let version = dry["target"]["version"].as_str().unwrap().to_owned();
    let server = "select current_setting('server_version_num')::int8 / 10000";
    let expected = format!("PostgreSQL {}", database.number(server));
    assert!(version.starts_with(&expected), "{version}");
    let estimate = dry["estimate"]["bytes"].as_i64().unwrap();
    let (_, copied) = looked(&lnd("legacy31.db"), &target, &[]);
    assert_eq!(code(&copied), 0);
    let bytes = database.number(
        "select sum(pg_total_relation_size(oid))::int8 from pg_class \
         where relnamespace = 'store'::regnamespace and relkind = 'r'",
    );
    assert!(bytes / 4 < estimate && estimate < bytes * 4, "{estimate} told, {bytes} there");
}

#[test]
fn a_target_that_exists_is_described() {
    let database = Database::new();
    let target = database.url("store");
    let (_, output) = looked(&lnd("empty.db"), &target, &["--network", "regtest"]);
    assert_eq!(code(&output), 0);
    let (refused, output) = looked(&lnd("empty.db"), &target, &[]);
    assert_eq!(code(&output), 2);
    let place = check(&refused, "target is new");
    assert_eq!(place["verdict"], "refused");
    assert!(place["advice"].as_str().unwrap().contains("on regtest"), "{place}");
}

#[test]
fn the_network_is_kept_in_the_store_and_compared_with_it() {
    let (desk, database) = (Desk::new(), Database::new());
    let store = database.url("store");
    let (_, output) = looked(&lnd("empty.db"), &store, &["--network", "regtest"]);
    assert_eq!(code(&output), 0);
    assert!(database.options("store").network(Network::Bitcoin).open_existing().is_err());
    let target = desk.url("sqlite", "copy");
    let (refused, output) = looked(&store, &target, &["--network", "mainnet"]);
    assert_eq!(code(&output), 1);
    assert_eq!(refused["source"]["network"], "regtest");
    assert_eq!(check(&refused, "network")["verdict"], "refused");
    let (_, output) = looked(&store, &target, &["--network", "regtest"]);
    assert_eq!(code(&output), 0);
}

#[test]
fn whoever_holds_the_source_is_named() {
    let (desk, database) = (Desk::new(), Database::new());
    let store = database.url("store");
    assert_eq!(code(&looked(&lnd("empty.db"), &store, &[]).1), 0);
    let node = database.options("store").instance("carol").open_existing().unwrap();
    pollster::block_on(channelcoord::Backend::claim(&node, None)).unwrap();
    let (refused, output) = looked(&store, &desk.url("sqlite", "copy"), &[]);
    assert_eq!(code(&output), 3);
    let held = check(&refused, "source in use");
    assert!(held["what"].as_str().unwrap().contains("held by carol"), "{held}");
    assert!(held["advice"].as_str().unwrap().starts_with("stop the node"), "{held}");
}

#[test]
fn a_role_that_may_not_create_a_schema_is_found_out_before() {
    let database = Database::with_password();
    let role = format!("looker_{}", std::process::id());
    database.run(&format!("create role {role} login password 'look'"));
    let target = database.url_as(&role, "look", "store");
    let (refused, output) = looked(&lnd("empty.db"), &target, &["--dry-run"]);
    database.run(&format!("drop role {role}"));
    assert_eq!(code(&output), 3, "{refused}");
    let writable = check(&refused, "target is writable");
    assert!(writable["what"].as_str().unwrap().contains("permission denied"), "{writable}");
}
