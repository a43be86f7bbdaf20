//! Records that name the same thing twice.

use std::collections::{BTreeSet, HashMap};

use bitcoin::OutPoint;
use channelcoord::RecordRef;
use chanstate::key::{Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{ChannelId, Record, ShortChannelId};

/// Kinds of which a store has few enough records to remember all their keys.
const KEYS: [Kind; 6] = [
    Kind::Channel,
    Kind::Package,
    Kind::Close,
    Kind::OpeningState,
    Kind::ForwardingPolicy,
    Kind::LinkNode,
];

/// Notes names while records pass by. Memory grows by those of channels, packages and peers.
#[derive(Default)]
pub(super) struct Duplicates {
    keys: BTreeSet<RecordKey>,
    outpoints: BTreeSet<OutPoint>,
    ids: HashMap<ChannelId, OutPoint>,
    scids: HashMap<ShortChannelId, OutPoint>,
    /// A store cannot hold both.
    pub(super) clashes: Vec<String>,
    /// A store holds both, and what is looked up by the name finds one of them.
    pub(super) shared: Vec<String>,
}

impl Duplicates {
    pub(super) fn add(&mut self, record: RecordRef<'_>) {
        if KEYS.contains(&record.kind()) {
            let key = record.key();
            if !self.keys.insert(key.clone()) {
                self.clashes.push(format!("{key} is there twice"));
            }
        }
        if let RecordRef::Channel(Record::Channel(row)) = record {
            self.channel(row);
        }
    }

    fn channel(&mut self, row: &ChannelRecord) {
        let outpoint = row.funding_outpoint;
        if !self.outpoints.insert(outpoint) {
            self.clashes.push(format!("channel {outpoint} is there twice"));
        }
        let owner = *self.ids.entry(row.channel_id).or_insert(outpoint);
        if owner != outpoint {
            self.clashes.push(format!("channels {owner} and {outpoint} have one channel id"));
        }
        // A closed channel gives its names back.
        let names = [Some(row.scid), row.confirmed_scid];
        for scid in names.into_iter().flatten().filter(|scid| scid.0 != 0 && !row.closed) {
            let owner = *self.scids.entry(scid).or_insert(outpoint);
            if owner != outpoint {
                let name = shown(scid);
                self.shared
                    .push(format!("channels {owner} and {outpoint} have short channel id {name}"));
            }
        }
    }
}

/// Block, transaction and output, as BOLT 7 writes them.
fn shown(ShortChannelId(scid): ShortChannelId) -> String {
    format!("{}x{}x{}", scid >> 40, scid >> 16 & 0xff_ffff, scid & 0xffff)
}
