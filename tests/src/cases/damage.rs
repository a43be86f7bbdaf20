//! What callers are told when records are missing.

use std::fmt::Debug;

use channelcoord::ChangeSet;
use chanstate::facet::CommitmentStore;
use chanstate::key::{Kind, RecordKey};
use chanstate::{ChannelNo, HtlcId, HtlcKey, Side, StoreError};

use crate::{Exchange, Host, Place};

/// A channel with an HTLC that revoked once and is to revoke again, and its number.
async fn signed<'a>(place: &'a dyn Place) -> (Host<'a>, Exchange, ChannelNo) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    host.rounds(&mut exchange, 1).await;
    host.sign(&mut exchange).await;
    let channels = crate::inspect::records(host.backend.as_ref(), Kind::Channel).await;
    let no = channels.iter().find_map(|record| match record {
        channelcoord::Record::Channel(chanstate::Record::Channel(row)) => Some(row.no),
        _ => None,
    });
    (host, exchange, no.expect("the channel's row"))
}

async fn without<'a>(host: Host<'a>, key: RecordKey) -> Host<'a> {
    host.rewritten(ChangeSet { removes: vec![key], ..ChangeSet::default() }).await
}

fn corrupt<T: Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Corrupt { .. })), "{result:?}");
}

/// Nothing is signed over a pending commitment of which a part is missing.
async fn is_kept(host: &Host<'_>, exchange: &Exchange) {
    let point = exchange.point;
    for height in [2, 3] {
        let mut append = exchange.append();
        append.pending.commitment.height = height.into();
        corrupt(host.still(host.append_remote(point, append)).await);
    }
    corrupt(host.still(host.advance_tail(point, exchange.advance())).await);
    corrupt(host.remote_tip(point).await);
    corrupt(host.heights(point).await);
}

/// A pending commitment without its diff is damage.
/// Obligations: `facet/damage`, `facet/nothing_on_error`.
pub(crate) async fn a_missing_diff_is_damage(place: &dyn Place) {
    let (host, exchange, no) = signed(place).await;
    let host = without(host, RecordKey::single(Kind::Diff, no)).await;
    is_kept(&host, &exchange).await;
}

/// A diff without its pending commitment is damage.
/// Obligations: `facet/damage`, `facet/nothing_on_error`.
pub(crate) async fn a_missing_pending_commitment_is_damage(place: &dyn Place) {
    let (host, exchange, no) = signed(place).await;
    let host = without(host, RecordKey::commitment(no, Side::Remote, 2.into())).await;
    is_kept(&host, &exchange).await;
}

/// A channel whose commitments are missing is no shell.
/// Obligations: `facet/damage`, `facet/nothing_on_error`.
pub(crate) async fn a_missing_commitment_is_damage(place: &dyn Place) {
    let (host, exchange, no) = signed(place).await;
    let host = without(host, RecordKey::commitment(no, Side::Remote, 1.into())).await;
    let point = exchange.point;
    corrupt(host.still(host.append_remote(point, exchange.append())).await);
    corrupt(host.still(host.advance_tail(point, exchange.advance())).await);
    corrupt(host.latest_commitments(point).await);
    let host = without(host, RecordKey::commitment(no, Side::Local, 1.into())).await;
    corrupt(host.still(host.update_local(point, exchange.update())).await);
}

/// A right secret is not refused because an earlier one is missing.
/// Obligations: `facet/damage`, `facet/nothing_on_error`.
pub(crate) async fn a_missing_secret_is_damage(place: &dyn Place) {
    let (host, exchange, no) = signed(place).await;
    let host = without(host, RecordKey::of(Kind::Secret, [no.0, 0])).await;
    corrupt(host.still(host.advance_tail(exchange.point, exchange.advance())).await);
}

/// A commitment whose HTLC is missing cannot be revoked, nor told from another.
/// Obligations: `facet/damage`, `facet/nothing_on_error`.
pub(crate) async fn a_missing_htlc_is_damage(place: &dyn Place) {
    let (host, exchange, no) = signed(place).await;
    let key = HtlcKey { direction: chanstate::Direction::Outgoing, id: HtlcId(0) };
    let host = without(host, RecordKey::htlc(no, key)).await;
    corrupt(host.still(host.append_remote(exchange.point, exchange.append())).await);
    corrupt(host.still(host.advance_tail(exchange.point, exchange.advance())).await);
}
