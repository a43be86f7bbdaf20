//! Lists of updates: on their way into commitments, and in packages.

use chanstate::facet::CommitmentStore;
use chanstate::message::{Message, ParsedMessage};
use chanstate::{HtlcId, LogIndex, LogUpdate, Rejection};

use crate::values;
use crate::{Exchange, Host, Place};

/// One update of each kind, HTLCs from `id` on, in an order of log indexes that nothing suggests.
fn every_kind(exchange: &Exchange, id: u64) -> Vec<LogUpdate> {
    let channel = exchange.id;
    let fee = |feerate_per_kw, extra: &'static [u8]| {
        let fee = ParsedMessage::UpdateFee {
            channel_id: channel.0,
            feerate_per_kw,
            extra: bytes::Bytes::from_static(extra),
        };
        fee.encode().unwrap()
    };
    let at = |log_index, message| LogUpdate { log_index: LogIndex(log_index), message };
    vec![
        values::add(channel, id, &values::htlc_terms(900 + id, 1_000_000)),
        values::fulfill(channel, id, u64::MAX),
        values::fail(channel, id + 1, 800),
        values::malformed(channel, id + 2, 801),
        at(810, fee(0, &[])),
        at(811, fee(u32::MAX, b"any bytes")),
        values::add(channel, id + 3, &values::htlc_terms(700 + id, 1)),
    ]
}

/// Messages that are no updates, or do not parse.
fn no_updates(exchange: &Exchange) -> Vec<Message> {
    let channel_id = exchange.id.0;
    let reestablish = ParsedMessage::ChannelReestablish {
        channel_id,
        next_commitment_number: 1,
        next_revocation_number: 0,
        data_loss: None,
        extra: bytes::Bytes::new(),
    };
    let add = values::add_message(exchange.id, 0, &values::htlc_terms(0, 1));
    vec![
        values::commit_sig(exchange.id, 1, 1),
        reestablish.encode().unwrap(),
        Message::new([0x80, 0x01, 0xaa].as_slice()).unwrap(),
        Message::new([0x00, 0x00].as_slice()).unwrap(),
        Message::new(add.as_bytes().slice(..1000)).unwrap(),
    ]
}

fn indexed(message: Message) -> LogUpdate {
    LogUpdate { log_index: LogIndex(u64::MAX), message }
}

