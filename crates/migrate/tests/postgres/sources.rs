//! A source is only read, and not copied while a node has it.

use channelcoord::Backend;
use migrate::opened::Failure;
use pollster::block_on;

use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, verify};
use crate::database::Database;
use crate::meanwhile::copy_with;

/// A database with a store.
fn stored() -> Database {
    let database = Database::new();
    let copied = copy(&fixture("legacy31.db").display().to_string(), &database.url("store"));
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    database
}

#[test]
fn a_store_in_use_is_looked_at_but_not_copied() {
    let (database, desk) = (stored(), Desk::new());
    let (source, target) = (database.url("store"), desk.url("redb", "copy"));
    let node = database.options("store").instance("alice").open().unwrap();
    block_on(node.claim(None)).unwrap();
    let checked = migrate(&["check", &source]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    let inspected = migrate(&["inspect", "--json", &source]);
    assert!(json(&inspected)["counts"]["open_channels"].as_i64().unwrap() > 0);
    let refused = copy(&source, &target);
    assert_eq!(code(&refused), 3);
    assert!(stderr(&refused).contains("held by alice"), "{}", stderr(&refused));
    block_on(node.release()).unwrap();
    assert_eq!(code(&copy(&source, &target)), 0);
}

#[test]
fn a_copy_of_a_store_that_a_node_opened_meanwhile_is_not_complete() {
    let database = stored();
    let open = || {
        let node = database.options("store").open().unwrap();
        block_on(node.claim(None)).unwrap();
        block_on(node.release()).unwrap();
    };
    let (source, target) = (database.url("store"), database.url("copy"));
    let stopped = copy_with(&source, &target, "copying", open);
    let Err(Failure::Access(what)) = stopped else { panic!("{stopped:?}") };
    assert!(what.contains("in use while it was copied"), "{what}");
    // The node wrote nothing, so what was copied is good.
    let resumed = migrate(&["copy", "--resume", "--from", &source, "--to", &target]);
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
}

#[test]
fn a_node_takes_a_copy_over_at_once() {
    let database = stored();
    let node = database.options("store").open_existing().unwrap();
    block_on(node.claim(None)).unwrap();
}

#[test]
fn a_role_that_may_only_read_is_enough_for_a_source() {
    let (database, desk) = (stored(), Desk::new());
    let role = format!("reader_{}", std::process::id());
    database.run(&format!(
        "create role {role} login password 'hush'; grant usage on schema store to {role}; \
         grant select on all tables in schema store to {role}"
    ));
    let (source, target) = (database.url_as(&role, "hush", "store"), desk.url("sqlite", "copy"));
    let copied = copy(&source, &target);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    // It cannot make a target.
    let refused = copy(&target, &database.url_as(&role, "hush", "other"));
    assert_eq!(code(&refused), 3);
    assert!(stderr(&refused).contains("permission denied"), "{}", stderr(&refused));
    database.run(&format!("drop owned by {role}; drop role {role}"));
}
