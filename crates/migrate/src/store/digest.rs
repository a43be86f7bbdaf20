//! Digests of a store: one of each channel and one of everything. `docs/digest.md` defines them, so
//! that others can compute them too.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bitcoin::OutPoint;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use channelcoord::Record as AnyRecord;
use chanstate::codec::Codec;
use chanstate::record::PackageRecord;
use chanstate::{ChannelNo, Record};
use linknode::LinkNodeRecord;

use super::directory::{Directory, Owner};
use super::is_content;

/// First bytes of what is hashed, by what it is. They change with the definition.
const CHANNEL: &[u8] = b"chanstore channel 1";
const REST: &[u8] = b"chanstore rest 1";
const STORE: &[u8] = b"chanstore store 1";

/// Added to the kind of a record whose channel is not there.
const ORPHANED: u8 = 0x80;

/// Digests of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDigest {
    /// Of the whole store.
    pub store: sha256::Hash,
    /// Of what belongs to no channel.
    pub rest: sha256::Hash,
    /// Of each channel with everything that belongs to it, by funding outpoint.
    pub channels: Vec<(OutPoint, sha256::Hash)>,
}

/// Computes the digests of a store from its records.
pub struct Digester {
    directory: Directory,
    channels: HashMap<ChannelNo, sha256::HashEngine>,
    rest: sha256::HashEngine,
    body: Vec<u8>,
}

impl Default for Digester {
    fn default() -> Digester {
        Digester {
            directory: Directory::default(),
            channels: HashMap::new(),
            rest: begin(REST),
            body: Vec::new(),
        }
    }
}

impl Digester {
    /// Takes the next record. Every record of a store comes once, in the order of their keys.
    pub fn add(&mut self, record: &AnyRecord) {
        if !is_content(record) {
            return;
        }
        if let AnyRecord::Channel(Record::Channel(row)) = record {
            self.directory.add(row);
            self.channels.entry(row.no).or_insert_with(|| begin(CHANNEL));
        }
        let mut tag = record.as_ref().kind() as u8;
        self.body.clear();
        let engine = match Owner::of(record) {
            Owner::Store => &mut self.rest,
            Owner::Source(scid) => {
                let engine = self.directory.under(scid).and_then(|no| self.channels.get_mut(&no));
                engine.unwrap_or(&mut self.rest)
            }
            Owner::Channel(no) => match self.channels.entry(no) {
                Entry::Occupied(engine) => engine.into_mut(),
                // Damage. Nothing but the number tells such records apart.
                Entry::Vacant(_) => {
                    tag |= ORPHANED;
                    self.body.extend_from_slice(&no.0.to_be_bytes());
                    &mut self.rest
                }
            },
        };
        encode(record, &self.directory, &mut self.body);
        engine.input(&[tag]);
        engine.input(&(self.body.len() as u64).to_be_bytes());
        engine.input(&self.body);
    }

    /// The digests of the records so far.
    pub fn finish(self) -> StoreDigest {
        self.finish_with_directory().0
    }

    pub(super) fn finish_with_directory(self) -> (StoreDigest, Directory) {
        let rest = sha256::Hash::from_engine(self.rest);
        let mut channels = Vec::with_capacity(self.channels.len());
        for (no, engine) in self.channels {
            if let Some(point) = self.directory.point(no) {
                channels.push((point, sha256::Hash::from_engine(engine)));
            }
        }
        channels.sort_unstable_by_key(|(point, digest)| (point_bytes(point), *digest));
        let mut store = begin(STORE);
        store.input(&(channels.len() as u64).to_be_bytes());
        for (point, digest) in &channels {
            store.input(&point_bytes(point));
            store.input(digest.as_byte_array());
        }
        store.input(rest.as_byte_array());
        let store = sha256::Hash::from_engine(store);
        (StoreDigest { store, rest, channels }, self.directory)
    }
}

fn begin(what: &[u8]) -> sha256::HashEngine {
    let mut engine = sha256::Hash::engine();
    engine.input(what);
    engine
}

fn point_bytes(point: &OutPoint) -> [u8; 36] {
    let mut bytes = [0; 36];
    let (txid, vout) = bytes.split_at_mut(32);
    txid.copy_from_slice(&point.txid.to_byte_array());
    vout.copy_from_slice(&point.vout.to_be_bytes());
    bytes
}

/// Appends a record without what only its own store knows: numbers of channels and versions.
fn encode(record: &AnyRecord, directory: &Directory, out: &mut Vec<u8>) {
    let start = out.len();
    match record {
        AnyRecord::Channel(Record::Package(package)) => {
            let PackageRecord { source, height, no, forward_filter } = package;
            source.encode_to(out);
            height.encode_to(out);
            match no.map(|no| directory.point(no)) {
                None => out.push(0),
                Some(Some(point)) => {
                    out.push(1);
                    out.extend_from_slice(&point_bytes(&point));
                }
                Some(None) => out.push(2),
            }
            forward_filter.encode_to(out);
        }
        AnyRecord::Channel(record @ Record::Channel(_)) => {
            record.encode_to(out);
            // Its number, then its version.
            remove_integers(out, start, 2);
        }
        AnyRecord::Channel(channel_record) => {
            channel_record.encode_to(out);
            if let Owner::Channel(_) = Owner::of(record) {
                remove_integers(out, start, 1);
            }
        }
        AnyRecord::LinkNode(linknode::Record::LinkNode(node)) => {
            let LinkNodeRecord { node_id, version: _, network, last_seen } = node;
            node_id.encode_to(out);
            network.encode_to(out);
            last_seen.encode_to(out);
        }
        AnyRecord::LinkNode(record) => record.encode_to(out),
        AnyRecord::Meta(record) => record.encode_to(out),
        AnyRecord::Lnd(record) => record.encode_to(out),
    }
}

/// Removes the integers that the record at `start` begins with. The last byte of each is below 128.
fn remove_integers(out: &mut Vec<u8>, start: usize, count: usize) {
    let ends = out.iter().enumerate().skip(start).filter(|(_, byte)| **byte < 0x80);
    let end = ends.map(|(at, _)| at + 1).nth(count - 1);
    out.drain(start..end.unwrap_or(start));
}
