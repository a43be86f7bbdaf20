//! The anomalies of transactions, and that none of them is seen.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{self, ScopedJoinHandle};

use channelcoord::{Backend, Batch, ChangeSet, CommitError, MetaRecord, Record, Verdict, meta_key};
use chanstate::ChannelChange;
use chanstate::key::{KeyRange, Kind};
use chanstate::record::ChannelRecord;
use pollster::block_on;

use super::backend::is_conflict;
use crate::values::sets::{
    changing, creating, forgetting, meeting, meta, noting, putting, removing, touching,
};
use crate::{Claimed, Place};

/// A value of the store that holds a number.
fn number(name: &str, value: u64) -> Record {
    let value = value.to_be_bytes().to_vec().into();
    Record::Meta(MetaRecord { name: name.into(), value })
}

/// Calls `read` on two threads before, while and after `write` runs.
fn while_writing(write: impl FnOnce(), read: impl Fn() + Sync) {
    let (all_have_read, done) = (Barrier::new(3), AtomicBool::new(false));
    let reads = || {
        then_wait(&all_have_read, &read);
        while !done.load(Ordering::SeqCst) {
            read();
        }
        read();
    };
    thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(reads));
        all_have_read.wait();
        let written = catch_unwind(AssertUnwindSafe(write));
        // Also after a failure, or the readers would go on for ever.
        done.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(joined);
        written.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// Waits for the others when the work is done; also after a failure, or they would wait for ever.
