//! One channel as the model holds it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use chanstate::facet::{CommitmentHeights, LatestCommitments};
use chanstate::key::Kind;
use chanstate::shachain::{Bucket, MAX_INDEX, SecretStore, ShachainFault, derive_secret};
use chanstate::{
    Channel, ChannelId, ChannelShell, ChannelStatus, CloseSummary, CommitmentHeight, Htlc, HtlcKey,
    MilliSatoshi, NewChannel, PreviousState, Rejection, RevocationState, ShutdownInfo,
};

use crate::Exchange;
use crate::reads::{ChannelReads, Read};

/// One channel.
#[derive(Clone, Debug)]
pub(super) struct ModelChannel {
    /// As readers see it.
    pub(super) view: Channel,
    /// Its commitments, lists, packages and revoked states. A shell has none of them.
    pub(super) exchange: Exchange,
    pub(super) stage: Stage,
    pub(super) shutdown: Option<ShutdownInfo>,
    pub(super) data_loss: Option<PublicKey>,
    pub(super) commitment_tx: Option<Arc<Transaction>>,
    pub(super) cooperative_tx: Option<Arc<Transaction>>,
}

/// Whether a channel is closed.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Open,
    Closed(Box<CloseSummary>),
}

impl ModelChannel {
    /// A channel that was just opened.
    pub(super) fn opened(exchange: Exchange, new: NewChannel) -> ModelChannel {
        ModelChannel::with(
            exchange,
            Channel {
                channel_id: ChannelId::from_outpoint(new.funding_outpoint),
                funding_outpoint: new.funding_outpoint,
                peer: new.peer,
                chain: new.chain,
                terms: Arc::new(new.terms),
                channel_type: new.channel_type,
                status: ChannelStatus::empty(),
                pending: true,
                scid: new.scid,
                confirmed_scid: None,
                confirmation_height: None,
                close_confirmation_height: None,
                last_was_revoke: None,
                total_sent: MilliSatoshi(0),
                total_received: MilliSatoshi(0),
                local_commitment: Some(new.local_commitment),
                remote_commitment: Some(new.remote_commitment),
                revocation: RevocationState {
                    current_point: new.remote_current_point,
                    next_point: new.remote_next_point,
                    secrets: SecretStore::new(),
                },
            },
        )
    }

    /// A channel that was just restored from a backup.
    pub(super) fn restored(exchange: Exchange, shell: ChannelShell) -> ModelChannel {
        ModelChannel::with(
            exchange,
            Channel {
                channel_id: ChannelId::from_outpoint(shell.funding_outpoint),
                funding_outpoint: shell.funding_outpoint,
                peer: shell.peer,
                chain: shell.chain,
                terms: Arc::new(shell.terms),
                channel_type: shell.channel_type,
                status: shell.status | ChannelStatus::RESTORED,
                pending: false,
                scid: shell.scid,
                confirmed_scid: None,
                confirmation_height: None,
                close_confirmation_height: None,
                last_was_revoke: None,
                total_sent: MilliSatoshi(0),
                total_received: MilliSatoshi(0),
                local_commitment: None,
                remote_commitment: None,
                revocation: RevocationState {
                    current_point: shell.remote_current_point,
                    next_point: None,
                    secrets: SecretStore::new(),
                },
            },
        )
    }

    fn with(exchange: Exchange, view: Channel) -> ModelChannel {
        ModelChannel {
            view,
            exchange,
            stage: Stage::Open,
            shutdown: None,
            data_loss: None,
            commitment_tx: None,
            cooperative_tx: None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed(_))
    }

    /// A shell has no commitments.
    pub(super) fn is_shell(&self) -> bool {
        self.view.local_commitment.is_none()
    }

    /// Files the secret of the peer's current commitment, after the check of BOLT 3: a secret whose
    /// index ends in n zero bits yields those in the n buckets below.
    pub(super) fn reveal(&mut self, secret: [u8; 32]) -> Result<(), Rejection> {
        let secrets = &mut self.view.revocation.secrets;
        let index = secrets.next_index();
        let slot = index.trailing_zeros() as usize;
        let mut buckets = secrets.buckets().to_vec();
        for (lower, bucket) in buckets.iter().enumerate().take(slot) {
            // The bits above are those of the new secret already.
            let below = bucket.index & ((1 << slot) - 1);
            if derive_secret(&secret, MAX_INDEX - below) != Ok(bucket.secret) {
                return Err(Rejection::Secret(ShachainFault::Rejected { index, bucket: lower }));
            }
        }
        match buckets.get_mut(slot) {
            Some(bucket) => *bucket = Bucket { index, secret },
            None => buckets.push(Bucket { index, secret }),
        }
        *secrets = SecretStore::from_parts(buckets, index - 1).expect("few buckets");
        Ok(())
    }

