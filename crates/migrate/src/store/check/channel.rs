//! The records of one channel against each other.

use std::collections::HashSet;

use channelcoord::{BackendError, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{ChannelRecord, CommitmentRecord, ListKind};
use chanstate::{
    ChannelNo, ChannelState, ChannelStatus, Direction, HtlcKey, Record, Side, StateFault,
};

use super::scan::one;
use super::{Checker, Known, Scope, StoreJobError};
use crate::finding::chain;
use crate::lnd::codec::keys::{self, bucket as top};
use crate::lnd::path;
use crate::records::Records;

const LISTS: [ListKind; 2] = [ListKind::UnsignedAcked, ListKind::RemoteUnsignedLocal];

/// A channel's records.
struct Loaded {
    state: ChannelState,
    commitments: Vec<CommitmentRecord>,
    diff: bool,
    slots: Vec<u8>,
    marks: usize,
    /// Number of records beside the row.
    records: usize,
    /// Every record could be read.
    whole: bool,
}

impl Checker<'_, '_> {
    pub(super) fn each_channel(&mut self) -> Result<(), StoreJobError> {
        for (no, known) in std::mem::take(&mut self.channels) {
            let row = one(self.backend, RecordKey::single(Kind::Channel, no))?;
            let Some(AnyRecord::Channel(Record::Channel(row))) = row else { continue };
            self.channel(row, &known)?;
        }
        Ok(())
    }

    fn channel(&mut self, row: ChannelRecord, known: &Known) -> Result<(), StoreJobError> {
        let place = format!("channel {}", row.funding_outpoint);
        let no = row.no;
        let loaded = self.load(row)?;
        if !loaded.whole {
            // The scan reported what is damaged.
            return Ok(());
        }
        self.missing(&place, &loaded);
        // What is left of a channel that is being cleared is nobody's business.
        if !known.reclaimed {
            self.extra(&place, &loaded, no);
        }
        self.contradictions(&place, &loaded.state, known);
        if self.scope == Scope::Import && known.closed {
            self.closed_import(&place, &loaded)?;
        }
        Ok(())
    }

    fn load(&self, row: ChannelRecord) -> Result<Loaded, StoreJobError> {
        let no = row.no;
        let mut loaded = Loaded {
            state: ChannelState::new(row),
            commitments: Vec::new(),
            diff: false,
            slots: Vec::new(),
            marks: 0,
            records: 0,
            whole: true,
        };
        for kind in ChannelState::KINDS {
            for record in Records::new(self.backend, KeyRange::under(kind, [no.0])) {
                let record = match record {
                    Ok(AnyRecord::Channel(record)) => record,
                    Ok(_) => continue,
                    Err(BackendError::Corrupt { .. }) => {
                        loaded.whole = false;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                };
                loaded.state.put(&record);
                loaded.records += 1;
                match record {
                    Record::Commitment(commitment) => loaded.commitments.push(commitment),
                    Record::Diff(_) => loaded.diff = true,
                    Record::Secret(secret) => loaded.slots.push(secret.slot),
                    Record::Mark(_) => loaded.marks += 1,
                    _ => {}
                }
            }
        }
        Ok(loaded)
    }

    /// Reports records that others refer to and that are not there.
    fn missing(&mut self, place: &str, loaded: &Loaded) {
        let state = &loaded.state;
        let row = state.row();
        if state.terms().is_none() && (!row.closed || loaded.records > 0) {
            self.damage(place, "its terms are missing");
        }
        let mut faults = Vec::new();
        for side in [Side::Local, Side::Remote] {
            faults.extend(state.in_force(side).err());
        }
        // A closed channel's pending commitment is not kept.
        if !row.closed || loaded.diff {
            match state.pending() {
                Ok(_) => {}
                // Another store may have held it so, and its view shows it.
                Err(fault @ StateFault::Pending) if loaded.diff => self.contradiction(place, fault),
                Err(fault) => faults.push(fault),
            }
        }
        for commitment in &loaded.commitments {
            faults.extend(state.commitment(commitment).err());
        }
        if let Ok(Some((_, diff))) = state.pending() {
            faults.extend(state.updates(&diff.updates, Direction::Outgoing).err());
        }
        for list in LISTS {
            let updates = state.list(list).unwrap_or_default();
            faults.extend(state.updates(updates, list.direction()).err());
        }
        faults.extend(state.secrets().err());
        for fault in faults {
            self.damage(place, chain(&fault));
        }
        if loaded.slots.iter().zip(0u8..).any(|(slot, due)| *slot != due) {
            self.damage(place, "the buckets of the peer's secrets have a gap");
        }
        for id in self.adds.get(&row.no).cloned().unwrap_or_default() {
            let key = HtlcKey { direction: Direction::Incoming, id };
            if state.htlc(key).is_none() {
                let key = RecordKey::htlc(row.no, key);
                self.damage(key, "is missing, a forwarding package refers to it");
            }
        }
    }

    /// Reports records that nothing refers to.
    fn extra(&mut self, place: &str, loaded: &Loaded, no: ChannelNo) {
        let state = &loaded.state;
        let row = state.row();
        if loaded.diff && !row.has_pending {
            self.inconsistency(place, "there is a diff, but no pending commitment");
        }
        let mut next = loaded.diff.then_some(());
        for commitment in &loaded.commitments {
            let in_force = match commitment.side {
                Side::Local => row.local_height,
                Side::Remote => row.remote_height,
            };
            let mut is_next = || commitment.side == Side::Remote && next.take().is_some();
            if in_force != Some(commitment.height) && !is_next() {
                let key = RecordKey::commitment(no, commitment.side, commitment.height);
                self.inconsistency(key, "is neither in force nor pending");
            }
        }
        let of_packages: HashSet<_> = self.adds.get(&no).into_iter().flatten().copied().collect();
        let is_added =
            |key: &HtlcKey| key.direction == Direction::Incoming && of_packages.contains(&key.id);
        let unused: Vec<_> = state
            .htlcs()
            .map(|htlc| htlc.key())
            .filter(|key| state.references(*key) == 0 && !is_added(key))
            .collect();
        for key in unused {
            self.inconsistency(RecordKey::htlc(no, key), "nothing refers to it");
        }
    }

    fn contradictions(&mut self, place: &str, state: &ChannelState, known: &Known) {
        match (known.closed, known.has_close) {
            (false, true) => self.contradiction(place, "is open, but there is a summary"),
            (true, false) => self.contradiction(place, "is closed, but there is no summary"),
            _ => {}
        }
        if let Ok(secrets) = state.secrets()
            && let Err(fault) = secrets.verify()
        {
            let what = format!("the peer's secrets: {}; breach remedy in danger", chain(&fault));
            self.contradiction(place, what);
        }
    }

    /// Reports what an import does not write of a closed channel that has no copy among the open
    /// ones, and that the view does not show.
    fn closed_import(&mut self, place: &str, loaded: &Loaded) -> Result<(), StoreJobError> {
        let state = &loaded.state;
        let row = state.row();
        let path = [
            top::OPEN_CHANNELS.to_vec(),
            row.peer.serialize().to_vec(),
            row.chain.as_bytes().to_vec(),
            keys::encode_outpoint(&row.funding_outpoint).to_vec(),
        ];
        let open_copy = RecordKey::of_bytes(Kind::Lnd, path::to_sort_key(&path));
        if one(self.backend, open_copy)?.is_some() {
            return Ok(());
        }
        let lists = LISTS.iter().any(|list| state.list(*list).is_some());
        if loaded.diff || loaded.marks > 0 || lists || row.last_was_revoke.is_some() {
            self.inconsistency(place, "has more than the archived records of a closed channel");
        }
        for kind in [Kind::RevokedState, Kind::RevokedCommitment] {
            if Records::new(self.backend, KeyRange::under(kind, [row.no.0])).next().is_some() {
                self.inconsistency(place, format!("is closed, but has records {kind:?}"));
            }
        }
        let close = one(self.backend, RecordKey::single(Kind::Close, row.no))?;
        if let Some(AnyRecord::Channel(Record::Close(close))) = close
            && close.status_before != ChannelStatus::empty()
        {
            self.inconsistency(place, "has a status before the close, which lnd does not keep");
        }
        Ok(())
    }
}