/// Updates of every kind read back in their order from both lists, a pending commitment and a
/// package.
/// Obligations: `commitment/messages`, `commitment/lists`, `package/by_height`.
pub(crate) async fn every_kind_of_update_is_kept_in_every_list(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let mut update = exchange.update();
    update.unsigned_acked = every_kind(&exchange, 0);
    host.update_local(point, update.clone()).await.unwrap();
    let mut append = exchange.append();
    append.pending.updates = every_kind(&exchange, 10);
    host.append_remote(point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    let host = host.reopen().await;
    let list = host.unsigned_acked_updates(point).await.unwrap();
    assert_eq!(list, Some(update.unsigned_acked.clone()));
    assert_eq!(host.remote_tip(point).await.unwrap(), Some(append.pending));

    let mut advance = exchange.advance();
    advance.remote_unsigned_local = every_kind(&exchange, 20);
    let (adds, ends): (Vec<_>, Vec<_>) =
        every_kind(&exchange, 30).into_iter().partition(|update| update.message.ty() == 128);
    let height = advance.package.height;
    advance.package = chanstate::ForwardingPackage::new(exchange.scid, height, adds, ends);
    host.advance_tail(point, advance.clone()).await.unwrap();
    let host = host.reopen().await;
    let list = host.remote_unsigned_local_updates(point).await.unwrap();
    assert_eq!(list, Some(advance.remote_unsigned_local));
    let list = host.unsigned_acked_updates(point).await.unwrap();
    assert_eq!(list, Some(update.unsigned_acked), "the peer signed for none of them");
    assert_eq!(host.packages(point).await, [advance.package]);
}

/// A message that is no update, or an add that does not parse, is refused wherever updates are
/// stored; so are adds and ends in each other's place of a package.
/// Obligations: `commitment/storable`, `facet/nothing_on_error`.
pub(crate) async fn what_is_no_update_is_refused_in_every_list(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let append = exchange.append();
    let refusals = no_updates(&exchange);
    for message in &refusals {
        let refusal = Rejection::Message { ty: message.ty() };
        let mut update = exchange.update();
        update.unsigned_acked = vec![indexed(message.clone())];
        assert_eq!(host.refused(host.update_local(point, update)).await, refusal);
        let mut append = append.clone();
        append.pending.updates = vec![indexed(message.clone())];
        assert_eq!(host.refused(host.append_remote(point, append)).await, refusal);
    }
    host.sign(&mut exchange).await;
    let fee = values::fee(exchange.id, 0).message;
    let add = values::add_message(exchange.id, 0, &values::htlc_terms(0, 1));
    let package = |adds: &[&Message], ends: &[&Message]| {
        let mut advance = exchange.advance();
        let list = |messages: &[&Message]| {
            messages.iter().map(|message| indexed((*message).clone())).collect::<Vec<_>>()
        };
        let (height, source) = (advance.package.height, advance.package.source);
        advance.package = chanstate::ForwardingPackage::new(source, height, list(adds), list(ends));
        host.advance_tail(point, advance)
    };
    for message in &refusals {
        let refusal = Rejection::Message { ty: message.ty() };
        let mut advance = exchange.advance();
        advance.remote_unsigned_local = vec![indexed(message.clone())];
        assert_eq!(host.refused(host.advance_tail(point, advance)).await, refusal);
        assert_eq!(host.refused(package(&[message], &[])).await, refusal);
        assert_eq!(host.refused(package(&[], &[message])).await, refusal);
    }
    assert_eq!(host.refused(package(&[&fee], &[])).await, Rejection::Message { ty: 134 });
    assert_eq!(host.refused(package(&[&add], &[&add])).await, Rejection::Message { ty: 128 });
    host.take_revocation(&mut exchange).await;
}

/// An update leaves its list when the other side's commitment has passed its index, and not before.
/// Obligations: `commitment/lists`.
pub(crate) async fn an_update_leaves_its_list_when_it_is_signed(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let channel = exchange.id;
    let fees = |indexes: &[u64]| -> Option<Vec<LogUpdate>> {
        Some(indexes.iter().map(|index| values::fee(channel, *index)).collect())
    };
    // The peer's updates: signed for the peer are those below 5.
    let mut update = exchange.update();
    update.unsigned_acked = fees(&[6, 4, 5, 0, 1 << 63]).unwrap();
    host.update_local(point, update.clone()).await.unwrap();
    let mut append = exchange.append();
    append.pending.commitment.remote_log_index = LogIndex(5);
    host.append_remote(point, append.clone()).await.unwrap();
    let acked = host.unsigned_acked_updates(point).await.unwrap();
    assert_eq!(acked, fees(&[6, 4, 5, 0, 1 << 63]), "the peer has not revoked");
    // The exchange itself has none of these updates.
    append.pending.commitment.remote_log_index = LogIndex(0);
    exchange.stored_append(&append);
    let mut advance = exchange.advance();
    advance.remote_unsigned_local = fees(&[7, 3, 8, 0, 1 << 63]).unwrap();
    host.advance_tail(point, advance).await.unwrap();
    assert_eq!(host.unsigned_acked_updates(point).await.unwrap(), fees(&[6, 5, 1 << 63]));

    // Ours: the peer signed for those below 8.
    let unsigned = host.remote_unsigned_local_updates(point).await.unwrap();
    assert_eq!(unsigned, fees(&[7, 3, 8, 0, 1 << 63]));
    exchange.local = update.commitment;
    let mut update = exchange.update();
    update.commitment.local_log_index = LogIndex(8);
    assert!(host.update_local(point, update).await.unwrap().is_empty());
    let host = host.reopen().await;
    let unsigned = host.remote_unsigned_local_updates(point).await.unwrap();
    assert_eq!(unsigned, fees(&[8, 1 << 63]));
}

/// Of the updates that are locked in, settles and fails end HTLCs, adds and fees do not.
/// Obligations: `commitment/ends`.
pub(crate) async fn only_settles_and_fails_end_htlcs(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    host.sign(&mut exchange).await;
    let channel = exchange.id;
    let mut advance = exchange.advance();
    advance.remote_unsigned_local = vec![
        values::fee(channel, 0),
        values::add(channel, 7, &values::htlc_terms(1, 1_000_000)),
        values::malformed(channel, i64::MAX as u64, 2),
        values::fulfill(channel, 7, 3),
        values::fail(channel, 0, 4),
        values::fulfill(channel, 1, 5),
    ];
    host.advance_tail(point, advance).await.unwrap();
    let mut update = exchange.update();
    update.commitment.local_log_index = LogIndex(5);
    let ends = host.update_local(point, update).await.unwrap();
    let expected = [(HtlcId(0), false), (HtlcId(7), true), (HtlcId(i64::MAX as u64), false)];
    assert_eq!(ends, expected.into());
}
