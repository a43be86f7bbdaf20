//! Final HTLC outcomes and state of channels being set up.

use async_trait::async_trait;
use bytes::Bytes;
use chanstate::facet::{ChannelSetupStore, FinalHtlcStore, Result};
use chanstate::key::{Kind, RecordKey};
use chanstate::transition as rule;
use chanstate::{
    ChannelId, FinalHtlc, FinalHtlcRecord, ForwardingPolicy, ForwardingPolicyRecord, HtlcId,
    OpeningStateRecord, Record, Rejection, ShortChannelId,
};

use super::{Store, store_error};
use crate::change_set::ChangeSet;

#[async_trait]
impl FinalHtlcStore for Store {
    async fn final_htlc(&self, scid: ShortChannelId, id: HtlcId) -> Result<FinalHtlc> {
        match self.read_one(RecordKey::final_htlc(scid, id)).await? {
            Some(Record::FinalHtlc(record)) => Ok(record.outcome),
            _ => Err(Rejection::UnknownHtlc { scid, id }.into()),
        }
    }

    async fn put_onchain_outcome(
        &self,
        scid: ShortChannelId,
        id: HtlcId,
        settled: bool,
    ) -> Result<()> {
        if !self.inner.options.transitions.store_final_htlcs {
            return self.alive();
        }
        rule::require_htlc_id(id)?;
        let outcome = FinalHtlc { settled, offchain: false };
        self.put(Record::FinalHtlc(FinalHtlcRecord { scid, id, outcome })).await
    }
}

#[async_trait]
impl ChannelSetupStore for Store {
    async fn save_opening_state(&self, key: Bytes, value: Bytes) -> Result<()> {
        self.put(Record::OpeningState(OpeningStateRecord { key, value })).await
    }

    async fn opening_state(&self, key: Bytes) -> Result<Option<Bytes>> {
        let record = self.read_one(RecordKey::of_bytes(Kind::OpeningState, key)).await?;
        Ok(match record {
            Some(Record::OpeningState(record)) => Some(record.value),
            _ => None,
        })
    }

    async fn delete_opening_state(&self, key: Bytes) -> Result<()> {
        self.delete(RecordKey::of_bytes(Kind::OpeningState, key)).await
    }

    async fn save_initial_policy(&self, id: ChannelId, policy: ForwardingPolicy) -> Result<()> {
        let record = ForwardingPolicyRecord { channel_id: id, policy };
        self.put(Record::ForwardingPolicy(record)).await
    }

    async fn initial_policy(&self, id: ChannelId) -> Result<Option<ForwardingPolicy>> {
        Ok(match self.read_one(policy_key(id)).await? {
            Some(Record::ForwardingPolicy(record)) => Some(record.policy),
            _ => None,
        })
    }

    async fn delete_initial_policy(&self, id: ChannelId) -> Result<()> {
        self.delete(policy_key(id)).await
    }
}

fn policy_key(id: ChannelId) -> RecordKey {
    RecordKey::of_bytes(Kind::ForwardingPolicy, id.0.to_vec())
}

/// Records without a subject: written blindly, the last call wins.
impl Store {
    async fn read_one(&self, key: RecordKey) -> Result<Option<Record>> {
        self.alive()?;
        let records = self.read_stored(&[key]).await?;
        Ok(records.into_iter().flatten().find_map(|record| match record {
            crate::Record::Channel(record) => Some(record),
            _ => None,
        }))
    }

    async fn put(&self, record: Record) -> Result<()> {
        let puts = vec![crate::Record::Channel(record)];
        let set = ChangeSet { puts, ..ChangeSet::default() };
        self.commit(set, Vec::new()).await.map_err(store_error)
    }

    async fn delete(&self, key: RecordKey) -> Result<()> {
        let set = ChangeSet { removes: vec![key], ..ChangeSet::default() };
        self.commit(set, Vec::new()).await.map_err(store_error)
    }
}
