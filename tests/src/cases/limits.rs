//! Numbers at both ends of their range, and the longest values.

use std::sync::Arc;

use bitcoin::{Amount, ScriptBuf};
use bytes::Bytes;
use chanstate::facet::{
    ChannelSetupStore, ClosedChannelStore, CommitmentStore, ForwardingPackageStore,
    OpenChannelStore, RevocationLogStore,
};
use chanstate::message::{MAX_MESSAGE_LEN, Message, ParsedMessage};
use chanstate::transition::UpdateLocal;
use chanstate::{
    ChannelConfig, ChannelStatus, ChannelTerms, CircuitKey, CloseResume, CloseSummary, Commitment,
    CommitmentHeight, ForwardingPackage, HtlcId, KeyDescriptor, KeyLocator, LogIndex, LogUpdate,
    MilliSatoshi, PreviousState, Rejection, SettleFailRef, ShortChannelId,
};

use crate::values::{self, bytes, outpoint, peer};
use crate::{End, Exchange, Host, Place};

/// Limits and keys of a side whose numbers are all `ends`.
fn config(of: &ChannelConfig, ends: u64) -> ChannelConfig {
    let locator = KeyLocator { family: ends as u32, index: ends as u32 };
    let descriptor = |of: KeyDescriptor| KeyDescriptor { locator, ..of };
    ChannelConfig {
        dust_limit: Amount::from_sat(ends),
        max_pending_amount: MilliSatoshi(ends),
        channel_reserve: Amount::from_sat(ends),
        min_htlc: MilliSatoshi(ends),
        max_accepted_htlcs: ends as u16,
        csv_delay: ends as u16,
        multisig_key: descriptor(of.multisig_key),
        revocation_base_point: descriptor(of.revocation_base_point),
        payment_base_point: descriptor(of.payment_base_point),
        delay_base_point: descriptor(of.delay_base_point),
        htlc_base_point: descriptor(of.htlc_base_point),
    }
}

/// Every number of a channel's terms is kept at both ends of its range.
/// Obligations: `facet/read_back`.
pub(crate) async fn terms_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::new(place).await;
    let terms = |ends: u64| {
        let terms = values::terms(1);
        ChannelTerms {
            initiator: ends == 0,
            channel_flags: ends as u8,
            confirmations_required: ends as u16,
            funding_broadcast_height: ends as u32,
            capacity: Amount::from_sat(ends),
            local_config: config(&terms.local_config, ends),
            remote_config: config(&terms.remote_config, ends),
            revocation_root: [ends as u8; 32],
            revocation_root_locator: Some(KeyLocator { family: ends as u32, index: ends as u32 }),
            initial_local_balance: Some(MilliSatoshi(ends)),
            initial_remote_balance: Some(MilliSatoshi(ends)),
            tapscript_root: Some([ends as u8; 32]),
            thaw_height: Some(ends as u32),
            ..terms
        }
    };
    // Between them, the ends of signed numbers.
    let all = [0, i64::MAX as u64, 1 << 63, u64::MAX];
    for (n, ends) in (1..).zip(all) {
        let new = values::new_channel(n, peer(1));
        host.open_as(chanstate::NewChannel { terms: terms(ends), ..new }, 1).await;
    }
    let host = host.reopen().await;
    for (n, ends) in (1..).zip(all) {
        assert_eq!(*host.channel(outpoint(n)).await.unwrap().terms, terms(ends));
    }
}

/// Scripts, notes, blobs, TLV records and the funding transaction of a channel may be long.
/// Obligations: `facet/read_back`.
pub(crate) async fn long_terms_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let script = |n| ScriptBuf::from_bytes(bytes("script", n, 10_000).to_vec());
    let mut new = values::new_channel(1, peer(1));
    new.terms = ChannelTerms {
        funding_tx: Some(Arc::new(values::tx(outpoint(9), 1, 3_000))),
        memo: Some(bytes("memo", 1, 100_000)),
        custom_blob: Some(bytes("custom", 1, 1 << 18)),
        local_upfront_shutdown: Some(script(1)),
        remote_upfront_shutdown: Some(script(2)),
        unknown_tlvs: long_tlvs(100_000),
        ..new.terms
    };
    for commitment in [&mut new.local_commitment, &mut new.remote_commitment] {
        commitment.commit_tx = Arc::new(values::tx(outpoint(1), 1, 3_000));
        commitment.commit_sig = bytes("signature", 1, 1_000);
        commitment.custom_blob = Some(bytes("custom", 2, 1 << 18));
        commitment.unknown_tlvs = long_tlvs(100_000);
    }
    let point = host.open_as(new.clone(), 1).await;
    let host = host.reopen().await;
    let channel = host.channel(point).await.unwrap();
    assert_eq!(*channel.terms, new.terms);
    assert_eq!(channel.local_commitment, Some(new.local_commitment));
    assert_eq!(channel.remote_commitment, Some(new.remote_commitment));
}

