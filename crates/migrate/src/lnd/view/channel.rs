//! One channel in the view.

use std::collections::BTreeMap;

use channelcoord::{Backend, Record as AnyRecord};
use chanstate::key::KeyRange;
use chanstate::record::{ChannelRecord, CommitmentRecord, DiffRecord, ListKind};
use chanstate::{ChannelState, ChannelStatus, Direction, Mark, PendingCommitment, Record, Side};

use super::{ViewError, each};
use crate::lnd::codec::chan_info::ChanInfo;
use crate::lnd::codec::keys::channel as key;
use crate::lnd::codec::revocation::RevocationKeys;
use crate::lnd::codec::{commitment, small, update};

/// Values of a channel bucket by key.
pub(super) type Values = BTreeMap<&'static [u8], Vec<u8>>;

/// Everything of one channel that its bucket shows, but its logs.
pub(super) struct ChannelRecords {
    pub(super) state: ChannelState,
    /// The peer's commitment that is not the current one.
    next: Option<CommitmentRecord>,
    diff: Option<DiffRecord>,
    marks: Vec<Mark>,
}

impl ChannelRecords {
    pub(super) fn load(
        backend: &dyn Backend,
        row: &ChannelRecord,
    ) -> Result<ChannelRecords, ViewError> {
        let mut records = ChannelRecords {
            state: ChannelState::new(row.clone()),
            next: None,
            diff: None,
            marks: Vec::new(),
        };
        for kind in ChannelState::KINDS {
            each(backend, KeyRange::under(kind, [row.no.0]), |record| {
                let AnyRecord::Channel(record) = record else { return Ok(()) };
                records.state.put(&record);
                match record {
                    Record::Commitment(commitment)
                        if commitment.side == Side::Remote
                            && Some(commitment.height) != row.remote_height =>
                    {
                        records.next = Some(commitment);
                    }
                    Record::Diff(diff) => records.diff = Some(diff),
                    Record::Mark(mark) => records.marks.push(mark.mark),
                    _ => {}
                }
                Ok::<_, ViewError>(())
            })?;
        }
        Ok(records)
    }

    /// What lnd archives of a closed channel.
    pub(super) fn archived(&self, status: ChannelStatus) -> Result<Values, ViewError> {
        let state = &self.state;
        let mut values = Values::new();
        let Some(terms) = state.terms() else { return Ok(values) };
        let row = ChannelRecord { status, ..state.row().clone() };
        values.insert(key::INFO, ChanInfo::from_parts(&row, terms).encode()?);
        for (name, record) in
            [(key::LOCAL_COMMITMENT, state.local()), (key::REMOTE_COMMITMENT, state.remote())]
        {
            if let Some(record) = record {
                values.insert(name, commitment::encode(&state.commitment(record)?)?);
            }
        }
        let revocation = RevocationKeys {
            current_point: row.remote_current_point,
            root: terms.revocation_root,
            secrets: state.secrets()?,
            next_point: row.remote_next_point,
        };
        values.insert(key::REVOCATION_STATE, revocation.encode());
        if let Some(height) = terms.thaw_height {
            values.insert(key::THAW_HEIGHT, small::encode_thaw_height(height));
        }
        if let Some(script) = &terms.local_upfront_shutdown {
            values.insert(key::LOCAL_UPFRONT_SHUTDOWN, small::encode_upfront_shutdown(script)?);
        }
        if let Some(script) = &terms.remote_upfront_shutdown {
            values.insert(key::REMOTE_UPFRONT_SHUTDOWN, small::encode_upfront_shutdown(script)?);
        }
        Ok(values)
    }

    /// What lnd keeps of a channel among the open ones.
    pub(super) fn live(&self, status: ChannelStatus) -> Result<Values, ViewError> {
        let state = &self.state;
        let mut values = self.archived(status)?;
        if let (Some(next), Some(diff)) = (&self.next, &self.diff) {
            let pending = PendingCommitment {
                commitment: state.commitment(next)?,
                commit_sig: diff.commit_sig.clone(),
                updates: state.updates(&diff.updates, Direction::Outgoing)?,
                opened_circuits: diff.opened_circuits.clone(),
                closed_circuits: diff.closed_circuits.clone(),
            };
            values.insert(key::COMMIT_DIFF, commitment::encode_diff(&pending)?);
        }
        let lists = [
            (key::UNSIGNED_ACKED_UPDATES, ListKind::UnsignedAcked),
            (key::REMOTE_UNSIGNED_LOCAL_UPDATES, ListKind::RemoteUnsignedLocal),
        ];
        for (name, list) in lists {
            if let Some(updates) = state.list(list) {
                let updates = state.updates(updates, list.direction())?;
                values.insert(name, update::encode_list(&updates)?);
            }
        }
        if let Some(flag) = state.row().last_was_revoke {
            values.insert(key::LAST_WAS_REVOKE, small::encode_last_was_revoke(flag));
        }
        for mark in &self.marks {
            match mark {
                Mark::Shutdown(info) => {
                    values.insert(key::SHUTDOWN_INFO, small::encode_shutdown_info(info));
                }
                Mark::DataLossPoint(point) => {
                    values.insert(key::DATA_LOSS_POINT, small::encode_public_key(point));
                }
                Mark::BroadcastCommitment(tx) => {
                    values.insert(key::CLOSING_TX, small::encode_transaction(tx));
                }
                Mark::BroadcastCooperative(tx) => {
                    values.insert(key::COOP_CLOSING_TX, small::encode_transaction(tx));
                }
            }
        }
        Ok(values)
    }
}
