//! Content to plant faults in: small, with every kind and every optional field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use channelcoord::{Backend, LndRecord, MemoryBackend, MetaRecord, Record};
use chanstate::codec::Codec;
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{PackageRecord, UpdateBody};
use chanstate::{
    ChannelNo, FinalHtlc, FinalHtlcRecord, HtlcId, MilliSatoshi, PackageList, Record as Part,
    ShortChannelId,
};
use migrate::lnd::source::LndSource;
use migrate::lnd::{check, diff, import};
use migrate::progress::Progress;
use migrate::records::Records;
use migrate::writer::Writer;

use crate::bolt_writer::{Node, Tree};
use crate::command::fixture;
use crate::{extremes, records};

/// Every record of a store, in order.
pub(crate) fn all(backend: &dyn Backend) -> Vec<Record> {
    let records = Kind::ALL.map(|kind| Records::new(backend, KeyRange::all(kind)));
    records.into_iter().flatten().map(|record| record.unwrap()).collect()
}

/// Writes records into an empty store, versions as they are.
pub(crate) fn fill(backend: &dyn Backend, records: &[Record]) {
    let mut writer = Writer::claim(backend).unwrap();
    records.iter().for_each(|record| writer.put(record.clone()).unwrap());
    writer.flush().unwrap();
}

pub(crate) fn in_memory(records: &[Record]) -> MemoryBackend {
    let backend = MemoryBackend::new();
    fill(&backend, records);
    backend
}

/// Takes an lnd database over.
pub(crate) fn imported(path: &Path) -> Vec<Record> {
    let (source, silent) = (LndSource::open(path, false).unwrap(), Progress::silent());
    let refused = check::check(&source, &silent, &mut |_| {}).unwrap().refused;
    let backend = MemoryBackend::new();
    let mut writer = Writer::claim(&backend).unwrap();
    import::import(&source, &refused, &mut writer, &silent).unwrap();
    diff::store_residue(&source, &refused, &backend, &mut writer, &silent).unwrap();
    all(&backend)
}

/// A database of lnd with the logs and outcomes cut short.
pub(crate) fn pruned(name: &str, directory: &Path) -> PathBuf {
    let mut tree = Tree::read(&fixture(name));
    shorten(&mut tree);
    let path = directory.join(name);
    std::fs::write(&path, tree.to_file()).unwrap();
    path
}

fn shorten(tree: &mut Tree) {
    for (name, node) in &mut tree.nodes {
        let Node::Bucket(bucket) = node else { continue };
        let is_log = name.starts_with(b"revocation-log") || name == b"final-htlcs";
        if is_log {
            let excess: Vec<_> = bucket.nodes.keys().skip(2).cloned().collect();
            excess.iter().for_each(|key| drop(bucket.nodes.remove(key)));
        }
        shorten(bucket);
    }
}

/// Records of a kind that are taken from one database.
const MOST: usize = 6;

/// Records of every kind: ordinary and extreme ones, and some that lnd wrote.
pub(crate) fn content() -> Vec<Record> {
    let mut content = BTreeMap::new();
    let mut count = [0; Kind::ALL.len() + 1];
    let directory = tempfile::tempdir().unwrap();
    for (name, shift) in [("node.db", 1000), ("legacy.db", 2000)] {
        for record in imported(&pruned(name, directory.path())) {
            let record = renumbered(&record, |no| no + shift);
            let is_kept = owner(&record).is_none_or(|owner| content.contains_key(&owner));
            let of_kind = &mut count[record.as_ref().kind() as usize];
            if is_kept && *of_kind < MOST {
                *of_kind += 1;
                content.insert(record.key(), record);
            }
        }
        count = [0; _];
    }
    for record in extremes::every_kind().into_iter().chain(more()) {
        content.insert(record.key(), record);
    }
    content.into_values().collect()
}

/// The record that another one belongs to.
fn owner(record: &Record) -> Option<RecordKey> {
    let key = record.key();
    Some(match (record, key.kind) {
        (Record::Channel(Part::Package(package)), _) => {
            RecordKey::single(Kind::Channel, package.no?)
        }
        (Record::Channel(Part::PackageUpdate(update)), _) => {
            RecordKey::package(update.source, update.height)
        }
        (_, Kind::LinkAddress) => {
            RecordKey { kind: Kind::LinkNode, parts: key.parts[..1].to_vec() }
        }
        (_, Kind::Channel) => return None,
        _ => RecordKey::single(Kind::Channel, ChannelNo(number(record)?)),
    })
}