fn long_tlvs(len: usize) -> Bytes {
    let mut stream = chanstate::tlv::TlvStream::new();
    stream.insert(65_537, bytes("tlv", 1, len));
    stream.insert(u64::MAX, Bytes::new());
    stream.encode().into()
}

/// Messages of the greatest length are kept, in lists, pending commitments and packages.
/// Obligations: `facet/read_back`, `commitment/messages`.
pub(crate) async fn the_longest_messages_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let longest = |message: &Message| -> Message {
        let padding = MAX_MESSAGE_LEN - message.as_bytes().len();
        Message::new([message.as_bytes(), bytes("padding", 1, padding).as_ref()].concat()).unwrap()
    };
    let channel = exchange.id;
    let fail = |log_index| {
        let fail = values::fail(channel, 3, log_index);
        LogUpdate { message: longest(&fail.message), ..fail }
    };
    // Records of an HTLC are a TLV stream, with three bytes each for type and length.
    let mut terms = values::htlc_terms(0, 1_000_000);
    terms.extra = Bytes::new();
    let room = MAX_MESSAGE_LEN - values::add_message(exchange.id, 0, &terms).as_bytes().len();
    let mut extra = chanstate::tlv::TlvStream::new();
    extra.insert(300, bytes("record", 1, room - 6));
    terms.extra = extra.encode().into();
    let add = values::add(exchange.id, 0, &terms);
    assert_eq!(add.message.as_bytes().len(), MAX_MESSAGE_LEN);

    let mut update = exchange.update();
    update.unsigned_acked = vec![add.clone(), fail(1)];
    host.update_local(point, update.clone()).await.unwrap();
    let mut append = exchange.append();
    append.pending.updates = vec![add.clone(), fail(1)];
    append.pending.commit_sig = longest(&values::commit_sig(exchange.id, 1, 483));
    append.pending.commitment.htlcs =
        vec![values::htlc(chanstate::Direction::Outgoing, 0, 2, terms)];
    host.append_remote(point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    let host = host.reopen().await;
    let list = host.unsigned_acked_updates(point).await.unwrap();
    assert_eq!(list, Some(update.unsigned_acked));
    assert_eq!(host.remote_tip(point).await.unwrap(), Some(append.pending));
    let mut advance = exchange.advance();
    let height = advance.package.height;
    advance.package = ForwardingPackage::new(exchange.scid, height, vec![add], vec![fail(2)]);
    host.advance_tail(point, advance.clone()).await.unwrap();
    assert_eq!(host.reopen().await.packages(point).await, [advance.package]);
}

/// The greatest step that BOLT 2 allows: 483 HTLCs added and 483 ended by one signature.
/// Obligations: `commitment/whole_step`, `commitment/stored_once`, `package/by_height`.
pub(crate) async fn the_greatest_step_is_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for turn in 0..2 {
        let (ours, theirs) = (exchange.ours_to_end(), exchange.theirs_to_end());
        for id in ours {
            exchange.we_end(id, End::Settle);
        }
        for id in theirs {
            exchange.they_end(id, End::Fail);
        }
        for n in 0..483 {
            exchange.we_add(1_000_000 + n);
            exchange.they_add(1_000_000 + turn);
        }
        host.revoke(&mut exchange).await;
        host.sign(&mut exchange).await;
        host.take_revocation(&mut exchange).await;
        host.revoke(&mut exchange).await;
    }
    let package = exchange.packages.values().next_back().unwrap();
    assert_eq!((package.adds.len(), package.settle_fails.len()), (483, 483));
    host.reopen().await.check(&exchange).await;
}

