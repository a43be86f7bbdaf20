//! Creating channels.

use std::sync::Arc;

use super::holding::Holding;
use crate::change::{ChannelChange, Record};
use crate::channel::{ChannelShell, NewChannel};
use crate::commitment::{Commitment, LogUpdate, PendingCommitment};
use crate::error::Rejection;
use crate::flags::ChannelStatus;
use crate::ids::{ChannelId, ChannelNo, MilliSatoshi, Side, Version};
use crate::record::*;
use crate::shachain::MAX_INDEX;

/// Creates a pending channel under the number `no`.
///
/// # Errors
/// `OnionLength`, `DuplicateHtlc`, `TooLarge`.
pub fn open(no: ChannelNo, channel: &NewChannel) -> Result<ChannelChange, Rejection> {
    let channel_id = ChannelId::from_outpoint(channel.funding_outpoint);
    let mut change = ChannelChange::new(ChannelRecord {
        no,
        version: Version::ABSENT,
        funding_outpoint: channel.funding_outpoint,
        channel_id,
        peer: channel.peer,
        chain: channel.chain,
        closed: false,
        pending: true,
        channel_type: channel.channel_type,
        status: ChannelStatus::empty(),
        scid: channel.scid,
        confirmed_scid: None,
        confirmation_height: None,
        close_confirmation_height: None,
        local_height: Some(channel.local_commitment.height),
        remote_height: Some(channel.remote_commitment.height),
        has_pending: false,
        last_was_revoke: None,
        total_sent: MilliSatoshi(0),
        total_received: MilliSatoshi(0),
        remote_current_point: channel.remote_current_point,
        remote_next_point: channel.remote_next_point,
        next_secret_index: MAX_INDEX,
    });
    change.put(Record::Terms(TermsRecord { no, terms: Arc::new(channel.terms.clone()) }));
    let mut holding = Holding::empty(no, channel_id);
    let local = holding.commitment(Side::Local, &channel.local_commitment)?;
    let remote = holding.commitment(Side::Remote, &channel.remote_commitment)?;
    change.put(Record::Commitment(local));
    change.put(Record::Commitment(remote));
    holding.settle(&mut change);
    Ok(change)
}

/// Creates a channel without commitments from a backup under the number `no`.
pub fn restore(no: ChannelNo, shell: &ChannelShell) -> ChannelChange {
    let mut change = ChannelChange::new(ChannelRecord {
        no,
        version: Version::ABSENT,
        funding_outpoint: shell.funding_outpoint,
        channel_id: ChannelId::from_outpoint(shell.funding_outpoint),
        peer: shell.peer,
        chain: shell.chain,
        closed: false,
        pending: false,
        channel_type: shell.channel_type,
        status: shell.status | ChannelStatus::RESTORED,
        scid: shell.scid,
        confirmed_scid: None,
        confirmation_height: None,
        close_confirmation_height: None,
        local_height: None,
        remote_height: None,
        has_pending: false,
        last_was_revoke: None,
        total_sent: MilliSatoshi(0),
        total_received: MilliSatoshi(0),
        remote_current_point: shell.remote_current_point,
        remote_next_point: None,
        next_secret_index: MAX_INDEX,
    });
    change.put(Record::Terms(TermsRecord { no, terms: Arc::new(shell.terms.clone()) }));
    change
}

/// A channel as another store held it, to be taken over as it is.
///
/// No rule is applied beyond what storage needs: the source's state is not ours to judge.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Our commitment.
    pub local: Option<Commitment>,
    /// The peer's commitment.
    pub remote: Option<Commitment>,
    /// The peer's next commitment; its height may be any.
    pub pending: Option<PendingCommitment>,
    /// The peer's updates that the peer's commitment in force has not.
    pub unsigned_acked: Option<Vec<LogUpdate>>,
    /// Our updates that our commitment has not.
    pub remote_unsigned_local: Option<Vec<LogUpdate>>,
    /// Other records of the channel, written as they are.
    pub others: Vec<Record>,
}

/// Creates the channel of `row` with everything that belongs to it.
///
/// # Errors
/// `OnionLength`, `DuplicateHtlc`, `TooLarge`, `Message`: the source holds what a store cannot.
pub fn import(row: ChannelRecord, imported: Imported) -> Result<ChannelChange, Rejection> {
    let no = row.no;
    let mut holding = Holding::empty(no, row.channel_id);
    let mut change = ChannelChange::new(row);
    for (side, commitment) in [(Side::Local, imported.local), (Side::Remote, imported.remote)] {
        if let Some(commitment) = commitment {
            change.put(Record::Commitment(holding.commitment(side, &commitment)?));
        }
    }
    if let Some(pending) = imported.pending {
        let (commitment, diff) = super::append::split_pending(&mut holding, no, &pending)?;
        change.put(Record::Commitment(commitment));
        change.put(Record::Diff(diff));
    }
    let lists = [
        (ListKind::UnsignedAcked, imported.unsigned_acked),
        (ListKind::RemoteUnsignedLocal, imported.remote_unsigned_local),
    ];
    for (list, updates) in lists {
        if let Some(updates) = updates {
            let updates = holding.updates(&updates, list.direction())?;
            change.put(Record::UpdateList(UpdateListRecord { no, list, updates }));
        }
    }
    holding.settle(&mut change);
    imported.others.into_iter().for_each(|record| change.put(record));
    Ok(change)
}
