//! Faults made from records: every byte of their binary form, and the order of what they list.

use channelcoord::{Record, RecordRef};
use chanstate::key::{Kind, RecordKey};
use chanstate::{Record as Part, Version};

use crate::base;

/// Bytes of a record that are changed at most.
const BYTES: usize = 60;

/// What is put and removed in place of what is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) removed: Vec<RecordKey>,
    pub(crate) put: Vec<Record>,
}

/// Faults that leave every record readable.
pub(crate) fn all(content: &[Record]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for kind in Kind::ALL {
        let records: Vec<_> =
            content.iter().filter(|record| record.as_ref().kind() == kind).collect();
        assert!(!records.is_empty(), "there is no {kind:?}");
        let size = |record: &&&Record| record.as_ref().encode().len();
        let largest = records.iter().filter(|record| size(record) < 5000).max_by_key(size);
        if let Some(record) = largest {
            of_bytes(record, content, &mut faults);
        }
        let is_owner = matches!(kind, Kind::Channel | Kind::LinkNode);
        for record in [records[0], records[records.len() - 1]] {
            faults.push(Fault {
                name: format!("missing {}", record.key()),
                removed: vec![record.key()],
                put: vec![],
            });
            let far = base::renumbered(record, |no| no ^ 0x5555);
            if far != *record && !is_owner {
                let name = format!("extra {}", far.key());
                faults.push(Fault { name, removed: vec![], put: vec![far] });
            }
        }
        for record in &records {
            for (what, put) in reordered(record) {
                let name = format!("{what} of {}", record.key());
                faults.push(Fault { name, removed: vec![], put: vec![put] });
            }
        }
    }
    faults
}

/// Records whose binary form differs from this one's in a bit, and that are still records.
fn of_bytes(record: &Record, content: &[Record], faults: &mut Vec<Fault>) {
    let (kind, bytes) = (record.as_ref().kind(), record.as_ref().encode());
    let step = bytes.len().div_ceil(BYTES);
    for at in (1..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(put) = Record::decode(kind, changed.into()) else { continue };
        if unversioned(put.clone()) == unversioned(record.clone()) {
            continue;
        }
        let moved = put.key() != record.key();
        if moved && content.iter().any(|other| other.key() == put.key()) {
            continue;
        }
        let removed = if moved { vec![record.key()] } else { vec![] };
        let name = format!("byte {at} of {}", record.key());
        faults.push(Fault { name, removed, put: vec![put] });
    }
}

/// The same record with a list in another order.
fn reordered(record: &Record) -> Vec<(&'static str, Record)> {
    let Record::Channel(part) = record else { return Vec::new() };
    let mut found = Vec::new();
    macro_rules! turned {
        ($variant:ident, $original:expr, $($list:ident).+) => {{
            let mut changed = $original.clone();
            let by = usize::from(!changed.$($list).+.is_empty());
            changed.$($list).+.rotate_left(by);
            if changed != *$original {
                let what = concat!("order of ", stringify!($($list).+));
                found.push((what, Record::Channel(Part::$variant(changed))));
            }
        }};
    }
    match part {
        Part::Commitment(row) => turned!(Commitment, row, slots),
        Part::Diff(row) => {
            turned!(Diff, row, updates);
            turned!(Diff, row, opened_circuits);
            turned!(Diff, row, closed_circuits);
        }
        Part::UpdateList(row) => turned!(UpdateList, row, updates),
        Part::RevokedState(row) => turned!(RevokedState, row, state.htlcs),
        Part::RevokedCommitment(row) => turned!(RevokedCommitment, row, revoked.commitment.htlcs),
        _ => {}
    }
    found
}

pub(crate) fn unversioned(mut record: Record) -> Record {
    match &mut record {
        Record::Channel(Part::Channel(row)) => row.version = Version::ABSENT,
        Record::LinkNode(linknode::Record::LinkNode(row)) => row.version = Version::ABSENT,
        _ => {}
    }
    record
}

impl Fault {
    /// Every record that differs.
    pub(crate) fn names(&self) -> crate::judge::Names {
        let put =
            self.put.iter().map(|record| record.as_ref()).map(|record: RecordRef<'_>| record.key());
        self.removed.iter().cloned().chain(put).map(|key| vec![key.to_string()]).collect()
    }
}
