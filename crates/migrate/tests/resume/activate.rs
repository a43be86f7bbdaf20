//! Which of a copy and its source is in use.

use std::path::{Path, PathBuf};

use channelcoord::{Store, StoreOptions};
use chanstate::facet::ChannelSetupStore;
use migrate::command::{self, ActivateOptions, CopyOptions, copy};
use migrate::lnd::tombstone::{self, Home};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;
use pollster::block_on;

use crate::command::{Desk, fixture};
use crate::handover::{Handover, is_usable, survives_every_stop_of_a_handover};
use crate::kv;
use crate::stopping::{Silent, transfer, url};
use crate::stops::{lnd, lnd_sqlite, options, store};

/// A source, and a complete copy of it.
fn pair(desk: &Desk, source: &str, target: &str) -> (StoreUrl, StoreUrl) {
    let from = match source {
        "lnd-bolt" => lnd(desk),
        "lnd-sqlite" => lnd_sqlite(desk),
        "archive" => {
            let from = url(&desk.url("archive", "source"));
            store(desk, &from);
            from
        }
        engine => {
            let from = url(&desk.url(engine, "source"));
            store(desk, &from);
            // What a copy leaves in it is no part of a store that a node made.
            own(&from);
            from
        }
    };
    let to = url(&desk.url(target, "copy"));
    copy_to(&from, &to);
    (from, to)
}

fn copy_to(from: &StoreUrl, to: &StoreUrl) {
    let source = opened::open(from, false).unwrap();
    copy(from, &source, to, options(), &Silent).unwrap();
}

/// Makes a copy a store of its own.
fn own(url: &StoreUrl) {
    let store = opened::open_to_write(url).unwrap();
    let mut writer = migrate::writer::Writer::claim(store.as_ref()).unwrap();
    let removes = vec![channelcoord::Transfer::key()];
    writer.add(channelcoord::ChangeSet { removes, ..Default::default() }).unwrap();
    writer.flush().unwrap();
    block_on(store.release()).unwrap();
}

fn activate(from: &StoreUrl, to: &StoreUrl) -> Result<bool, Failure> {
    command::activate(from, to, ActivateOptions::default()).map(|report| report.sealed)
}

fn unseal(from: &StoreUrl, to: &StoreUrl) -> Result<bool, Failure> {
    command::unseal(from, to).map(|report| report.unsealed)
}

/// Asks for a failure over the content.
#[track_caller]
fn refused(result: Result<bool, Failure>, why: &str) {
    match result {
        Err(Failure::Content(what)) => assert!(what.contains(why), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// Asks for a failure over a store that somebody has open.
#[track_caller]
fn is_held(result: Result<bool, Failure>) {
    assert!(matches!(result, Err(Failure::Access(_))), "{result:?}");
}

/// Opens a store as a node does, and writes something.
fn use_as_node(name: &StoreUrl) {
    let store = opened::open_to_write(name).unwrap();
    block_on(async {
        let store = Store::open_shared(store.into(), StoreOptions::default()).await.unwrap();
        store.save_opening_state("key".into(), "value".into()).await.unwrap();
        store.close().await.unwrap();
    });
}

fn hand_over(sources: &[&str], seal: bool) {
    for source in sources {
        for target in ["redb", "sqlite"] {
            let desk = Desk::new();
            let (from, to) = pair(&desk, source, target);
            survives_every_stop_of_a_handover(&Handover { from: &from, to: &to, seal });
        }
    }
}

#[test]
fn a_handover_of_a_store_goes_on_after_any_stop() {
    hand_over(&["redb", "sqlite"], false);
}

#[test]
fn a_handover_of_what_stays_as_it_is_goes_on_after_any_stop() {
    hand_over(&["lnd-bolt", "lnd-sqlite", "archive"], false);
}

#[test]
fn a_handover_of_a_sealed_database_goes_on_after_any_stop() {
    hand_over(&OF_LND, true);
}

#[test]
fn a_copy_that_was_written_is_not_taken_back() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "redb", "sqlite");
    activate(&from, &to).unwrap();
    use_as_node(&to);
    refused(unseal(&from, &to), "was written since it was activated");
    use_as_node(&to);
    assert!(!is_usable(&from));
}

#[test]
fn an_older_state_of_the_copy_is_neither_activated_nor_taken_back() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "sqlite", "redb");
    let restored = url(&desk.url("redb", "restored"));
    std::fs::copy(desk.0.path().join("copy"), desk.0.path().join("restored")).unwrap();
    activate(&from, &to).unwrap();
    use_as_node(&to);
    refused(activate(&from, &restored), "this is the copy as it was before");
    refused(unseal(&from, &restored), "this is the copy as it was before");
    assert_eq!((is_usable(&from), is_usable(&restored)), (false, false));
    use_as_node(&to);
}

