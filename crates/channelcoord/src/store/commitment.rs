//! The commitment protocol and the revocation log.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use chanstate::facet::{
    CommitmentHeights, CommitmentStore, LatestCommitments, Result, RevocationLogStore,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::ListKind;
use chanstate::transition::{self as rule, AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    CommitmentHeight, HtlcId, LogUpdate, PackageList, PendingCommitment, PreviousState, Record,
    Rejection, RevocationState, Side, StoreError,
};

use super::{Store, of_channel};
use crate::change_set::PackageAck;

#[async_trait]
impl CommitmentStore for Store {
    async fn update_local(
        &self,
        point: OutPoint,
        update: UpdateLocal,
    ) -> Result<BTreeMap<HtlcId, bool>> {
        let options = self.inner.options.transitions;
        self.change(point, |state| {
            let updated = rule::update_local(state, options, &update)?;
            Ok((Some(of_channel(updated.change)), updated.finals))
        })
        .await
    }

    async fn append_remote(&self, point: OutPoint, append: AppendRemote) -> Result<()> {
        self.alive()?;
        let foreign = self.acks_of(&append.ack_settle_fails)?;
        self.change(point, |state| {
            let change = rule::append_remote(state, &append)?;
            // Sent again with acknowledgements, an equal one still brings them.
            let mut set = change.map(of_channel).unwrap_or_default();
            for add in &append.ack_adds {
                let Some(source) = rule::own_ack(state, *add)? else { continue };
                let (height, index) = (add.height, add.index);
                set.acks.push(PackageAck { source, height, list: PackageList::Adds, index });
            }
            set.acks.extend(&foreign);
            set.acks.sort_unstable();
            set.acks.dedup();
            Ok((Some(set).filter(|set| !set.is_empty()), ()))
        })
        .await
    }

    async fn advance_tail(&self, point: OutPoint, advance: AdvanceTail) -> Result<()> {
        let options = self.inner.options.transitions;
        self.change_filing(point, Some(advance.package.source), |state| {
            Ok((Some(of_channel(rule::advance_tail(state, options, &advance)?)), ()))
        })
        .await
    }

    async fn insert_next_revocation(&self, point: OutPoint, next: PublicKey) -> Result<()> {
        self.transit(point, |state| rule::insert_next_revocation(state, next)).await
    }

    async fn remote_tip(&self, point: OutPoint) -> Result<Option<PendingCommitment>> {
        self.view(point, |state| state.pending_commitment())
    }

    async fn unsigned_acked_updates(&self, point: OutPoint) -> Result<Option<Vec<LogUpdate>>> {
        self.list(point, ListKind::UnsignedAcked)
    }

    async fn remote_unsigned_local_updates(
        &self,
        point: OutPoint,
    ) -> Result<Option<Vec<LogUpdate>>> {
        self.list(point, ListKind::RemoteUnsignedLocal)
    }

    async fn heights(&self, point: OutPoint) -> Result<CommitmentHeights> {
        let heights = self.view(point, |state| {
            let row = state.row();
            let pending = state.pending()?.map(|(commitment, _)| commitment.height);
            Ok(row.local_height.zip(row.remote_height).map(|(local, remote)| CommitmentHeights {
                local,
                remote,
                pending,
            }))
        })?;
        heights.ok_or(Rejection::NoCommitments.into())
    }

    async fn latest_commitments(&self, point: OutPoint) -> Result<LatestCommitments> {
        let both = self.view(point, |state| {
            let (local, remote) = (state.in_force(Side::Local)?, state.in_force(Side::Remote)?);
            let (Some(local), Some(remote)) = (local, remote) else { return Ok(None) };
            let (local, remote) = (state.commitment(local)?, state.commitment(remote)?);
            Ok(Some(LatestCommitments { local, remote }))
        })?;
        both.ok_or(Rejection::NoCommitments.into())
    }

    async fn remote_revocation(&self, point: OutPoint) -> Result<RevocationState> {
        self.view(point, |state| {
            Ok(RevocationState {
                current_point: state.row().remote_current_point,
                next_point: state.row().remote_next_point,
                secrets: state.secrets()?,
            })
        })
    }
}

#[async_trait]
impl RevocationLogStore for Store {
    async fn previous_state(
        &self,
        point: OutPoint,
        height: CommitmentHeight,
    ) -> Result<PreviousState> {
        let no = self.listing(point)?.no;
        let keys = [Kind::RevokedState, Kind::RevokedCommitment];
        let keys = keys.map(|kind| RecordKey::of(kind, [no.0, height.0]));
        let records = self.read_stored(&keys).await?;
        match records.into_iter().flatten().next() {
            Some(crate::Record::Channel(Record::RevokedState(record))) => {
                Ok(PreviousState::State(record.state))
            }
            Some(crate::Record::Channel(Record::RevokedCommitment(record))) => {
                Ok(PreviousState::Commitment(Box::new(record.revoked.commitment)))
            }
            _ => Err(Rejection::UnknownState(height).into()),
        }
    }

    async fn revocation_log_tail(&self, point: OutPoint) -> Result<Option<CommitmentHeight>> {
        let no = self.listing(point)?.no;
        let newest = self.view(point, |state| Ok(state.row().remote_height))?;
        let Some(newest) = newest.and_then(|height| height.0.checked_sub(1)) else {
            return Ok(None);
        };
        // The usual case needs one read; a log with gaps has to be walked.
        match self.previous_state(point, CommitmentHeight(newest)).await {
            Ok(_) => return Ok(Some(CommitmentHeight(newest))),
            Err(StoreError::Rejected(Rejection::UnknownState(_))) => {}
            Err(error) => return Err(error),
        }
        let mut tail = None;
        for kind in [Kind::RevokedState, Kind::RevokedCommitment] {
            let range = KeyRange::under(kind, [no.0]);
            self.scan_stored(range, |record| {
                tail = tail.max(match record {
                    crate::Record::Channel(Record::RevokedState(record)) => {
                        Some(record.state.height)
                    }
                    crate::Record::Channel(Record::RevokedCommitment(record)) => {
                        Some(record.height)
                    }
                    _ => None,
                });
            })
            .await?;
        }
        // A log of which nothing is left may be that of a channel that was closed meanwhile.
        self.view(point, |_| Ok(tail))
    }
}

impl Store {
    fn list(&self, point: OutPoint, list: ListKind) -> Result<Option<Vec<LogUpdate>>> {
        self.view(point, |state| {
            state.list(list).map(|updates| state.updates(updates, list.direction())).transpose()
        })
    }
}
