//! Statements that the server undoes: deadlocks, serialization failures.

use crate::server::{Server, Shell, wait_until};
use crate::trial::{CALLS, Trial, Watch, open};

/// Makes some changes of a channel fail with this SQLSTATE, and counts them.
pub(crate) fn fail_at_times(shell: &mut Shell, code: &str) {
    shell.run(&format!(
        "create sequence tries; create sequence failures; \
         create function fail() returns trigger language plpgsql as $$ begin \
         if hashint8(nextval('tries')) % 12 = 0 then perform nextval('failures'); \
         raise exception 'made to fail' using errcode = '{code}'; end if; return new; end $$; \
         create trigger fail before update on channel for each row execute function fail()"
    ));
}

/// Waits until it failed so many times, and takes the trigger away; returns how often it failed.
pub(crate) fn stop_failing(shell: &mut Shell, least: u64) -> u64 {
    let count = "select case when is_called then last_value else 0 end from failures";
    let mut failures = 0;
    wait_until("changes fail", || {
        failures = shell.number(count).unsigned_abs();
        failures >= least
    });
    shell.run(
        "drop trigger fail on channel; drop function fail; \
         drop sequence tries; drop sequence failures",
    );
    failures
}

#[test]
fn a_serialization_failure_is_nobodys_concern() {
    const FAILURES: u64 = 8;
    let server = Server::shared();
    let place = server.place();
    let host = open(&place);
    let mut trial = Trial::new("serialization failure", &host);
    let host = trial.round(host, |watch| {
        let mut shell = server.shell(place.schema());
        fail_at_times(&mut shell, "40001");
        watch.await_calls(CALLS * 3 / 4);
        stop_failing(&mut shell, FAILURES)
    });
    drop(host);
    assert_eq!((trial.tally.not_stored, trial.tally.unknown), (0, 0));
    trial.end(FAILURES);
}

/// Sessions of the database that wait for a lock.
const WAITING: &str = "select count(*) from pg_stat_activity \
                       where wait_event_type = 'Lock' and datname = current_database()";

/// Holds rows of channels, and when a commit waits for them, asks for what the commit holds. Tells
/// whether it was the commit that the server undid.
fn deadlock(watch: &Watch<'_>, shell: &mut Shell, other: &mut Shell) -> bool {
    shell.run("begin; select from channel for update");
    let waits = watch.met("a commit waits", || other.number(WAITING) > 0);
    // Comes through once the commit is undone. A commit looks out for deadlocks once, and if that was
    // before we asked, we are undone.
    let through = waits && shell.try_run("select from store for update").is_ok();
    shell.run("rollback");
    through
}

#[test]
fn a_deadlock_is_nobodys_concern() {
    const TIMES: u64 = 8;
    let server = Server::shared();
    let database = format!("deadlocks_{}", std::process::id());
    let mut operator = server.shell("public");
    operator.run(&format!("create database {database}"));
    // The commit is found to be in a deadlock, and not the operator.
    operator.run(&format!("alter database {database} set deadlock_timeout = '300ms'"));
    let url = server.url(&database);
    let place = conformance::InPostgres::on_server(&url).unwrap();
    let host = open(&place);
    let mut trial = Trial::new("deadlock", &host);
    let host = trial.round(host, |watch| {
        let [mut shell, mut other] = [(); 2].map(|()| Shell::new(&url, place.schema()).unwrap());
        shell.run("set deadlock_timeout = '2s'");
        for n in 0..TIMES {
            watch.await_calls((n + 1) * CALLS / (TIMES + 1));
            // On a slow machine it is the operator who is undone at times.
            wait_until("a commit is undone", || deadlock(watch, &mut shell, &mut other));
        }
        TIMES
    });
    drop(host);
    assert_eq!((trial.tally.not_stored, trial.tally.unknown), (0, 0));
    trial.end(TIMES);
    drop(place);
    operator.run(&format!("drop database {database} with (force)"));
}
