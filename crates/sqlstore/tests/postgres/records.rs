//! Records come back as they were put, or not at all.

use channelcoord::{Backend, BackendError, PackageAck, Record, Verdict, meta_key};
use chanstate::PackageList;
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use pollster::block_on;
use sqlx::Row;

use crate::server::{Store, note};
use crate::support::extremes::every_kind;
use crate::support::puts;
use crate::support::records::{package, package_update};

#[test]
fn every_kind_with_extreme_values() {
    let mut store = Store::new();
    let records = every_kind();
    store.put(records.clone());
    store.put(records.clone());
    let keys: Vec<_> = records.iter().map(Record::key).collect();
    let found = block_on(store.backend.read(&keys)).unwrap();
    for (record, found) in records.iter().zip(found) {
        assert_eq!(found.as_ref(), Some(record), "{}", record.key());
    }
    for kind in Kind::ALL {
        let mut expected: Vec<_> =
            records.iter().filter(|r| r.key().kind == kind).cloned().collect();
        expected.sort_by_key(Record::key);
        assert!(!expected.is_empty(), "{kind:?}");
        let found = block_on(store.backend.scan(&KeyRange::all(kind), usize::MAX)).unwrap();
        assert_eq!(found, expected);
    }
    let mut set = puts([]);
    set.removes = keys;
    store.commit(&[set.clone()]);
    store.commit(&[set]);
    for kind in Kind::ALL {
        assert_eq!(block_on(store.backend.scan(&KeyRange::all(kind), 9)).unwrap(), []);
    }
}

#[test]
fn keys_that_no_column_holds_are_refused_and_found_nowhere() {
    let mut store = Store::new();
    let huge = chanstate::FinalHtlcRecord {
        scid: 1.into(),
        id: (1 << 63).into(),
        outcome: chanstate::FinalHtlc { settled: true, offchain: true },
    };
    let huge = Record::Channel(chanstate::Record::FinalHtlc(huge));
    let key = huge.key();
    let verdicts = store.try_commit(&[puts([huge]), note("beside")]).unwrap();
    let [Verdict::Refused { record, .. }, Verdict::Applied] = &verdicts[..] else {
        panic!("{verdicts:?}")
    };
    assert_eq!(*record, key);
    assert_eq!(block_on(store.backend.read(&[key])).unwrap(), [None]);
    let flag = RecordKey::of(Kind::Htlc, [1, 2, 3]);
    assert_eq!(block_on(store.backend.read(&[flag])).unwrap(), [None]);
}

#[test]
fn names_sort_by_their_bytes() {
    let mut store = Store::new();
    let long = ["b", "a", ""].map(|end| "l".repeat(5_000) + end);
    let names = ["", "B", "a", "a-b", "aB", "ab", "a\0", "a\u{1}", "\u{e4}", "z\u{10ffff}"];
    let mut sorted: Vec<_> = names.into_iter().chain(long.iter().map(String::as_str)).collect();
    store.commit(&sorted.iter().map(|name| note(name)).collect::<Vec<_>>());
    sorted.sort_unstable();
    assert!(sorted.iter().all(|name| store.has(name)));
    let scan = |after: &[u8], limit| {
        let range =
            KeyRange::all(Kind::Meta).after(RecordKey::of_bytes(Kind::Meta, after.to_vec()));
        let found = block_on(store.backend.scan(&range, limit)).unwrap();
        found.iter().map(Record::key).collect::<Vec<_>>()
    };
    let after = |bytes: &[u8]| {
        let names = sorted.iter().filter(|name| name.as_bytes() > bytes);
        names.map(|name| meta_key(name)).collect::<Vec<_>>()
    };
    let long = long[2].as_bytes();
    for bytes in [&b""[..], b"a", b"a\0", b"a\0z", b"a\xff", b"aB", b"\xc3", b"z", b"\xff", long] {
        assert_eq!(scan(bytes, 100), after(bytes), "{bytes:?}");
        let first: Vec<_> = after(bytes).into_iter().take(2).collect();
        assert_eq!(scan(bytes, 2), first, "{bytes:?}");
    }
}