/// Commitments count up to the largest height, 2^63 - 1, and no further.
/// Obligations: `commitment/next_height`, `commitment/storable`, `revocation/every_height`.
pub(crate) async fn heights_go_up_to_the_largest(place: &dyn Place) {
    const LARGEST: CommitmentHeight = CommitmentHeight(i64::MAX as u64);
    let newest = CommitmentHeight(LARGEST.0 - 1);
    let host = Host::new(place).await;
    let mut new = values::new_channel(1, peer(1));
    (new.local_commitment.height, new.remote_commitment.height) = (newest, newest);
    let point = host.open_as(new, 1).await;
    host.mark_scid(point, 7).await;
    // It counts from zero, as secrets and points do.
    let mut exchange = Exchange::new(1, ShortChannelId(7));
    let mut update = exchange.update();
    update.commitment.height = LARGEST;
    host.update_local(point, update.clone()).await.unwrap();
    let mut append = exchange.append();
    exchange.stored_append(&append);
    append.pending.commitment.height = LARGEST;
    host.append_remote(point, append.clone()).await.unwrap();
    let mut advance = exchange.advance();
    advance.package.height = LARGEST;
    host.advance_tail(point, advance).await.unwrap();

    let host = host.reopen().await;
    assert_eq!(host.revocation_log_tail(point).await.unwrap(), Some(newest));
    let state = host.previous_state(point, newest).await.unwrap();
    assert!(matches!(state, PreviousState::State(state) if state.height == newest));
    assert_eq!(host.packages(point).await[0].height, LARGEST);
    let latest = host.latest_commitments(point).await.unwrap();
    assert_eq!((latest.local.height, latest.remote.height), (LARGEST, LARGEST));
    let beyond = CommitmentHeight(LARGEST.0 + 1);
    let too_large = Rejection::TooLarge { what: "commitment height", found: beyond.0 };
    append.pending.commitment.height = beyond;
    assert_eq!(host.refused(host.append_remote(point, append)).await, too_large);
    update.commitment.height = beyond;
    assert_eq!(host.refused(host.update_local(point, update)).await, too_large);
}

/// Circuits are kept in their order, with any numbers.
/// Obligations: `facet/read_back`.
pub(crate) async fn circuits_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let ends = [u64::MAX, 0, 1 << 63, i64::MAX as u64];
    let circuits = |ends: &[u64]| -> Vec<CircuitKey> {
        let circuit = |end: &u64| CircuitKey { scid: (*end).into(), htlc_id: HtlcId(!end) };
        ends.iter().map(circuit).collect()
    };
    let mut append = exchange.append();
    append.pending.opened_circuits = circuits(&ends);
    append.pending.closed_circuits = circuits(&[ends[0], ends[0], ends[2]]);
    host.append_remote(exchange.point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    host.reopen().await.check(&exchange).await;
}

/// Every number of a commitment and of its HTLCs is kept at both ends, on the peer's side too.
/// Obligations: `facet/read_back`.
pub(crate) async fn commitments_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::new(place).await;
    for (n, ends) in (1..).zip([0, i64::MAX as u64, 1 << 63, u64::MAX]) {
        let mut new = values::new_channel(n, peer(1));
        for commitment in [&mut new.local_commitment, &mut new.remote_commitment] {
            commitment.local_log_index = LogIndex(ends);
            commitment.local_htlc_index = HtlcId(ends);
            commitment.remote_log_index = LogIndex(ends);
            commitment.remote_htlc_index = HtlcId(ends);
            commitment.local_balance = MilliSatoshi(ends);
            commitment.remote_balance = MilliSatoshi(ends);
            commitment.commit_fee = Amount::from_sat(ends);
            commitment.fee_per_kw = Amount::from_sat(ends);
            commitment.htlcs = values::htlcs_both_ways(1);
            for htlc in &mut commitment.htlcs {
                htlc.id = HtlcId(ends.min(i64::MAX as u64));
                htlc.output_index = Some(ends as u32);
                htlc.signature = bytes("signature", ends, ends as usize % 200);
                htlc.terms.log_index = LogIndex(ends);
                htlc.terms.amount = MilliSatoshi(ends);
                htlc.terms.cltv_expiry = ends as u32;
                htlc.terms.payment_hash = [ends as u8; 32];
            }
        }
        let point = host.open_as(new.clone(), 1).await;
        let latest = host.latest_commitments(point).await.unwrap();
        assert_eq!(
            (&latest.local, &latest.remote),
            (&new.local_commitment, &new.remote_commitment)
        );
        let (total_sent, total_received) = (MilliSatoshi(ends), MilliSatoshi(!ends));
        let commitment = Commitment { height: CommitmentHeight(1), ..new.local_commitment };
        let unsigned_acked = Vec::new();
        let update = UpdateLocal { commitment, unsigned_acked, total_sent, total_received };
        host.update_local(point, update.clone()).await.unwrap();
        let channel = host.channel(point).await.unwrap();
        assert_eq!((channel.total_sent, channel.total_received), (total_sent, total_received));
        assert_eq!(channel.local_commitment, Some(update.commitment));
    }
    let before = host.all_channels().await.unwrap();
    assert_eq!(host.reopen().await.all_channels().await.unwrap(), before);
}