/// What makes every list long enough to have an order, and every optional field once present and
/// once absent.
fn more() -> Vec<Record> {
    let scid = ShortChannelId(800_000 << 40 | 1 << 16);
    let mut channel = records::channel(3);
    channel.scid = ShortChannelId(1 << 63 | 5);
    channel.confirmed_scid = Some(scid);
    channel.close_confirmation_height = Some(0);
    let mut terms = records::terms(3);
    Arc::make_mut(&mut terms.terms).initial_remote_balance = None;
    let mut restored = records::channel(4);
    restored.scid = ShortChannelId(0);
    restored.local_height = None;
    restored.remote_height = None;
    let mut commitment = records::commitment(3, chanstate::Side::Remote, 6);
    let mut slot = commitment.slots[0].clone();
    slot.key.id = HtlcId(2);
    slot.own_terms = None;
    commitment.slots.push(slot);
    let mut revoked = records::revoked_state(3, 1);
    revoked.state.our_output_index = None;
    revoked.state.their_output_index = Some(1);
    revoked.state.our_balance = None;
    revoked.state.their_balance = Some(MilliSatoshi(0));
    revoked.state.custom_blob = None;
    let mut other = revoked.state.htlcs[0].clone();
    other.id = None;
    other.custom_records = None;
    revoked.state.htlcs.push(other);
    let mut close = records::close(3);
    if let Some(resume) = &mut close.summary.resume {
        resume.remote_next_point = Some(records::point(5));
        resume.reestablish = None;
    }
    let package = PackageRecord { no: Some(ChannelNo(3)), ..records::package(scid.0, 1, None) };
    let mut updates = Vec::new();
    for index in 0..3 {
        let mut update = records::package_update(scid.0, 1, PackageList::Adds, index);
        update.update.body = UpdateBody::Add(HtlcId(index.into()));
        update.acked = index == 1;
        updates.push(Record::Channel(Part::PackageUpdate(update)));
    }
    let outcome = FinalHtlc { settled: true, offchain: true };
    let outcome = FinalHtlcRecord { scid, id: HtlcId(7), outcome };
    let parts = [
        Part::Channel(channel),
        Part::Channel(restored),
        Part::Terms(terms),
        Part::Commitment(commitment),
        Part::RevokedState(revoked),
        Part::Close(close),
        Part::Package(package),
        Part::FinalHtlc(outcome),
    ];
    let own = [
        Record::Meta(MetaRecord { name: "origin".into(), value: Bytes::from_static(b"lnd") }),
        Record::Lnd(LndRecord { path: vec![1; 9].into(), residue: vec![2; 9].into() }),
    ];
    parts.into_iter().map(Record::Channel).chain(updates).chain(own).collect()
}

/// The number that a record is kept under.
pub(crate) fn number(record: &Record) -> Option<u64> {
    let kind = record.as_ref().kind();
    let by_source = matches!(kind, Kind::Package | Kind::PackageUpdate | Kind::FinalHtlc);
    match record.key().parts.first() {
        Some(chanstate::key::KeyPart::Int(no)) if !by_source => Some(*no),
        _ => None,
    }
}

/// A record whose channel has another number.
pub(crate) fn renumbered(record: &Record, change: impl Fn(u64) -> u64) -> Record {
    if let Record::Channel(Part::Package(package)) = record {
        let mut package = package.clone();
        package.no = package.no.map(|no| ChannelNo(change(no.0)));
        return Record::Channel(Part::Package(package));
    }
    let Some(no) = number(record) else { return record.clone() };
    let encoded = record.as_ref().encode();
    // A version byte, then the number.
    let rest = 1 + ChannelNo(no).to_bytes().len();
    let encoded = [&encoded[..1], &ChannelNo(change(no)).to_bytes(), &encoded[rest..]].concat();
    Record::decode(record.as_ref().kind(), encoded.into()).unwrap()
}
