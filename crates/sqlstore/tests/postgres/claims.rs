//! Who may write.

use std::time::Duration;

use channelcoord::{Backend, Batch, ClaimError, CommitError, Epoch, Head, Seq, Settled};
use pollster::block_on;

use crate::server::{Store, note};

#[test]
fn the_same_instance_takes_over_at_once() {
    let mut store = Store::new();
    store.commit(&[note("a"), note("b")]);
    assert_eq!(store.head, Head { epoch: Epoch(1), seq: Seq(2) });
    // As after a crash: nothing was given back.
    let again = store.options.clone().open().unwrap();
    let head = block_on(again.claim(Some(Seq(2)))).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(2) });
    let fenced = store.try_commit(&[note("c")]).unwrap_err();
    assert!(
        matches!(fenced, CommitError::Fenced { ours: Epoch(1), found: Epoch(2) }),
        "{fenced:?}"
    );
    assert!(!store.has("c"));
}

#[test]
fn another_instance_is_refused_until_the_lease_is_given_back() {
    let mut store = Store::with(|options| options.instance("one"));
    let other = store.options.clone().instance("two").open().unwrap();
    let refused = block_on(other.claim(None)).unwrap_err();
    let ClaimError::Held { by, remaining } = refused else { panic!("{refused:?}") };
    assert_eq!(by, "one");
    assert!(remaining > Duration::from_secs(20) && remaining <= Duration::from_secs(30));
    store.commit(&[note("a")]);
    block_on(store.backend.release()).unwrap();
    let head = block_on(other.claim(None)).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(1) });
}

#[test]
fn another_instance_can_wait_for_the_end_of_the_lease() {
    let store = Store::with(|options| options.instance("one").lease(Duration::from_millis(300)));
    // It dies: nobody renews its lease any more.
    let Store { options, .. } = &store;
    let dead = options.clone().open().unwrap();
    block_on(store.backend.release()).unwrap();
    block_on(dead.claim(None)).unwrap();
    drop(dead);
    let waiting = options.clone().instance("two").takeover(Duration::from_secs(60));
    let head = block_on(waiting.open().unwrap().claim(None)).unwrap();
    assert_eq!(head.epoch, Epoch(3));
}

#[test]
fn a_lease_is_renewed_as_long_as_its_holder_lives() {
    let store = Store::with(|options| options.lease(Duration::from_millis(300)));
    let mut shell = store.shell();
    let until = "select (extract(epoch from until) * 1000)::int8 from lease";
    let first = shell.number(until);
    while shell.number(until) < first + 1_000 {
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(shell.number("select count(*) from lease where until > clock_timestamp()"), 1);
    }
}

#[test]
fn who_was_replaced_stores_nothing() {
    let mut store = Store::with(|options| options.instance("one"));
    // The lease ends, seen from the server, and another instance is faster.
    store.shell().run("update lease set until = null");
    let other = store.options.clone().instance("two").open().unwrap();
    let newer = block_on(other.claim(None)).unwrap();
    let fenced = store.try_commit(&[note("a")]).unwrap_err();
    assert!(matches!(fenced, CommitError::Fenced { found: Epoch(2), .. }), "{fenced:?}");
    assert!(!store.has("a"));
    // What the old one gives back is not the new one's.
    block_on(store.backend.release()).unwrap();
    let third = store.options.clone().instance("three").open().unwrap();
    assert!(matches!(block_on(third.claim(None)), Err(ClaimError::Held { .. })));
    let sets = [note("b")];
    block_on(other.commit(Batch { epoch: newer.epoch, before: newer.seq, sets: &sets })).unwrap();
}

#[test]
fn a_lease_that_ended_while_the_server_was_away_goes_on() {
    let mut store = Store::new();
    let mut shell = store.shell();
    shell.run("update lease set until = clock_timestamp() - interval '1 hour'");
    store.commit(&[note("a")]);
    assert_eq!(shell.number("select count(*) from lease where until > clock_timestamp()"), 1);
}

#[test]
fn who_knows_the_claim_of_another_instance_stores_nothing() {
    let mut store = Store::with(|options| options.instance("one"));
    let other = store.options.clone().instance("two").open().unwrap();
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &[note("a")] };
    let fenced = block_on(other.commit(batch)).unwrap_err();
    assert!(matches!(fenced, CommitError::Fenced { .. }), "{fenced:?}");
    assert!(!store.has("a"));
    store.commit(&[note("b")]);
}

#[test]
fn a_commit_that_was_lost_and_then_refused_is_unknown() {
    let mut store = Store::with(|options| options.instance("one"));
    let (mut shell, mut other) = (store.shell(), store.shell());
    let (schema, options) = (store.schema.clone(), store.options.clone());
    let waiting = format!(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
         and application_name = 'chanstore commit {schema}'"
    );
    let session = other.number(&format!(
        "select pid::int8 from pg_stat_activity where application_name = 'chanstore commit {schema}'"
    ));
    // Stops the next commit once it holds the store's row, which the claim then waits for.
    store.commit(&[note("a")]);
    shell.run("begin; select from meta for update");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| store.try_commit(&[note("a")]));
        other.await_number(&waiting, 1);
        let newer = options.open().unwrap();
        let claim = scope.spawn(move || block_on(newer.claim(None)));
        other.await_number(&waiting, 2);
        other.rows(&format!("select pg_terminate_backend({session}, 60000)"));
        assert_eq!(claim.join().unwrap().unwrap().epoch, Epoch(2));
        shell.run("rollback");
        let unknown = commit.join().unwrap().unwrap_err();
        assert!(matches!(unknown, CommitError::Unknown(_)), "{unknown:?}");
    });
    let batch = Batch { epoch: Epoch(1), before: Seq(1), sets: &[note("a")] };
    let settled = block_on(store.backend.settle(batch)).unwrap();
    assert!(matches!(settled, Settled::NotStored(_)), "{settled:?}");
}

#[test]
fn settling_a_batch_without_sets_makes_no_other_impossible() {
    let mut store = Store::new();
    let empty = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &[] };
    let settled = block_on(store.backend.settle(empty)).unwrap();
    let Settled::Stored(verdicts, head) = settled else { panic!("{settled:?}") };
    assert!(verdicts.is_empty());
    assert_eq!(head, store.head);
    // Another batch with the same place.
    store.commit(&[note("a")]);
    let batch = Batch { sets: &[note("a")], ..empty };
    let settled = block_on(store.backend.settle(batch)).unwrap();
    assert!(matches!(settled, Settled::Stored(..)), "{settled:?}");
}

#[test]
fn of_two_instances_that_race_one_wins() {
    let store = Store::new();
    block_on(store.backend.release()).unwrap();
    for _ in 0..5 {
        let open = |name: &str| store.options.clone().instance(name).open().unwrap();
        let racers = ["one", "two", "three"].map(open);
        let claims: Vec<_> = std::thread::scope(|scope| {
            let claims = racers.each_ref().map(|racer| scope.spawn(|| block_on(racer.claim(None))));
            claims.into_iter().map(|claim| claim.join().unwrap()).collect()
        });
        let held = |claim: &Result<_, _>| matches!(claim, Err(ClaimError::Held { .. }));
        assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1, "{claims:?}");
        assert_eq!(claims.iter().filter(|claim| held(claim)).count(), 2, "{claims:?}");
        racers.iter().for_each(|racer| block_on(racer.release()).unwrap());
    }
}