/// Every number of a summary is kept at both ends of its range, and the longest answer to a peer.
/// Obligations: `closed/resume`, `facet/read_back`.
pub(crate) async fn summaries_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::new(place).await;
    let all = [0, i64::MAX as u64, 1 << 63, u64::MAX];
    let summary = |n, ends: u64| CloseSummary {
        scid: ShortChannelId(ends),
        close_height: ends as u32,
        capacity: Amount::from_sat(ends),
        settled_balance: Amount::from_sat(ends),
        time_locked_balance: Amount::from_sat(ends),
        ..values::summary(n, outpoint(n), peer(2))
    };
    for (n, ends) in (1..).zip(all) {
        let point = host.open(n).await;
        let open = host.channel(point).await.unwrap();
        let answer = ParsedMessage::ChannelReestablish {
            channel_id: open.channel_id.0,
            next_commitment_number: ends,
            next_revocation_number: ends,
            data_loss: Some(chanstate::message::DataLoss {
                last_secret: [ends as u8; 32],
                commit_point: values::key("point", n),
            }),
            extra: long_tlvs(60_000),
        };
        let resume = Some(CloseResume {
            remote_current_point: open.revocation.current_point,
            remote_next_point: open.revocation.next_point,
            local_config: open.terms.local_config.clone(),
            reestablish: Some(answer.encode().unwrap()),
        });
        let summary = CloseSummary { resume, ..summary(n, ends) };
        host.close_channel(point, summary.clone(), ChannelStatus::empty()).await.unwrap();
        assert_eq!(host.closed_channel(point).await.unwrap(), summary);
    }
    let before = host.closed_channels(false).await.unwrap();
    assert_eq!(host.reopen().await.closed_channels(false).await.unwrap(), before);
}

/// Long keys and values of an opening are kept.
/// Obligations: `setup/any_bytes`, `facet/read_back`.
pub(crate) async fn long_opening_states_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let sizes = [(0, 1 << 18), (1, 0), (1_000, 1_000), (60_000, 100_000)];
    for (key, value) in sizes {
        let (key, value) = (bytes("key", 1, key), bytes("value", 1, value));
        host.save_opening_state(key, value).await.unwrap();
    }
    let host = host.reopen().await;
    for (key, value) in sizes {
        let found = host.opening_state(bytes("key", 1, key)).await.unwrap();
        assert_eq!(found, Some(bytes("value", 1, value)));
    }
}

/// The largest package that can be is stored, acknowledged, read back and removed.
/// Obligations: `backend/large`, `facet/durable`.
pub(crate) async fn a_package_may_have_65_535_updates(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    host.sign(&mut exchange).await;
    let mut advance = exchange.advance();
    let ends = (0..65_535).map(|n| values::fulfill(exchange.id, n, n)).collect();
    let package = &advance.package;
    advance.package = ForwardingPackage::new(package.source, package.height, vec![], ends);
    host.advance_tail(exchange.point, advance.clone()).await.unwrap();
    exchange.stored_advance(&advance);
    let last = SettleFailRef { source: exchange.scid, height: 1.into(), index: 65_534 };
    host.ack_settle_fails(&[last]).await.unwrap();
    let beyond = SettleFailRef { index: 65_535, ..last };
    assert!(host.ack_settle_fails(&[beyond]).await.is_err());
    drop(host);
    let host = Host::new(place).await;
    let found = host.packages(exchange.point).await.remove(0);
    let expected = ForwardingPackage {
        settle_fail_filter: advance.package.settle_fail_filter.with(65_534).unwrap(),
        ..advance.package
    };
    assert!(found == expected);
    host.remove_forwarding_packages(exchange.point, &[1.into()]).await.unwrap();
    assert_eq!(host.packages(exchange.point).await, []);
}
