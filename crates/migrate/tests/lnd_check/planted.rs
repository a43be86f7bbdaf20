//! Rows that an import does not write, planted in an imported store.

use channelcoord::{Backend, ChangeSet, MemoryBackend, MetaRecord, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind};
use chanstate::record::{HtlcRecord, MarkRecord, PackageUpdateRecord, ReclaimRecord};
use chanstate::{ChannelChange, ChannelNo, Mark, Record, Side};
use linknode::{Address, LinkAddressRecord};
use migrate::finding::Severity;
use migrate::lnd::diff::{self, DiffError};
use migrate::lnd::import;
use migrate::progress::Progress;
use migrate::store;
use migrate::writer::Writer;
use sqlstore::SqliteBackend;

use crate::support::{Case, fixture};

/// Findings in an imported store in which `plant` changed records.
fn planted(plant: impl FnOnce(&dyn Backend) -> Vec<AnyRecord>) -> Vec<(Severity, String)> {
    let directory = tempfile::tempdir().unwrap();
    planted_in(&SqliteBackend::create(directory.path().join("store.sqlite")).unwrap(), plant)
}

fn planted_in(
    backend: &dyn Backend,
    plant: impl FnOnce(&dyn Backend) -> Vec<AnyRecord>,
) -> Vec<(Severity, String)> {
    let case = Case::open(&fixture("node.db"));
    case.import_into(backend).unwrap();
    let records = plant(backend);
    let mut writer = Writer::claim(backend).unwrap();
    records.into_iter().for_each(|record| writer.put(record).unwrap());
    writer.flush().unwrap();
    drop(writer);
    let mut found = Vec::new();
    let count = store::unseen(backend, &Progress::silent(), &mut |finding| {
        found.push((finding.severity, format!("{}: {}", finding.place, finding.what)));
    });
    assert_eq!(count.unwrap(), found.len() as u64);
    found
}

#[track_caller]
fn assert_found(found: &[(Severity, String)], severity: Severity, what: &str) {
    assert!(found.iter().any(|(s, text)| *s == severity && text.contains(what)), "{found:#?}");
}

fn records(backend: &dyn Backend, kind: Kind) -> Vec<Record> {
    let records = pollster::block_on(backend.scan(&KeyRange::all(kind), usize::MAX)).unwrap();
    let of_channel = records.into_iter().map(|record| match record {
        AnyRecord::Channel(record) => record,
        other => panic!("{other:?}"),
    });
    of_channel.collect()
}

#[test]
fn nothing_planted_is_nothing_found() {
    assert_eq!(planted(|_| Vec::new()), []);
}

#[test]
fn a_commitment_that_is_not_in_force() {
    for side in [Side::Local, Side::Remote] {
        let found = planted(|backend| {
            let mut all = records(backend, Kind::Commitment).into_iter();
            let found = all.find_map(|record| match record {
                Record::Commitment(commitment) if commitment.side == side => Some(commitment),
                _ => None,
            });
            let mut commitment = found.unwrap();
            commitment.height.0 += 1000;
            vec![AnyRecord::Channel(Record::Commitment(commitment))]
        });
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_found(&found, Severity::Inconsistency, "neither in force nor pending");
    }
}

