//! Lifecycle, status, shutdown and closing transactions.

use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use chanstate::facet::{CloseTxStore, LifecycleStore, Result, ShutdownStore, StatusStore};
use chanstate::transition::{self as rule, Refusal};
use chanstate::{
    Channel, ChannelChange, ChannelState, ChannelStatus, Closer, Mark, MarkKind, Rejection,
    ShortChannelId, ShutdownInfo, StoreError,
};

use super::{Store, of_channel};

#[async_trait]
impl LifecycleStore for Store {
    async fn refresh(&self, point: OutPoint) -> Result<Channel> {
        match self.open_view(point) {
            Err(StoreError::Rejected(Rejection::AlreadyClosed(_))) => self.closed_view(point).await,
            other => other,
        }
    }

    async fn set_confirmation_height(&self, point: OutPoint, height: u32) -> Result<()> {
        self.transit(point, |state| rule::set_confirmation_height(state, height)).await
    }

    async fn set_close_confirmation_height(
        &self,
        point: OutPoint,
        height: Option<u32>,
    ) -> Result<()> {
        self.transit(point, |state| rule::set_close_confirmation_height(state, height)).await
    }

    async fn mark_open(&self, point: OutPoint, scid: ShortChannelId) -> Result<()> {
        self.transit(point, |state| rule::mark_open(state, scid)).await
    }

    async fn set_confirmed_scid(&self, point: OutPoint, scid: ShortChannelId) -> Result<()> {
        self.transit(point, |state| rule::set_confirmed_scid(state, scid)).await
    }

    async fn set_scid_alias_negotiated(&self, point: OutPoint) -> Result<()> {
        self.transit(point, rule::negotiate_scid_alias).await
    }
}

#[async_trait]
impl StatusStore for Store {
    async fn apply_status(&self, point: OutPoint, bits: ChannelStatus) -> Result<ChannelStatus> {
        self.change(point, |state| {
            with_status(state, rule::apply_status(state, bits)?, |status| status | bits)
        })
        .await
    }

    async fn clear_status(&self, point: OutPoint, bits: ChannelStatus) -> Result<ChannelStatus> {
        self.change(point, |state| {
            with_status(state, rule::clear_status(state, bits)?, |status| status - bits)
        })
        .await
    }

    async fn mark_borked(&self, point: OutPoint) -> Result<()> {
        self.apply_status(point, ChannelStatus::BORKED).await.map(drop)
    }

    async fn mark_data_loss(&self, point: OutPoint, commit_point: PublicKey) -> Result<()> {
        self.transit(point, |state| rule::mark_data_loss(state, commit_point)).await
    }

    async fn data_loss_point(&self, point: OutPoint) -> Result<Option<PublicKey>> {
        Ok(match self.mark(point, MarkKind::DataLossPoint)? {
            Some(Mark::DataLossPoint(commit_point)) => Some(commit_point),
            _ => None,
        })
    }
}

#[async_trait]
impl ShutdownStore for Store {
    async fn store_shutdown_info(&self, point: OutPoint, info: ShutdownInfo) -> Result<()> {
        self.transit(point, |state| rule::store_shutdown(state, info.clone())).await
    }

    async fn shutdown_info(&self, point: OutPoint) -> Result<Option<ShutdownInfo>> {
        Ok(match self.mark(point, MarkKind::Shutdown)? {
            Some(Mark::Shutdown(info)) => Some(info),
            _ => None,
        })
    }
}

#[async_trait]
impl CloseTxStore for Store {
    async fn mark_commitment_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()> {
        self.transit(point, |state| rule::mark_broadcast_commitment(state, Arc::clone(&tx), closer))
            .await
    }

    async fn mark_coop_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()> {
        self.transit(point, |state| {
            rule::mark_broadcast_cooperative(state, Arc::clone(&tx), closer)
        })
        .await
    }

    async fn broadcasted_commitment(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>> {
        Ok(match self.mark(point, MarkKind::BroadcastCommitment)? {
            Some(Mark::BroadcastCommitment(tx)) => Some(tx),
            _ => None,
        })
    }

    async fn broadcasted_cooperative(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>> {
        Ok(match self.mark(point, MarkKind::BroadcastCooperative)? {
            Some(Mark::BroadcastCooperative(tx)) => Some(tx),
            _ => None,
        })
    }
}

impl Store {
    fn mark(&self, point: OutPoint, kind: MarkKind) -> Result<Option<Mark>> {
        self.view(point, |state| Ok(state.mark(kind).cloned()))
    }
}

/// A change of status together with the status that results.
fn with_status(
    state: &ChannelState,
    change: Option<ChannelChange>,
    result: impl FnOnce(ChannelStatus) -> ChannelStatus,
) -> std::result::Result<(Option<super::ChangeSet>, ChannelStatus), Refusal> {
    Ok((change.map(of_channel), result(state.row().status)))
}
