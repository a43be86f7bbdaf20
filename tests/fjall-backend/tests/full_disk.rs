//! A commit that the disk does not take, and what is found afterwards.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a process that cannot be run fails the test")]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, CommitError, Epoch, MetaRecord, Record, Seq, Settled,
    meta_key,
};
use fjall_backend::open;
use pollster::block_on;

/// Tells the child process where its store is.
const STORE: &str = "FJALL_STORE_ON_A_FULL_DISK";

/// Bytes of each value.
const LEN: usize = 3_000;

fn set(number: u64) -> [ChangeSet; 1] {
    let value = Bytes::from(vec![number as u8; LEN]);
    let record = Record::Meta(MetaRecord { name: number.to_string(), value });
    [ChangeSet { puts: vec![record], ..ChangeSet::default() }]
}

/// Runs in a process that may not make files larger than a limit: commits until one fails, and
/// prints how many did not.
#[test]
#[ignore = "runs as a child of the other test"]
fn child() {
    let store = open(std::env::var_os(STORE).unwrap()).unwrap();
    let head = block_on(store.claim(None)).unwrap();
    let commit = |number: u64| {
        let sets = set(number);
        let batch = Batch { epoch: head.epoch, before: Seq(number), sets: &sets };
        block_on(store.commit(batch))
    };
    let (failed, error) = (0..1_000).find_map(|n| Some((n, commit(n).err()?))).unwrap();
    assert!(matches!(error, CommitError::Unknown(_)), "{error:?}");
    let read = block_on(store.read(&[meta_key("0")]));
    assert!(matches!(read, Err(BackendError::Unavailable(_))), "{read:?}");
    let again = commit(failed);
    assert!(matches!(again, Err(CommitError::NotStored(_))), "{again:?}");
    println!("stored {failed} in epoch {}.", head.epoch.0);
}

/// What the child printed: how many commits returned, and under which claim.
fn run_child(store: &Path, blocks: usize) -> (u64, Epoch) {
    // Ignoring the signal turns it into an error of the write.
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --ignored --exact child --nocapture"
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap()).env(STORE, store);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let (_, rest) = text.split_once("stored ").unwrap();
    let (stored, rest) = rest.split_once(" in epoch ").unwrap();
    let (epoch, _) = rest.split_once('.').unwrap();
    (stored.parse().unwrap(), Epoch(epoch.parse().unwrap()))
}

#[test]
fn a_full_disk_leaves_a_batch_whole_or_out() {
    for blocks in [64, 65, 66, 67, 68] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channels");
        block_on(open(&path).unwrap().release()).unwrap();
        let (stored, epoch) = run_child(&path, blocks);
        assert!(stored > 2, "{stored}");

        let store = open(&path).unwrap();
        for number in 0..stored {
            let found = block_on(store.read(&[meta_key(&number.to_string())])).unwrap();
            assert_eq!(found, [set(number)[0].puts.first().cloned()]);
        }
        let sets = set(stored);
        let batch = Batch { epoch, before: Seq(stored), sets: &sets };
        let settled = block_on(store.settle(batch)).unwrap();
        let found = block_on(store.read(&[meta_key(&stored.to_string())])).unwrap();
        match settled {
            Settled::Stored(..) => assert_eq!(found, [sets[0].puts.first().cloned()]),
            Settled::NotStored(head) => assert_eq!((found, head.seq), (vec![None], Seq(stored))),
        }
    }
}
