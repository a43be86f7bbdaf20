//! Callers with any runtime, or none.

use std::sync::Arc;

use channelcoord::{Backend, Batch, Head, Verdict};
use pollster::block_on;
use sqlstore::{PostgresBackend, PostgresOptions};
use tokio::runtime::Builder;

use crate::server::{note, options};

/// Opens, claims, commits and reads; and drops the store where it was used.
async fn use_it(options: PostgresOptions) {
    let backend = options.open().unwrap();
    let head = backend.claim(None).await.unwrap();
    commit(&backend, head, "a").await;
    let found = backend.read(&[channelcoord::meta_key("a")]).await.unwrap();
    assert_ne!(found, [None]);
}

async fn commit(backend: &PostgresBackend, head: Head, name: &str) {
    let sets = [note(name)];
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    assert!(matches!(backend.commit(batch).await.unwrap()[..], [Verdict::Applied]));
}

#[test]
fn a_store_works_without_a_runtime() {
    let (options, _) = options();
    block_on(use_it(options.clone()));
    options.drop_store().unwrap();
}

#[test]
fn a_store_works_on_a_runtime_of_one_thread() {
    let (options, _) = options();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(use_it(options.clone()));
    // A caller that blocks the only thread, as synchronous code under a lock does.
    runtime.block_on(async { block_on(use_it(options.clone())) });
    options.drop_store().unwrap();
}

#[test]
fn a_store_works_on_a_runtime_of_many_threads() {
    let (options, _) = options();
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        tokio::spawn(use_it(options.clone())).await.unwrap();
        let blocking = options.clone();
        // Every worker may be blocked: the store has threads of its own.
        let blocked = [blocking.clone().instance("one"), blocking.instance("one")].map(|options| {
            tokio::spawn(async move { drop(block_on(options.open().unwrap().read(&[]))) })
        });
        for task in blocked {
            task.await.unwrap();
        }
    });
    options.drop_store().unwrap();
}

#[test]
fn a_commit_goes_on_when_its_caller_goes_away() {
    let (options, _) = options();
    let backend = Arc::new(options.clone().open().unwrap());
    let head = block_on(backend.claim(None)).unwrap();
    {
        let mut call = Box::pin(commit(&backend, head, "a"));
        let waker = std::task::Waker::noop();
        let polled = call.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    // The next one has to wait for it, and finds its sequence number taken.
    let sets = [note("b")];
    let batch = Batch { epoch: head.epoch, before: channelcoord::Seq(1), sets: &sets };
    assert!(matches!(block_on(backend.commit(batch)).unwrap()[..], [Verdict::Applied]));
    assert_ne!(block_on(backend.read(&[channelcoord::meta_key("a")])).unwrap(), [None]);
    options.drop_store().unwrap();
}