fn then_wait<T>(others: &Barrier, work: impl FnOnce() -> T) -> T {
    let done = catch_unwind(AssertUnwindSafe(work));
    others.wait();
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The result of a thread, or its own panic.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Dirty write: of batches that come at once for the same number one is stored, and its records
/// do not mix with those of the others.
/// Obligations: `backend/in_step`, `backend/whole`, `backend/threads`, `backend/any_executor`.
pub(crate) async fn writes_at_once_do_not_mix(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for _ in 0..10 {
        let stored: Vec<u64> = thread::scope(|scope| {
            let at = &at;
            let write = move |n: u64| {
                let sets = [putting([number("left", n), number("right", n)])];
                match block_on(at.backend.commit(at.batch(&sets))) {
                    Ok(verdicts) => matches!(verdicts[..], [Verdict::Applied]).then_some(n),
                    Err(CommitError::NotStored(_)) => None,
                    Err(other) => panic!("{other:?}"),
                }
            };
            let writers: Vec<_> = (0..4).map(|n| scope.spawn(move || write(n))).collect();
            writers.into_iter().filter_map(joined).collect()
        });
        let [winner] = stored[..] else { panic!("{stored:?} were stored") };
        at.head.seq.0 += 1;
        let both = at.backend.read(&[meta_key("left"), meta_key("right")]).await.unwrap();
        assert_eq!(both, [Some(number("left", winner)), Some(number("right", winner))]);
    }
}

/// Dirty read: nothing of a set or batch that is not stored is ever read.
/// Obligations: `backend/failed`, `backend/whole`, `backend/fenced`.
pub(crate) async fn what_is_not_stored_is_not_read(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let b = at.backend.clone();
    let ghost = [meta_key("ghost")];
    let write = || {
        for _ in 0..15 {
            let sets = [noting("ghost")];
            let before = channelcoord::Seq(at.head.seq.0 + 1);
            let out_of_step = Batch { before, ..at.batch(&sets) };
            assert!(block_on(at.backend.commit(out_of_step)).is_err());
            let epoch = channelcoord::Epoch(at.head.epoch.0 + 1);
            assert!(block_on(at.backend.commit(Batch { epoch, ..at.batch(&sets) })).is_err());
            let stale = block_on(at.commit(vec![noting("other"), changing(1, 99, "ghost")]));
            assert!(matches!(stale[..], [Verdict::Applied, Verdict::Conflict(_)]));
        }
    };
    while_writing(write, || assert_eq!(block_on(b.read(&ghost)).unwrap(), [None]));
    assert!(!at.has("ghost").await);
}

/// The row of channel 1, as it is stored.
fn row(backend: &dyn Backend) -> ChannelRecord {
    let key = chanstate::key::RecordKey::single(Kind::Channel, 1.into());
    match block_on(backend.read(&[key])).unwrap().pop().flatten() {
        Some(Record::Channel(chanstate::Record::Channel(row))) => row,
        other => panic!("{other:?}"),
    }
}

/// Lost update: of changes computed at once from the same version one is applied, so a number that
/// many writers count up grows by one.
/// Obligations: `backend/guards`, `backend/fresh`, `backend/threads`.
pub(crate) async fn no_update_is_lost(place: &dyn Place) {
    const ROUNDS: u32 = 8;
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let b = at.backend.clone();
    let before = row(b.as_ref()).confirmation_height.unwrap_or_default();
    let at = Mutex::new(at);
    let all_have_read = Barrier::new(3);
    let count_up = || {
        let row = then_wait(&all_have_read, || row(b.as_ref()));
        let height = Some(row.confirmation_height.unwrap_or_default() + 1);
        let change = ChannelChange::new(ChannelRecord { confirmation_height: height, ..row });
        let set = ChangeSet { channels: vec![change], ..ChangeSet::default() };
        let verdicts = block_on(at.lock().unwrap().commit(vec![set]));
        matches!(verdicts[..], [Verdict::Applied])
    };
    for _ in 0..ROUNDS {
        let applied = thread::scope(|scope| {
            let writers = [(); 3].map(|()| scope.spawn(count_up));
            writers.into_iter().map(joined).filter(|applied| *applied).count()
        });
        assert_eq!(applied, 1);
    }
    assert_eq!(row(b.as_ref()).confirmation_height, Some(before + ROUNDS));
}

/// Read skew: what one read shows is of one moment between two batches, across kinds, across the
/// sets of a batch and from the first of many keys to the last.
/// Obligations: `backend/moment`, `backend/threads`.
pub(crate) async fn one_read_shows_one_moment(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let b = at.backend.clone();
    let state = |n: u64| {
        let value = n.to_be_bytes().to_vec().into();
        let record = chanstate::OpeningStateRecord { key: "key".into(), value };
        Record::Channel(chanstate::Record::OpeningState(record))
    };
    let names: Vec<_> = (0..300).map(|name| format!("{name:03}")).collect();
    let (left, right) = names.split_at(150);
    let numbers =
        |names: &[String], n| -> Vec<_> { names.iter().map(|name| number(name, n)).collect() };
    let all = |n| [numbers(left, n), vec![state(n)], numbers(right, n)].concat();
    let keys: Vec<_> = all(0).iter().map(Record::key).collect();
    let write = || {
        for n in 0..20 {
            let first = putting(numbers(left, n).into_iter().chain([state(n)]));
            block_on(at.commit(vec![first, putting(numbers(right, n))]));
        }
    };
    while_writing(write, || {
        let found = block_on(b.read(&keys)).unwrap();
        let (first, last) = (&found[0], &found[keys.len() - 1]);
        let Some(first) = first else { return assert!(found.iter().all(Option::is_none)) };
        let shown = (0..20).find(|n| number(&names[0], *n) == *first).expect("a number");
        assert_eq!(last.as_ref(), Some(&number(&names[299], shown)));
        assert!(found.into_iter().flatten().eq(all(shown)), "between {shown} and another one");
    });
}

/// Phantom: what one scan shows is of one moment.
/// Obligations: `backend/moment`, `backend/threads`.
pub(crate) async fn one_scan_shows_one_moment(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let b = at.backend.clone();
    let names: Vec<_> = (0..30).map(|n| format!("{n:02}")).collect();
    let write = || {
        for _ in 0..20 {
            let (low, high) = names.split_at(15);
            let put = |names: &[String]| putting(names.iter().map(|name| meta(name)));
            block_on(at.commit(vec![put(low), put(high)]));
            block_on(at.apply(removing(names.iter().map(|name| meta_key(name)))));
        }
    };
    while_writing(write, || {
        let found = block_on(b.scan(&KeyRange::all(Kind::Meta), 100)).unwrap().len();
        assert!(found == 0 || found == names.len(), "{found} of {}", names.len());
    });
}

/// Non-repeatable read: a read sees every commit that returned before, on whichever thread.
/// Obligations: `backend/fresh`, `backend/threads`.
pub(crate) async fn a_later_read_sees_what_was_stored_since(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let b = at.backend.clone();
    for n in 0..20 {
        at.apply(putting([number("name", n)])).await;
        thread::scope(|scope| {
            let read = || {
                let found = block_on(b.read(&[meta_key("name")])).unwrap();
                assert_eq!(found, [Some(number("name", n))]);
                let found = block_on(b.scan(&KeyRange::all(Kind::Meta), 9)).unwrap();
                assert_eq!(found, [number("name", n)]);
            };
            [(); 2].map(|()| scope.spawn(read)).into_iter().for_each(joined);
        });
    }
}

/// Pages read one after the other show each record that stays exactly once, whatever comes and
/// goes before and behind them.
/// Obligations: `backend/after`, `backend/scan_order`, `backend/fresh`.
pub(crate) async fn pages_pass_over_nothing_that_stays(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let name = |n: u64| format!("{n:03}");
    at.apply(putting((0..60).step_by(3).map(|n| meta(&name(n))))).await;
    let (mut range, mut found) = (KeyRange::all(Kind::Meta), Vec::new());
    for round in 0.. {
        let page = at.backend.scan(&range, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        range = range.after(last.key());
        found.extend(page.iter().map(Record::key));
        // One more before and one behind the page, and the last one of the page goes.
        let new = [12 * round + 1, 12 * round + 22].map(|n| meta(&name(n)));
        at.apply(putting(new)).await;
        at.apply(removing([last.key()])).await;
    }
    assert!(found.is_sorted_by(|a, b| a < b), "a record came twice");
    for n in (0..60).step_by(3) {
        assert!(found.contains(&meta_key(&name(n))), "{n} was passed over");
    }
}

/// Write skew: an opening that counts on a peer's link node and a prune that counts on its having
/// no channel touch the same version, so one of them fails, whichever comes first.
/// Obligations: `backend/guards`, `coordinator/excluded`.
pub(crate) async fn what_was_read_can_be_guarded(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let opening = |n: u64, seen: u64| ChangeSet {
        link_nodes: touching(1, seen, "").link_nodes,
        ..creating(n, "opened")
    };
    let peer = channelcoord::Subject::LinkNode(crate::values::peer(1));
    let met = at.apply(meeting(1, "met")).await.0;
    let opened = at.apply(opening(1, met)).await.0;
    let pruned = at.commit(vec![forgetting(1, met, "pruned")]).await;
    assert!(is_conflict(&pruned[0], peer), "{pruned:?}");
    at.apply(forgetting(1, opened, "forgotten")).await;
    let late = at.commit(vec![opening(2, opened)]).await;
    assert!(is_conflict(&late[0], peer), "{late:?}");
    assert!(!at.has("pruned").await);
    assert_eq!(at.get(&linknode::node_key(&crate::values::peer(1))).await, None);
}
