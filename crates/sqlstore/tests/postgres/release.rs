//! Giving a store up while calls wait for something.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use channelcoord::{Backend, BackendError, Batch, ClaimError, CommitError, Head, meta_key};
use pollster::block_on;
use sqlstore::{PostgresBackend, PostgresOptions};

use crate::faults::fail;
use crate::server::{Shell, Store, note};

/// Longer than any test.
const HOURS: Duration = Duration::from_secs(7200);

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Begins a call, which then goes on by itself.
fn begin<T, F: Future<Output = T> + Send + 'static>(
    backend: &Arc<PostgresBackend>,
    call: impl FnOnce(Arc<PostgresBackend>) -> F,
) -> Call<T> {
    let mut call: Call<T> = Box::pin(call(Arc::clone(backend)));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    call
}

/// The answer to a call that must not wait for hours.
fn soon<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, answer) = channel();
    thread::spawn(move || drop(sender.send(block_on(call))));
    answer.recv_timeout(Duration::from_secs(60)).expect("it ends")
}

fn release(backend: &Arc<PostgresBackend>) -> Result<(), BackendError> {
    let backend = Arc::clone(backend);
    soon(async move { backend.release().await })
}

async fn commit(backend: Arc<PostgresBackend>, head: Head) -> Result<(), CommitError> {
    let sets = [note("a")];
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    backend.commit(batch).await.map(drop)
}

fn claimed(options: &PostgresOptions) -> (Arc<PostgresBackend>, Head) {
    let backend = Arc::new(options.clone().open().unwrap());
    let head = block_on(backend.claim(None)).unwrap();
    (backend, head)
}

#[test]
fn a_claim_that_waits_for_the_lease_of_another_instance_ends() {
    let mut store = Store::with(|options| options.instance("one"));
    let other = store.options.clone().instance("two").takeover(HOURS);
    let other = Arc::new(other.open().unwrap());
    let claim = begin(&other, |other| async move { other.claim(None).await });
    let asked = format!(
        "select count(*) from pg_stat_activity where query like 'select instance%' \
         and application_name = 'chanstore commit {}'",
        store.schema
    );
    store.shell().await_number(&asked, 1);
    release(&other).unwrap();
    let ended = soon(claim).unwrap_err();
    assert!(matches!(ended, ClaimError::Backend(BackendError::Unavailable(_))), "{ended:?}");
    store.commit(&[note("a")]);
}

/// What a commit answers that fails with this SQLSTATE again and again until the store is released.
fn released_amid_failures(code: &str) -> CommitError {
    let store = Store::with(|options| options.patience(HOURS));
    let mut shell = store.shell();
    fail(&mut shell, code, u32::MAX);
    let (backend, head) = claimed(&store.options);
    let call = begin(&backend, |backend| commit(backend, head));
    while shell.number("select last_value from tries") < 3 {
        thread::sleep(Duration::from_millis(2));
    }
    release(&backend).unwrap();
    let ended = soon(call).unwrap_err();
    assert_eq!(shell.number("select count(*) from lease where until > clock_timestamp()"), 0);
    assert_eq!(shell.number("select seq from store"), 0);
    ended
}

#[test]
fn a_commit_that_is_tried_again_ends() {
    let ended = released_amid_failures("40001");
    assert!(matches!(ended, CommitError::NotStored(_)), "{ended:?}");
    // Whether that one was stored, nobody found out.
    let ended = released_amid_failures("57014");
    assert!(matches!(ended, CommitError::Unknown(_)), "{ended:?}");
}

#[test]
fn calls_that_wait_for_a_new_connection_end() {
    let store = Store::with(|options| options.instance("one").patience(HOURS));
    let mut shell = store.shell();
    let (role, schema) = (format!("role_{}", store.schema), &store.schema);
    shell.run(&format!(
        "create role {role} login; grant usage on schema {schema} to {role}; \
         grant all on all tables in schema {schema} to {role}; \
         grant create on database postgres to {role}"
    ));
    let url = std::env::var("CHANSTORE_POSTGRES_URL").unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let options = PostgresOptions::new(&format!("postgres://{role}@{place}")).unwrap();
    let options = options.schema(schema.as_str()).unwrap().instance("one").patience(HOURS);
    let (backend, head) = claimed(&options);
    block_on(backend.read(&[meta_key("a")])).unwrap();
    shell.run(&format!("alter role {role} connection limit 0"));
    shell.rows(&format!(
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = '{role}'"
    ));
    let call = begin(&backend, |backend| commit(backend, head));
    let read = begin(&backend, |backend| async move { backend.read(&[meta_key("a")]).await });
    // There is no connection left to give the lease back with.
    assert!(matches!(release(&backend), Err(BackendError::Unavailable(_))));
    let ended = soon(call).unwrap_err();
    assert!(matches!(ended, CommitError::Unknown(_) | CommitError::NotStored(_)), "{ended:?}");
    let ended = soon(read).unwrap_err();
    assert!(matches!(ended, BackendError::Unavailable(_)), "{ended:?}");
    shell.run(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn a_claim_that_comes_through_meanwhile_is_given_back() {
    let store = Store::with(|options| options.instance("one"));
    block_on(store.backend.release()).unwrap();
    let backend = Arc::new(store.options.clone().open().unwrap());
    let mut shell = store.shell();
    shell.run("begin; select from store for update");
    let claim = begin(&backend, |backend| async move { backend.claim(None).await });
    let waiting = format!(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
         and application_name = 'chanstore commit {}'",
        store.schema
    );
    let mut other = Shell::new(&store.schema);
    other.await_number(&waiting, 1);
    let releasing = begin(&backend, |backend| async move { backend.release().await });
    shell.run("rollback");
    soon(releasing).unwrap();
    assert!(soon(claim).is_ok());
    assert_eq!(other.number("select count(*) from lease where until > clock_timestamp()"), 0);
    let closed = "select count(*) from pg_stat_activity where application_name like ";
    other.await_number(&format!("{closed}'chanstore % {}'", store.schema), 0);
}