    /// Number of records of each kind.
    pub(super) fn counts(&self) -> Vec<(Kind, usize)> {
        let Exchange { pending, packages, unsigned_acked, remote_unsigned_local, .. } =
            &self.exchange;
        let mut counts = vec![
            (Kind::Channel, 1),
            (Kind::Terms, 1),
            (Kind::Secret, self.view.revocation.secrets.buckets().len()),
            (Kind::Htlc, self.htlcs().len()),
            (Kind::Commitment, if self.is_shell() { 0 } else { 2 }),
        ];
        if self.is_closed() {
            counts.push((Kind::Close, 1));
            return counts;
        }
        let lists = [unsigned_acked, remote_unsigned_local];
        let updates =
            packages.values().map(|package| package.adds.len() + package.settle_fails.len());
        let txs = [&self.commitment_tx, &self.cooperative_tx];
        let marks = usize::from(self.shutdown.is_some())
            + usize::from(self.data_loss.is_some())
            + txs.iter().filter(|tx| tx.is_some()).count();
        counts.extend([
            (Kind::Commitment, usize::from(pending.is_some())),
            (Kind::Diff, usize::from(pending.is_some())),
            (Kind::UpdateList, lists.iter().filter(|list| list.is_some()).count()),
            (Kind::RevokedState, self.exchange.revoked.len()),
            (Kind::Package, packages.len()),
            (Kind::PackageUpdate, updates.sum()),
            (Kind::Mark, marks),
        ]);
        counts
    }

    /// HTLCs that have a record: of a closed channel those of its last commitments.
    pub(super) fn htlcs(&self) -> BTreeSet<HtlcKey> {
        if !self.is_closed() {
            return self.exchange.referenced();
        }
        let both = [&self.view.local_commitment, &self.view.remote_commitment];
        both.into_iter().flatten().flat_map(|both| both.htlcs.iter().map(Htlc::key)).collect()
    }
}

/// What a store answers about `channel`; `same_id` is the channel with its id.
pub(super) fn reads(
    channel: Option<&ModelChannel>,
    same_id: Option<&ModelChannel>,
    point: OutPoint,
    heights: &Range<u64>,
) -> ChannelReads {
    let known = channel.ok_or(Rejection::UnknownChannel(point));
    let id = ChannelId::from_outpoint(point);
    let known_by_id = same_id.ok_or(Rejection::UnknownChannelId(id));
    let open = known.clone().and_then(open);
    let with_commitments = open.clone().and_then(|channel| match channel.is_shell() {
        true => Err(Rejection::NoCommitments),
        false => Ok(channel),
    });
    let exchange = with_commitments.clone().map(|channel| &channel.exchange);
    // A shell answers that there is nothing.
    let parts = open.clone().map(|channel| Some(&channel.exchange).filter(|_| !channel.is_shell()));
    ChannelReads {
        found: open.clone().map(view),
        found_by_id: known_by_id.clone().and_then(self::open).map(view),
        refreshed: known.clone().map(view),
        historical: known.clone().and_then(|channel| match channel.is_closed() {
            true => Ok(view(channel)),
            false => Err(Rejection::NotClosed(point)),
        }),
        summary: known.clone().and_then(summary),
        summary_by_id: known_by_id.and_then(summary),
        heights: exchange.clone().map(|exchange| CommitmentHeights {
            local: exchange.local.height,
            remote: exchange.remote.height,
            pending: exchange.pending.as_ref().map(|pending| pending.commitment.height),
        }),
        latest: exchange.map(|exchange| LatestCommitments {
            local: exchange.local.clone(),
            remote: exchange.remote.clone(),
        }),
        tip: parts.clone().map(|parts| parts.and_then(|exchange| exchange.pending.clone())),
        unsigned_acked: parts.clone().map(|parts| parts.and_then(|e| e.unsigned_acked.clone())),
        remote_unsigned_local: parts
            .clone()
            .map(|parts| parts.and_then(|e| e.remote_unsigned_local.clone())),
        revocation: open.clone().map(|channel| channel.view.revocation.clone()),
        log_tail: parts.clone().map(|parts| parts.and_then(|e| Some(e.revoked.last()?.height))),
        log: heights.clone().map(|height| known.clone().and_then(|k| revoked(k, height))).collect(),
        packages: parts.map(|parts| {
            parts.into_iter().flat_map(|exchange| exchange.packages.values().cloned()).collect()
        }),
        shutdown: open.clone().map(|channel| channel.shutdown.clone()),
        data_loss: open.clone().map(|channel| channel.data_loss),
        commitment_tx: open.clone().map(|channel| channel.commitment_tx.clone()),
        cooperative_tx: open.map(|channel| channel.cooperative_tx.clone()),
    }
}

fn view(channel: &ModelChannel) -> Channel {
    channel.view.clone()
}

fn open(channel: &ModelChannel) -> Read<&ModelChannel> {
    match channel.is_closed() {
        true => Err(Rejection::AlreadyClosed(channel.view.funding_outpoint)),
        false => Ok(channel),
    }
}

fn summary(channel: &ModelChannel) -> Read<CloseSummary> {
    match &channel.stage {
        Stage::Closed(summary) => Ok(summary.as_ref().clone()),
        Stage::Open => Err(Rejection::NoSummary(channel.view.funding_outpoint)),
    }
}

/// A revoked state; those of a closed channel are reclaimed.
fn revoked(channel: &ModelChannel, height: u64) -> Read<PreviousState> {
    let states = channel.exchange.revoked.iter().filter(|_| !channel.is_closed());
    let mut states = states.filter(|state| state.height.0 == height).cloned();
    let state = states.next().map(PreviousState::State);
    state.ok_or(Rejection::UnknownState(CommitmentHeight(height)))
}
