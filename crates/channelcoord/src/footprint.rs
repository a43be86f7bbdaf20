//! Which change sets may share a commit: those that touch different records.

use std::collections::HashSet;

use chanstate::key::{KeyPart, Kind, RecordKey};
use chanstate::{CommitmentHeight, Record, ShortChannelId};

use crate::change_set::{ChangeSet, Subject};

/// What a batch touches.
#[derive(Default)]
pub(crate) struct Footprint {
    subjects: HashSet<Subject>,
    blind: HashSet<RecordKey>,
    packages: HashSet<(ShortChannelId, CommitmentHeight)>,
    acked: HashSet<(ShortChannelId, CommitmentHeight)>,
}

impl Footprint {
    /// Adds what `set` touches; false if some of it was touched before.
    pub(crate) fn add(&mut self, set: &ChangeSet) -> bool {
        let mut free = true;
        for (subject, _) in set.guards() {
            free &= self.subjects.insert(subject);
        }
        let blind_puts = set.puts.iter().map(|record| record.key());
        let finals = set.channels.iter().flat_map(|change| change.puts());
        let finals = finals.filter(|r| matches!(r, Record::FinalHtlc(_))).map(Record::key);
        for key in blind_puts.chain(finals).chain(set.removes.iter().cloned()) {
            free &= self.blind.insert(key);
        }
        for change in &set.channels {
            for record in change.puts() {
                if let Record::Package(package) = record {
                    let place = (package.source, package.height);
                    free &= self.packages.insert(place) && !self.acked.contains(&place);
                }
            }
            for key in change.removes() {
                if let (Kind::Package, [source, height]) = (key.kind, key.parts.as_slice())
                    && let (KeyPart::Int(source), KeyPart::Int(height)) = (source, height)
                {
                    let place = (ShortChannelId(*source), CommitmentHeight(*height));
                    free &= self.packages.insert(place) && !self.acked.contains(&place);
                }
            }
        }
        // Acknowledgements of one package may share a batch, of one update they may not.
        for ack in &set.acks {
            let place = (ack.source, ack.height);
            free &= !self.packages.contains(&place) && self.blind.insert(ack.key());
            self.acked.insert(place);
        }
        free
    }
}