#[test]
fn an_archive_of_another_time_is_another_source() {
    let desk = Desk::new();
    let (from, _) = pair(&desk, "sqlite", "redb");
    let (older, newer) = (url(&desk.url("archive", "older")), url(&desk.url("archive", "newer")));
    copy_to(&from, &older);
    // What this writes, channels and peers do not show.
    use_as_node(&from);
    copy_to(&from, &newer);
    let restored = url(&desk.url("redb", "restored"));
    copy_to(&older, &restored);
    refused(activate(&newer, &restored), "is not the store that was copied");
    assert!(!is_usable(&restored));
    activate(&older, &restored).unwrap();
}

#[test]
fn a_source_that_was_written_is_not_replaced() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "sqlite", "redb");
    use_as_node(&from);
    refused(activate(&from, &to), "was written since; nothing was changed");
    assert!(!is_usable(&to));
    use_as_node(&from);
}

#[test]
fn another_store_is_not_sealed_as_the_source() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "sqlite", "redb");
    let other = url(&desk.url("redb", "other"));
    copy_to(&from, &other);
    refused(activate(&other, &to), "is not in use itself");
    own(&other);
    refused(activate(&other, &to), "is not the store that was copied");
    activate(&from, &to).unwrap();
    refused(activate(&from, &url(&desk.url("redb", "other"))), "is no copy");
}

#[test]
fn a_sealed_source_says_where_its_content_went() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "sqlite", "redb");
    let second = url(&desk.url("sqlite", "second"));
    copy_to(&from, &second);
    activate(&from, &to).unwrap();
    refused(activate(&from, &second), &format!("was moved to {to}"));
    let source = opened::open(&from, false).unwrap();
    let third = url(&desk.url("redb", "third"));
    let again = copy(&from, &source, &third, options(), &Silent).map(|_| true);
    refused(again, &format!("was moved to {to}"));
}

#[test]
fn a_handover_of_a_handover_comes_back_step_by_step() {
    let desk = Desk::new();
    let (first, second) = pair(&desk, "redb", "sqlite");
    activate(&first, &second).unwrap();
    let before = transfer(&second);
    let third = url(&desk.url("redb", "third"));
    copy_to(&second, &third);
    activate(&second, &third).unwrap();
    unseal(&second, &third).unwrap();
    assert_eq!(transfer(&second), before);
    use_as_node(&second);
}

#[test]
fn a_side_that_a_node_has_open_is_left_alone() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "sqlite", "redb");
    let before = (transfer(&from), transfer(&to));
    let node = opened::open_to_write(&from).unwrap();
    is_held(activate(&from, &to));
    drop(node);
    let node = opened::open_to_write(&to).unwrap();
    is_held(activate(&from, &to));
    drop(node);
    assert_eq!((transfer(&from), transfer(&to)), before);
    activate(&from, &to).unwrap();
}

#[test]
fn lnd_s_database_is_not_changed() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "lnd-bolt", "sqlite");
    let path = desk.0.path().join("channel.db");
    let before = std::fs::read(&path).unwrap();
    assert!(!activate(&from, &to).unwrap());
    assert!(std::fs::read(&path).unwrap() == before);
    // A running lnd holds this lock.
    let held = std::fs::File::open(&path).unwrap();
    held.lock().unwrap();
    is_held(unseal(&from, &to));
    drop(held);
    unseal(&from, &to).unwrap();
    assert!(std::fs::read(&path).unwrap() == before);
}

fn sealed(from: &StoreUrl, to: &StoreUrl) -> Result<bool, Failure> {
    command::activate(from, to, ActivateOptions { seal_source: true }).map(|report| report.sealed)
}

/// Writes into lnd's database something that belongs to channel state, as a run of lnd does.
fn run_lnd(desk: &Desk, engine: &str) {
    if engine == "lnd-bolt" {
        // Any transaction has another number.
        let home = Home::Bolt(&desk.0.path().join("channel.db"));
        tombstone::write(home, "for a moment").unwrap();
        tombstone::remove(home).unwrap();
    } else {
        let shell = kv::connect(&desk.0.path().join("channel.sqlite"));
        let changed = shell.execute(
            "update channeldb_kv set value = cast(value || x'00' as blob) where id = \
             (select max(id) from channeldb_kv where value is not null)",
            [],
        );
        assert_eq!(changed.unwrap(), 1);
    }
}

fn home<'a>(desk: &Desk, engine: &str, path: &'a mut PathBuf) -> Home<'a> {
    let (file, home): (_, fn(&'a Path) -> Home<'a>) = match engine {
        "lnd-bolt" => ("channel.db", |path| Home::Bolt(path)),
        _ => ("channel.sqlite", |path| Home::Sqlite(path)),
    };
    *path = desk.0.path().join(file);
    home(path)
}

const OF_LND: [&str; 2] = ["lnd-bolt", "lnd-sqlite"];

#[test]
fn a_database_of_lnd_that_was_written_is_not_replaced() {
    for engine in OF_LND {
        let desk = Desk::new();
        let (from, to) = pair(&desk, engine, "sqlite");
        run_lnd(&desk, engine);
        refused(activate(&from, &to), "was written since; nothing was changed");
        refused(sealed(&from, &to), "was written since; nothing was changed");
        assert!(is_usable(&from) && !is_usable(&to), "{engine}");
    }
}