#[test]
fn an_htlc_that_nothing_refers_to() {
    let found = planted(|backend| {
        let Some(Record::Htlc(htlc)) = records(backend, Kind::Htlc).into_iter().next() else {
            panic!("no HTLC")
        };
        let planted = HtlcRecord { id: 1_000_000.into(), ..htlc };
        vec![AnyRecord::Channel(Record::Htlc(planted))]
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_found(&found, Severity::Inconsistency, "nothing refers to it");
}

#[test]
fn an_address_behind_a_gap() {
    let found = planted(|backend| {
        let all = pollster::block_on(backend.scan(&KeyRange::all(Kind::LinkNode), 1)).unwrap();
        let Some(AnyRecord::LinkNode(linknode::Record::LinkNode(node))) = all.first() else {
            panic!("no link node")
        };
        let planted = LinkAddressRecord {
            node_id: node.node_id,
            position: 70,
            address: Address::Ipv4 { ip: [127, 0, 0, 1].into(), port: 9735 },
        };
        vec![AnyRecord::LinkNode(linknode::Record::LinkAddress(planted))]
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_found(&found, Severity::Damage, "follows where position");
}

#[test]
fn values_and_jobs_that_no_import_writes() {
    let meta = |name: &str, value: &'static [u8]| {
        let name = name.into();
        AnyRecord::Meta(MetaRecord { name, value: bytes::Bytes::from_static(value) })
    };
    let found = planted(|_| {
        let reclaim = ReclaimRecord { no: ChannelNo(1) };
        vec![
            meta("origin", b"elsewhere"),
            meta("other", b"lnd"),
            AnyRecord::Channel(Record::Reclaim(reclaim)),
        ]
    });
    assert_eq!(found.len(), 3, "{found:#?}");
    for place in ["Meta/origin", "Meta/other", "Reclaim/1"] {
        assert_found(&found, Severity::Inconsistency, place);
    }
}

#[test]
fn an_update_of_a_package_that_refers_to_no_htlc() {
    let found = planted(|backend| {
        let mut all = records(backend, Kind::PackageUpdate).into_iter();
        let found = all.find_map(|record| match record {
            Record::PackageUpdate(update) => match update.update.body {
                chanstate::record::UpdateBody::Add(_) => Some(update),
                chanstate::record::UpdateBody::Message(_) => None,
            },
            _ => None,
        });
        let mut update: PackageUpdateRecord = found.unwrap();
        update.update.body = chanstate::record::UpdateBody::Add(1_000_000.into());
        vec![AnyRecord::Channel(Record::PackageUpdate(update))]
    });
    assert_found(&found, Severity::Damage, "a forwarding package refers to it");
}

#[test]
fn a_mark_of_an_archived_channel() {
    let found = planted(|backend| {
        let mut rows = records(backend, Kind::Channel).into_iter();
        let row = rows.find_map(|record| match record {
            Record::Channel(row) if row.closed => Some(row),
            _ => None,
        });
        let row = row.unwrap();
        let mark = Mark::DataLossPoint(row.peer);
        vec![AnyRecord::Channel(Record::Mark(MarkRecord { no: row.no, mark }))]
    });
    assert_found(&found, Severity::Inconsistency, "more than the archived records");
}

#[test]
fn a_secret_in_another_bucket() {
    let found = planted(|backend| {
        let Some(Record::Secret(mut secret)) = records(backend, Kind::Secret).into_iter().next()
        else {
            panic!("no secret")
        };
        secret.slot = 40;
        vec![AnyRecord::Channel(Record::Secret(secret))]
    });
    assert_found(&found, Severity::Damage, "a gap");
}

#[test]
fn records_of_no_channel() {
    // SQLite would not take them.
    let found = planted_in(&MemoryBackend::new(), |backend| {
        let stray = records(backend, Kind::Htlc).into_iter().take(2).map(|record| match record {
            Record::Htlc(htlc) => Record::Htlc(HtlcRecord { no: ChannelNo(9999), ..htlc }),
            other => other,
        });
        stray.map(AnyRecord::Channel).collect()
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_found(&found, Severity::Damage, "Htlc/9999");
}

/// Imports, changes records, and says what the residue would have to hide.
fn lost(change: impl Fn(&mut Record) -> bool, kind: Kind) -> String {
    let Case { source, checked, .. } = Case::open(&fixture("node.db"));
    let (backend, progress) = (MemoryBackend::new(), Progress::silent());
    let mut writer = Writer::claim(&backend).unwrap();
    import::import(&source, &checked.refused, &mut writer, &progress).unwrap();
    let mut all = records(&backend, kind).into_iter();
    let changed = all.find_map(|mut record| change(&mut record).then_some(record)).unwrap();
    let mut set = ChangeSet::default();
    match changed {
        Record::Channel(row) => set.channels.push(ChannelChange::new(row)),
        other => set.puts.push(AnyRecord::Channel(other)),
    }
    writer.add(set).unwrap();
    writer.flush().unwrap();
    let refused = &checked.refused;
    match diff::store_residue(&source, refused, &backend, &mut writer, &progress) {
        Err(DiffError::Lost(difference)) => difference.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_residue_hides_what_was_not_taken_over() {
    let acked = lost(
        |record| {
            let Record::PackageUpdate(update) = record else { return false };
            update.acked = !update.acked;
            true
        },
        Kind::PackageUpdate,
    );
    assert!(acked.contains("-filter-key"), "{acked}");
    // Only the archived copy of a closed channel shows these.
    let balance = lost(
        |record| {
            let Record::Channel(row) = record else { return false };
            row.total_sent.0 += 1;
            row.closed
        },
        Kind::Channel,
    );
    assert!(balance.contains("historical-chan-bucket/"), "{balance}");
    let closed = lost(
        |record| {
            let Record::Channel(row) = record else { return false };
            row.closed = !row.closed;
            row.closed
        },
        Kind::Channel,
    );
    assert!(closed.contains("only in the"), "{closed}");
}