#[test]
fn flags_in_keys_sort_as_numbers() {
    let mut store = Store::new();
    store.put(every_kind().into_iter().filter(|record| record.key().kind == Kind::Htlc));
    let all = block_on(store.backend.scan(&KeyRange::all(Kind::Htlc), 99)).unwrap();
    let no = all[0].key().parts[0].clone();
    for flag in [0, 1, 2] {
        for rest in [vec![], vec![KeyPart::Int(0)], vec![KeyPart::Int(u64::MAX)]] {
            let parts: Vec<_> = [no.clone(), KeyPart::Int(flag)].into_iter().chain(rest).collect();
            let expected: Vec<_> =
                all.iter().filter(|record| record.key().parts > parts).cloned().collect();
            let range = KeyRange { after: Some(parts), ..KeyRange::all(Kind::Htlc) };
            assert_eq!(block_on(store.backend.scan(&range, 99)).unwrap(), expected);
        }
    }
}

#[test]
fn a_changed_row_is_damage_with_its_key() {
    let mut store = Store::new();
    store.commit(&[note("a"), note("b")]);
    store.shell().run("update meta set value = '\\x00' where name = 'a'::bytea");
    let corrupt = |error: BackendError| match error {
        BackendError::Corrupt { record, .. } => record,
        other => panic!("{other:?}"),
    };
    let key = meta_key("a");
    let error = block_on(store.backend.read(&[meta_key("b"), key.clone()])).unwrap_err();
    assert_eq!(corrupt(error), key.to_string());
    let error = block_on(store.backend.scan(&KeyRange::all(Kind::Meta), 9)).unwrap_err();
    assert_eq!(corrupt(error), key.to_string());
    let reader = store.options.clone().open_read_only().unwrap().without_checksums();
    assert_ne!(block_on(reader.read(&[key])).unwrap(), [None]);
    store.shell().run("update store set seq = seq");
    store.shell().run("update store set checksum = 1");
    let error = store.try_commit(&[note("c")]).unwrap_err();
    assert!(matches!(error, channelcoord::CommitError::NotStored(_)), "{error:?}");
    assert!(!store.has("c"));
}

#[test]
fn an_acknowledgement_keeps_right_checksums_right_and_wrong_ones_wrong() {
    let mut store = Store::new();
    let list = PackageList::Adds;
    let update = |index| {
        Record::Channel(chanstate::Record::PackageUpdate(package_update(5, 6, list, index)))
    };
    store.put([
        Record::Channel(chanstate::Record::Package(package(5, 6, None))),
        update(0),
        update(1),
    ]);
    store.shell().run("update package_update set log_index = 77 where position = 1");
    let ack = |index| PackageAck { source: 5.into(), height: 6.into(), list, index };
    let set = channelcoord::ChangeSet { acks: vec![ack(0), ack(1)], ..Default::default() };
    let sets = [set];
    store.commit(&sets);
    store.commit(&sets);
    let found = block_on(store.backend.read(&[ack(0).key()])).unwrap();
    let Some(Record::Channel(chanstate::Record::PackageUpdate(update))) = &found[0] else {
        panic!("{found:?}")
    };
    assert!(update.acked);
    assert!(block_on(store.backend.read(&[ack(1).key()])).is_err());
}

#[test]
fn an_operator_s_role_reads_the_views_and_nothing_else() {
    let mut store = Store::new();
    store.put(every_kind());
    let (schema, mut shell) = (store.schema.clone(), store.shell());
    let document = include_str!("../../POSTGRESQL.md");
    let (_, sql) = document.split_once("```sql").unwrap();
    let (sql, _) = sql.split_once("```").unwrap();
    let role = format!("reader_{schema}");
    shell.run(&sql.replace("chanstore", &schema).replace("node_reader", &role));
    let views =
        shell.rows("select viewname::text from pg_views where schemaname = current_schema()");
    assert_eq!(views.len(), 7);
    shell.run(&format!("set role {role}"));
    for view in views {
        let view: String = view.get(0);
        shell.run(&format!("select * from {view}"));
    }
    assert!(shell.number("select count(*) from channels") > 0);
    let scid: String =
        shell.rows("select short_channel_id from forwarding_packages order by 1")[0].get(0);
    assert!(scid.split('x').all(|part| part.parse::<u32>().is_ok()), "{scid}");
    for table in ["channel_terms", "secret", "meta"] {
        assert!(shell.try_run(&format!("select * from {schema}.{table}")).is_err());
    }
    assert!(shell.try_run(&format!("delete from {schema}.peers")).is_err());
    shell.run(&format!("reset role; drop owned by {role}; drop role {role}"));
}
