use channelcoord::{Backend, Batch, ChangeSet, CommitError, Head, Record, Settled};
use chanstate::ChannelNo;
use chanstate::key::{KeyRange, Kind};
use kvstore::kv::Fault;
use kvstore::{OpenError, Options, RedbBackend};

use crate::disk::{self, Disk, Step};
use crate::samples;
use crate::support::*;

/// Batches of the scenario, each of two change sets of two records.
const BATCHES: u64 = 4;

#[test]
fn a_power_cut_loses_nothing_that_was_committed_and_halves_nothing() {
    let disk = Disk::default();
    let store = disk.open();
    let mut head = run(store.claim(None)).unwrap();
    // How many steps the disk had made when each batch had returned.
    let mut returned = vec![disk.journal().len()];
    for number in 0..BATCHES {
        head = commit_batch(&store, head, number).unwrap();
        returned.push(disk.journal().len());
    }
    let journal = disk.journal();
    let mut halfway = 0;
    for cut in returned[0]..=journal.len() {
        let committed = returned.iter().filter(|steps| **steps <= cut).count() as u64 - 1;
        for image in images_after_power_cut(&journal[..cut]) {
            let found = whole_batches(&Disk::with_image(image).open());
            assert!(found >= committed, "cut {cut}: {found} of {committed}");
            assert!(found <= committed + 1, "cut {cut}: {found} of {committed}");
            halfway += u64::from(found > committed);
        }
    }
    // Otherwise no cut fell between the last write of a batch and its return.
    assert!(halfway > 0);
}

#[test]
fn a_power_cut_during_creation_leaves_an_empty_store_or_no_store() {
    let disk = Disk::default();
    drop(disk.open());
    let journal = disk.journal();
    let (mut empty, mut none) = (0, 0);
    for cut in 0..=journal.len() {
        for image in images_after_power_cut(&journal[..cut]) {
            match Options::default().open_storage(Disk::with_image(image)) {
                Ok(store) => {
                    assert_eq!(run(store.claim(None)).unwrap().epoch.0, 1);
                    empty += 1;
                }
                Err(OpenError::NotOurs) => none += 1,
                Err(other) => panic!("cut {cut}: {other:?}"),
            }
        }
    }
    assert!(empty > 0 && none > 0);
}

#[test]
fn a_failing_disk_never_makes_a_wrong_promise() {
    let (mut unknown, mut stored) = (0, 0);
    for budget in 0.. {
        let disk = Disk::default();
        let store = disk.open();
        let head = run(store.claim(None)).unwrap();
        disk.fail_after(budget);
        let result = commit_batch(&store, head, 0);
        let reopened = Disk::with_image(disk.image()).open();
        let found = whole_batches(&reopened);
        let sets = batch(head, 0);
        let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
        let settled = run(reopened.settle(batch)).unwrap();
        match result {
            Ok(_) => {
                assert_eq!(found, 1);
                break;
            }
            Err(CommitError::NotStored(_)) => assert_eq!(found, 0, "after {budget} steps"),
            Err(CommitError::Unknown(_)) => {
                assert_eq!(matches!(settled, Settled::Stored(..)), found == 1);
                unknown += 1;
                stored += found;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(unknown > 2 && stored > 0, "{unknown} unknown, {stored} stored");
}

#[test]
fn after_an_unknown_outcome_every_call_is_refused() {
    let disk = Disk::default();
    let store = disk.open();
    let head = run(store.claim(None)).unwrap();
    disk.fail_after(0);
    assert!(matches!(commit_batch(&store, head, 0), Err(CommitError::Unknown(_))));
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &[] };
    let causes = [
        unavailable(run(store.read(&[]))),
        unavailable(run(store.scan(&KeyRange::all(Kind::Meta), 1))),
        unavailable(run(store.settle(batch))),
    ];
    for cause in &causes {
        assert!(matches!(kv_fault(cause), Fault::Poisoned(_)));
    }
    assert!(matches!(commit_batch(&store, head, 1), Err(CommitError::NotStored(_))));
    assert!(run(store.claim(None)).is_err());
}

#[test]
fn a_reopened_store_goes_on_after_an_unknown_outcome() {
    let disk = Disk::default();
    let store = disk.open();
    let head = run(store.claim(None)).unwrap();
    disk.fail_after(1);
    assert!(matches!(commit_batch(&store, head, 0), Err(CommitError::Unknown(_))));
    let store = Disk::with_image(disk.image()).open();
    let head = run(store.claim(None)).unwrap();
    let found = whole_batches(&store);
    commit_batch(&store, head, found).unwrap();
    assert_eq!(whole_batches(&store), found + 1);
}

/// What the disk may hold if power fails after these steps: with everything written, with nothing
/// but what was synced, and with some of the rest.
fn images_after_power_cut(steps: &[Step]) -> Vec<Vec<u8>> {
    let synced = steps.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |at| at + 1);
    let (safe, loose) = steps.split_at(synced);
    let image = |keep: &dyn Fn(usize) -> bool| {
        let mut image = Vec::new();
        safe.iter().for_each(|step| disk::apply(&mut image, step));
        for (number, step) in loose.iter().enumerate() {
            // A file system journals lengths; it is contents that may be missing.
            if matches!(step, Step::Resize(_)) || keep(number) {
                disk::apply(&mut image, step);
            }
        }
        image
    };
    let mut images = vec![
        image(&|_| true),
        image(&|_| false),
        image(&|number| number % 2 == 0),
        image(&|number| number % 2 == 1),
        image(&|number| number + 1 == loose.len()),
        image(&|number| number >= loose.len() / 2),
    ];
    images.dedup();
    images
}

fn commit_batch(store: &RedbBackend, head: Head, number: u64) -> Result<Head, CommitError> {
    let sets = batch(head, number);
    let verdicts = commit(store, head, &sets)?;
    assert!(verdicts.iter().all(is_applied));
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    Ok(Head { epoch: head.epoch, seq: batch.last() })
}

fn batch(head: Head, number: u64) -> Vec<ChangeSet> {
    let set = |no| {
        let mut set = touch(no, 0);
        let state = samples::revoked_state(ChannelNo(no), 0);
        set.puts.push(Record::Channel(chanstate::Record::RevokedState(state)));
        set
    };
    stamped(head.seq, vec![set(2 * number), set(2 * number + 1)])
}

/// Number of batches in the store, which must all be whole and in order.
fn whole_batches(store: &RedbBackend) -> u64 {
    let numbers = |kind| -> Vec<_> {
        let records = scan(store, &KeyRange::all(kind));
        records.iter().map(|record| record.key().parts[0].clone()).collect()
    };
    let channels = numbers(Kind::Channel);
    assert_eq!(channels, numbers(Kind::RevokedState));
    let expected: Vec<_> = (0..channels.len() as u64).map(chanstate::key::KeyPart::Int).collect();
    assert_eq!(channels, expected);
    assert!(channels.len().is_multiple_of(2));
    channels.len() as u64 / 2
}
