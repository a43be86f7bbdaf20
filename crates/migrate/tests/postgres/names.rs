//! What cannot be named or reached, and what is shown of a name.

use std::net::TcpListener;
use std::process::Output;

use crate::command::{Desk, code, copy, fixture, json, migrate, stderr};
use crate::database::Database;

/// Everything that the command printed.
fn printed(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8(part.clone()).unwrap()).concat()
}

fn inspect(store: &str) -> Output {
    migrate(&["inspect", "--json", store])
}

#[test]
fn a_server_that_is_away_has_the_exit_code_of_what_cannot_be_read() {
    let desk = Desk::new();
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = format!("postgres://me:secret@127.0.0.1:{port}/nodes?schema=alice");
    let source = fixture("empty.db").display().to_string();
    let commands: [&[&str]; 5] = [
        &["inspect", &away],
        &["check", &away],
        &["verify", "--from", &source, "--to", &away],
        &["copy", "--from", &away, "--to", &desk.url("sqlite", "copy")],
        &["copy", "--from", &source, "--to", &away],
    ];
    for command in commands {
        let failed = migrate(command);
        assert_eq!(code(&failed), 3, "{command:?}");
        let named = format!("postgres://me@127.0.0.1:{port}/nodes?schema=alice");
        assert!(stderr(&failed).contains(&named), "{}", stderr(&failed));
        assert!(stderr(&failed).contains("refused"), "{}", stderr(&failed));
        assert!(!printed(&failed).contains("secret"));
    }
}

#[test]
fn what_a_server_refuses_is_named() {
    let database = Database::with_password();
    let url = database.url("store");
    let wrong_database = url.replace("/migrate_", "/no_such_");
    for (store, what) in [
        (database.url("absent"), "no store at schema absent"),
        (wrong_database, "does not exist"),
        (database.url_as("postgres", "secret", "store"), "password authentication failed"),
        (database.url_as("nobody", "secret", "store"), "password authentication failed"),
        (url.clone() + "&sslmode=require", "does not support TLS"),
    ] {
        let failed = inspect(&store);
        assert_eq!(code(&failed), 3, "{}", printed(&failed));
        assert!(printed(&failed).contains(what), "{}", printed(&failed));
        assert!(!printed(&failed).contains("secret"));
        assert!(!printed(&failed).contains(database.password()));
    }
    database.run("create schema store create table thing (id int)");
    let failed = inspect(&url);
    assert_eq!(code(&failed), 3);
    assert!(printed(&failed).contains("is not a store"), "{}", printed(&failed));
}

#[test]
fn a_wrong_url_is_a_usage_error_that_shows_no_password() {
    for url in [
        "postgres:secret",
        "postgres://me:secret@/nodes",
        "postgres://me:secret@host:no/nodes",
        "postgres://me:1/secret@host/nodes",
        "postgres://me:secret@host/nodes?schema=Alice",
        "postgres://me:secret@host/nodes?shema=alice",
        "postgres://me:secret@host/nodes?sslmode=please",
        "postgre://me:secret@host/nodes",
    ] {
        let source = fixture("empty.db").display().to_string();
        for refused in [inspect(url), copy(&source, url)] {
            assert_eq!(code(&refused), 2, "{url}: {}", printed(&refused));
            assert!(!printed(&refused).contains("secret"), "{}", printed(&refused));
        }
    }
    let misplaced = migrate(&["copy", "postgres://me:secret@host/nodes"]);
    assert_eq!(code(&misplaced), 2);
    assert!(!printed(&misplaced).contains("secret"), "{}", printed(&misplaced));
}

#[test]
fn a_store_is_shown_without_its_password() {
    let database = Database::with_password();
    let store = database.url("store");
    let copied = copy(&fixture("empty.db").display().to_string(), &store);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    let inspected = inspect(&store);
    let shown = json(&inspected)["store"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("postgres://postgres@127.0.0.1:"), "{shown}");
    assert!(shown.ends_with("?schema=store"), "{shown}");
    for output in [copied, inspected, migrate(&["inspect", &store]), migrate(&["check", &store])] {
        assert!(!printed(&output).contains(database.password()));
    }
}