#[test]
fn a_database_of_lnd_that_was_written_after_it_was_unsealed_is_not_replaced() {
    for engine in OF_LND {
        let desk = Desk::new();
        let (from, to) = pair(&desk, engine, "redb");
        assert!(sealed(&from, &to).unwrap());
        assert!(unseal(&from, &to).unwrap());
        run_lnd(&desk, engine);
        refused(sealed(&from, &to), "was written since; nothing was changed");
        assert!(is_usable(&from) && !is_usable(&to), "{engine}");
    }
}

#[test]
fn the_tombstone_of_another_move_stays() {
    for engine in OF_LND {
        let desk = Desk::new();
        let (from, to) = pair(&desk, engine, "sqlite");
        let second = url(&desk.url("redb", "second"));
        copy_to(&from, &second);
        assert!(sealed(&from, &to).unwrap());
        // One of another copy.
        refused(sealed(&from, &second), "migrated away before (moved to sqlite:");
        refused(activate(&from, &second), "is not the store that was copied");
        refused(unseal(&from, &second), "is not the store that was copied");
        assert!(!is_usable(&from) && !is_usable(&second) && is_usable(&to), "{engine}");
        unseal(&from, &to).unwrap();
        // One of another tool.
        let mut path = PathBuf::new();
        let home = home(&desk, engine, &mut path);
        tombstone::write(home, "lndinit").unwrap();
        refused(sealed(&from, &to), "migrated away before (lndinit)");
        refused(unseal(&from, &to), "is not the store that was copied");
        assert_eq!(tombstone::remove(home).unwrap().as_deref(), Some("lndinit"));
        assert!(!is_usable(&to), "{engine}");
    }
}

#[test]
fn a_sealed_database_is_opened_by_its_own_transfer_alone_and_its_copy_stays_usable() {
    for engine in OF_LND {
        let desk = Desk::new();
        let (from, to) = pair(&desk, engine, "sqlite");
        sealed(&from, &to).unwrap();
        use_as_node(&to);
        refused(unseal(&from, &to), "was written since it was activated");
        // Sealed as it is, activating once more finds it in use.
        assert!(activate(&from, &to).unwrap());
        assert!(!is_usable(&from) && is_usable(&to), "{engine}");
    }
}

#[test]
fn a_database_that_lnd_has_open_is_not_sealed() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "lnd-bolt", "sqlite");
    let reader = std::fs::File::open(desk.0.path().join("channel.db")).unwrap();
    reader.lock_shared().unwrap();
    is_held(sealed(&from, &to));
    assert!(!is_usable(&to));
    drop(reader);
    let desk = Desk::new();
    let (from, to) = pair(&desk, "lnd-sqlite", "sqlite");
    let lnd = kv::connect(&desk.0.path().join("channel.sqlite"));
    lnd.execute_batch("begin immediate").unwrap();
    is_held(sealed(&from, &to));
    assert!(!is_usable(&to));
    lnd.execute_batch("rollback").unwrap();
}

#[test]
fn a_damaged_database_is_not_sealed() {
    let desk = Desk::new();
    let from = url(&format!("lnd-bolt:{}", fixture("damaged/inline-broken.db").display()));
    let Ok(source) = opened::open(&from, false) else { panic!("cannot be opened") };
    let to = url(&desk.url("sqlite", "copy"));
    let options = CopyOptions { skip_damaged: true, ..options() };
    copy(&from, &source, &to, options, &Silent).unwrap();
    drop(source);
    let before = std::fs::read(fixture("damaged/inline-broken.db")).unwrap();
    refused(sealed(&from, &to), "damaged");
    assert!(!is_usable(&to));
    assert!(std::fs::read(fixture("damaged/inline-broken.db")).unwrap() == before);
    activate(&from, &to).unwrap();
}

#[test]
fn an_archive_is_a_source_and_never_in_use() {
    let desk = Desk::new();
    let (from, to) = pair(&desk, "archive", "sqlite");
    for result in [activate(&to, &from), sealed(&to, &from), unseal(&to, &from)] {
        let Err(Failure::Usage(why)) = result else { panic!("{result:?}") };
        assert!(why.contains("is an archive, which no node opens"), "{why}");
    }
    // Another archive of the same content will do, and one of other content will not.
    let again = url(&desk.url("archive", "again"));
    copy_to(&from, &again);
    std::fs::remove_file(desk.0.path().join("source")).unwrap();
    let other = url(&desk.url("archive", "other"));
    let empty = url(&format!("lnd-bolt:{}", fixture("empty.db").display()));
    copy_to(&empty, &other);
    refused(activate(&other, &to), "is not the store that was copied");
    assert!(!activate(&again, &to).unwrap());
    assert!(is_usable(&to));
}
