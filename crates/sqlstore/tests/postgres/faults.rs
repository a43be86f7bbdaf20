//! Servers and connections that fail.

use std::time::Duration;

use channelcoord::{Backend, Batch, CommitError, Epoch, Head, Seq, Settled, Verdict};
use pollster::block_on;
use sqlstore::{OpenError, PostgresOptions};

use crate::server::{Shell, Store, note};

/// Sessions that wait in the middle of a commit.
fn waiting(schema: &str) -> String {
    format!(
        "select count(*) from pg_stat_activity where {} and wait_event_type = 'Lock'",
        of(schema)
    )
}

fn of(schema: &str) -> String {
    format!("application_name = 'chanstore commit {schema}'")
}

fn terminate(shell: &mut Shell, schema: &str) {
    shell.rows(&format!(
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where {}",
        of(schema)
    ));
}

/// Makes commits fail with this SQLSTATE, for the first `times` of them.
fn fail(shell: &mut Shell, code: &str, times: u32) {
    shell.run(&format!(
        "create sequence tries; \
         create function fail() returns trigger language plpgsql as $$ begin \
         if nextval('tries') <= {times} then \
         raise exception 'made to fail' using errcode = '{code}'; end if; return new; end $$; \
         create trigger fail before insert on meta for each row execute function fail()"
    ));
}

#[test]
fn what_the_server_undid_is_done_again() {
    for code in ["40001", "40P01", "57014", "55P03"] {
        let mut store = Store::new();
        fail(&mut store.shell(), code, 3);
        store.commit(&[note("a")]);
        assert!(store.has("a"));
        assert_eq!(store.shell().number("select last_value from tries"), 4, "{code}");
    }
}

#[test]
fn a_full_disk_stores_nothing_and_the_store_lives_on() {
    let mut store = Store::new();
    fail(&mut store.shell(), "53100", 1);
    let failed = store.try_commit(&[note("a"), note("b")]).unwrap_err();
    assert!(matches!(failed, CommitError::NotStored(_)), "{failed:?}");
    assert!(!store.has("a") && !store.has("b"));
    store.commit(&[note("a"), note("b")]);
}

#[test]
fn a_session_that_ended_between_commits_is_replaced() {
    let mut store = Store::new();
    store.commit(&[note("a")]);
    let mut shell = store.shell();
    for name in ["b", "c"] {
        terminate(&mut shell, &store.schema);
        store.commit(&[note(name)]);
        assert!(store.has(name));
    }
}

#[test]
fn a_commit_whose_session_ends_in_the_middle_is_stored_once() {
    let mut store = Store::new();
    let mut shell = store.shell();
    let (schema, count) = (store.schema.clone(), waiting(&store.schema));
    shell.run("begin; select from store for update");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| store.commit(&[note("a")]));
        for _ in 0..2 {
            let mut other = Shell::new(&schema);
            other.await_number(&count, 1);
            terminate(&mut other, &schema);
            other.await_number(&count, 1);
        }
        shell.run("rollback");
        commit.join().unwrap();
    });
    assert!(store.has("a"));
    assert_eq!(shell.number("select seq from store"), 1);
    store.commit(&[note("b")]);
}

/// A store whose commits are given up at once, and its shell.
fn impatient() -> (Store, Shell) {
    let store = Store::with(|options| {
        options.statement_timeout(Duration::from_millis(300)).patience(Duration::from_millis(400))
    });
    let shell = store.shell();
    (store, shell)
}

#[test]
fn a_commit_that_was_given_up_and_stored_is_found_stored() {
    let (mut store, mut shell) = impatient();
    shell.run("begin; select from store for update");
    let unknown = store.try_commit(&[note("a"), note("b")]).unwrap_err();
    assert!(matches!(unknown, CommitError::Unknown(_)), "{unknown:?}");
    let sets = [note("a"), note("b")];
    let batch = Batch { epoch: Epoch(1), before: Seq(0), sets: &sets };
    // It cannot be found out while the server keeps it waiting.
    assert!(block_on(store.backend.settle(batch)).is_err());
    shell.run("rollback");
    shell.await_number("select seq from store", 2);
    let settled = block_on(store.backend.settle(batch)).unwrap();
    let Settled::Stored(verdicts, head) = settled else { panic!("{settled:?}") };
    assert!(matches!(verdicts[..], [Verdict::Applied, Verdict::Applied]), "{verdicts:?}");
    assert_eq!(head, Head { epoch: Epoch(1), seq: Seq(2) });
    assert!(store.has("a") && store.has("b"));
}

#[test]
fn a_commit_that_was_given_up_cannot_come_later() {
    let (mut store, mut shell) = impatient();
    let (schema, count) = (store.schema.clone(), waiting(&store.schema));
    shell.run("begin; select from store for update");
    let unknown = store.try_commit(&[note("a")]).unwrap_err();
    assert!(matches!(unknown, CommitError::Unknown(_)), "{unknown:?}");
    let mut other = Shell::new(&schema);
    terminate(&mut other, &schema);
    other.await_number(&count, 0);
    shell.run("rollback");
    let sets = [note("a")];
    let batch = Batch { epoch: Epoch(1), before: Seq(0), sets: &sets };
    for _ in 0..2 {
        let settled = block_on(store.backend.settle(batch)).unwrap();
        let Settled::NotStored(head) = settled else { panic!("{settled:?}") };
        assert_eq!(head, Head { epoch: Epoch(1), seq: Seq(1) });
        store.head = head;
    }
    let late = block_on(store.backend.commit(batch)).unwrap_err();
    assert!(matches!(late, CommitError::NotStored(_)), "{late:?}");
    store.commit(&[note("b")]);
    // Also later, and after the next claim.
    let again = store.options.clone().open().unwrap();
    block_on(again.claim(None)).unwrap();
    let settled = block_on(again.settle(batch)).unwrap();
    assert!(matches!(settled, Settled::NotStored(_)), "{settled:?}");
    assert!(!store.has("a") && store.has("b"));
}

#[test]
fn reads_go_on_after_their_sessions_ended() {
    let mut store = Store::new();
    store.commit(&[note("a")]);
    let mut shell = store.shell();
    for _ in 0..3 {
        assert!(store.has("a"));
        shell.rows(&format!(
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity \
             where application_name = 'chanstore read {}'",
            store.schema
        ));
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/none", silent.local_addr().unwrap());
    let options = PostgresOptions::new(&url).unwrap().connect_timeout(Duration::from_millis(50));
    assert!(matches!(options.open(), Err(OpenError::Engine(_))));
}
