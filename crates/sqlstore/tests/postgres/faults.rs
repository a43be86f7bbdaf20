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
pub(crate) fn fail(shell: &mut Shell, code: &str, times: u32) {
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
fn who_does_not_hear_whether_a_commit_was_stored_does_not_say_it_was_not() {
    for code in ["57014", "40003"] {
        let mut store = Store::with(|options| options.patience(Duration::ZERO));
        fail(&mut store.shell(), code, 1);
        let unknown = store.try_commit(&[note("a")]).unwrap_err();
        assert!(matches!(unknown, CommitError::Unknown(_)), "{code}: {unknown:?}");
        let batch = Batch { epoch: Epoch(1), before: Seq(0), sets: &[note("a")] };
        let settled = block_on(store.backend.settle(batch)).unwrap();
        assert!(matches!(settled, Settled::NotStored(_)), "{code}: {settled:?}");
    }
}

/// The failure says that nothing was stored, and the batch is there all the same.
#[test]
fn what_is_stored_is_found_whatever_a_failure_said() {
    let mut store = Store::with(|options| options.patience(Duration::from_secs(20)));
    let mut shell = store.shell();
    // Fails in the session of this store, and not in that of another one.
    shell.run(&format!(
        "create sequence tries; create table victim as \
         select pid from pg_stat_activity where {}; \
         create function fail() returns trigger language plpgsql as $$ begin \
         if exists (select from victim where pid = pg_backend_pid()) then \
         perform nextval('tries'); raise exception 'made to fail' using errcode = '40001'; \
         end if; return new; end $$; \
         create trigger fail before insert on meta for each row execute function fail()",
        of(&store.schema)
    ));
    let double = store.options.clone().open().unwrap();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| store.commit(&[note("a")]));
        shell.await_number("select is_called::int::int8 from tries", 1);
        let batch = Batch { epoch: Epoch(1), before: Seq(0), sets: &[note("a")] };
        block_on(double.commit(batch)).unwrap();
        commit.join().unwrap();
    });
    assert_eq!(shell.number("select seq from store"), 1);
}

#[test]
fn an_error_does_not_show_what_was_to_be_stored() {
    let mut store = Store::new();
    store.shell().run("alter table meta add constraint short check (octet_length(value) < 5)");
    let refused = store.try_commit(&[note("a")]).unwrap_err();
    let CommitError::NotStored(cause) = &refused else { panic!("{refused:?}") };
    let mut shown = format!("{refused:?} {refused} {cause:?} {cause}");
    let mut next = cause.source();
    while let Some(error) = next {
        shown += &format!(" {error:?} {error}");
        next = error.source();
    }
    assert!(shown.contains("short") && shown.contains("23514"), "{shown}");
    let hex: String = b"value".iter().map(|byte| format!("{byte:02x}")).collect();
    for secret in [&hex, "\\x61", "Failing row"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn sessions_of_lost_attempts_do_not_pile_up() {
    let (store, mut shell) = given_up(HOLD_ROW, &["a"]);
    if shell.number("select current_setting('server_version_num')::int8") < 140_000 {
        return println!("this server does not look for its clients");
    }
    let (count, mut other) = (waiting(&store.schema), Shell::new(&store.schema));
    // The lock that they wait for is held all the while.
    other.await_number(&count, 0);
    shell.run("rollback");
    assert!(!reopened(store).has("a"));
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

/// A store whose commits are given up at once. One was, of these notes, while the server keeps it
/// waiting until the shell rolls back.
fn given_up(hold: &str, names: &[&str]) -> (Store, Shell) {
    let sets: Vec<_> = names.iter().copied().map(note).collect();
    loop {
        let mut store = Store::with(|options| {
            let brief = Duration::from_millis(300);
            options.statement_timeout(brief).patience(brief).lease(Duration::from_secs(3600))
        });
        let mut shell = store.shell();
        shell.run(hold);
        let error = store.try_commit(&sets).unwrap_err();
        // On a busy machine it may be given up before the server has it.
        if shell.number(&waiting(&store.schema)) > 0 {
            assert!(matches!(error, CommitError::Unknown(_)), "{error:?}");
            return (store, shell);
        }
        shell.run("rollback");
    }
}

/// The store under the same claim, with patience.
fn reopened(mut store: Store) -> Store {
    let long = Duration::from_secs(60);
    store.options = store.options.clone().statement_timeout(long).patience(long);
    store.backend = store.options.clone().open().unwrap();
    store
}

/// Holds the row that a commit begins with.
const HOLD_ROW: &str = "begin; select from store for update";

/// Holds a commit in a trigger, where it does not notice that its client is gone.
const HOLD_TRIGGER: &str = "\
    create table held (id int); insert into held values (1); \
    create function hold() returns trigger language plpgsql as $$ begin \
    perform set_config('client_connection_check_interval', '0', true) \
    where current_setting('client_connection_check_interval', true) is not null; \
    perform from held for update; return new; end $$; \
    create trigger hold before insert on meta for each row execute function hold(); \
    commit; begin; select from held for update";

#[test]
fn a_commit_that_was_given_up_and_stored_is_found_stored() {
    let (store, mut shell) = given_up(HOLD_TRIGGER, &["a", "b"]);
    let sets = [note("a"), note("b")];
    let batch = Batch { epoch: Epoch(1), before: Seq(0), sets: &sets };
    // It cannot be found out while the server keeps it waiting.
    let early = block_on(store.backend.settle(batch));
    assert!(early.is_err(), "{early:?}");
    shell.run("rollback");
    shell.await_number("select seq from store", 2);
    let store = reopened(store);
    let settled = block_on(store.backend.settle(batch)).unwrap();
    let Settled::Stored(verdicts, head) = settled else { panic!("{settled:?}") };
    assert!(matches!(verdicts[..], [Verdict::Applied, Verdict::Applied]), "{verdicts:?}");
    assert_eq!(head, Head { epoch: Epoch(1), seq: Seq(2) });
    assert!(store.has("a") && store.has("b"));
}

#[test]
fn a_commit_that_was_given_up_cannot_come_later() {
    let (store, mut shell) = given_up(HOLD_ROW, &["a"]);
    let (schema, count) = (store.schema.clone(), waiting(&store.schema));
    let mut other = Shell::new(&schema);
    terminate(&mut other, &schema);
    other.await_number(&count, 0);
    shell.run("rollback");
    let mut store = reopened(store);
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
