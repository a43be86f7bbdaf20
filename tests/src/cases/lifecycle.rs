//! From pending to open.

use std::sync::Arc;

use bitcoin::ScriptBuf;
use bytes::Bytes;
use channelcoord::PeerChannelStore;
use chanstate::facet::{ClosedChannelStore, LifecycleStore, OpenChannelStore, StatusStore};
use chanstate::{
    Channel, ChannelId, ChannelStatus, ChannelTerms, ChannelType, KeyDescriptor, MilliSatoshi,
    Rejection, ShortChannelId, Side,
};

use crate::values::{self, outpoint, peer};
use crate::{Host, Place, Reads};

/// A channel reads back as it was opened, field by field, also after the store was opened again.
/// Obligations: `facet/read_back`, `facet/reopened`.
pub(crate) async fn a_new_channel_reads_back_whole(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut new = values::new_channel(1, peer(1));
    new.local_commitment = values::commitment(1, Side::Local, 0, values::htlcs_both_ways(3));
    new.remote_commitment = values::commitment(1, Side::Remote, 0, values::htlcs_both_ways(3));
    new.local_commitment.custom_blob = Some(values::bytes("blob", 1, 300));
    new.scid = ShortChannelId(7);
    let point = host.open_as(new.clone(), 1).await;

    let channel = host.channel(point).await.unwrap();
    assert_eq!(channel.funding_outpoint, point);
    assert_eq!(channel.channel_id, ChannelId::from_outpoint(point));
    assert_eq!((channel.peer, channel.chain), (new.peer, new.chain));
    assert_eq!(*channel.terms, new.terms);
    assert_eq!(channel.channel_type, new.channel_type);
    assert_eq!((channel.status, channel.pending), (ChannelStatus::empty(), true));
    assert_eq!((channel.scid, channel.confirmed_scid), (new.scid, None));
    assert_eq!((channel.confirmation_height, channel.close_confirmation_height), (None, None));
    assert_eq!(channel.last_was_revoke, None);
    let totals = (channel.total_sent, channel.total_received);
    assert_eq!(totals, (MilliSatoshi(0), MilliSatoshi(0)));
    assert_eq!(channel.local_commitment.as_ref(), Some(&new.local_commitment));
    assert_eq!(channel.remote_commitment.as_ref(), Some(&new.remote_commitment));
    assert_eq!(channel.revocation.current_point, new.remote_current_point);
    assert_eq!(channel.revocation.next_point, new.remote_next_point);
    assert_eq!(channel.revocation.secrets.secrets_received(), 0);

    let host = host.reopen().await;
    assert_eq!(host.channel(point).await.unwrap(), channel);
    assert_eq!(host.refresh(point).await.unwrap(), channel);
}

/// Absent, empty and zero are three different things in every optional term.
/// Obligations: `facet/read_back`.
pub(crate) async fn absent_empty_and_zero_terms_differ(place: &dyn Place) {
    let host = Host::new(place).await;
    let absent = ChannelTerms {
        revocation_root_locator: None,
        funding_tx: None,
        initial_local_balance: None,
        initial_remote_balance: None,
        memo: None,
        tapscript_root: None,
        custom_blob: None,
        thaw_height: None,
        local_upfront_shutdown: None,
        remote_upfront_shutdown: None,
        unknown_tlvs: Bytes::new(),
        ..values::terms(1)
    };
    let mut empty = ChannelTerms {
        initial_local_balance: Some(MilliSatoshi(0)),
        initial_remote_balance: Some(MilliSatoshi(u64::MAX)),
        memo: Some(Bytes::new()),
        tapscript_root: Some([0; 32]),
        custom_blob: Some(Bytes::new()),
        thaw_height: Some(0),
        local_upfront_shutdown: Some(ScriptBuf::new()),
        remote_upfront_shutdown: Some(ScriptBuf::new()),
        revocation_root_locator: Some(Default::default()),
        ..values::terms(2)
    };
    let no_key = KeyDescriptor { public_key: None, ..empty.remote_config.htlc_base_point };
    empty.remote_config.htlc_base_point = no_key;
    let half = ChannelTerms {
        local_upfront_shutdown: Some(values::script(3)),
        remote_upfront_shutdown: None,
        ..values::terms(3)
    };
    let all = [(1, absent), (2, empty), (3, half)];
    for (n, terms) in &all {
        let mut new = values::new_channel(*n, peer(*n));
        new.terms = terms.clone();
        new.remote_next_point = None;
        host.open_as(new, *n).await;
    }
    let host = host.reopen().await;
    for (n, terms) in all {
        let channel = host.channel(outpoint(n)).await.unwrap();
        assert_eq!(*channel.terms, terms);
        assert_eq!(channel.revocation.next_point, None);
    }
}

/// Each type bit is kept, one without a name too.
/// Obligations: `facet/read_back`.
pub(crate) async fn every_channel_type_bit_is_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let types: Vec<ChannelType> = values::every_type_bit();
    for (n, channel_type) in (1..).zip(&types) {
        let new = values::new_channel(n, peer(1));
        host.open_as(chanstate::NewChannel { channel_type: *channel_type, ..new }, 1).await;
    }
    let host = host.reopen().await;
    for (n, channel_type) in (1..).zip(&types) {
        assert_eq!(host.channel(outpoint(n)).await.unwrap().channel_type, *channel_type);
    }
}

/// Marking a channel open ends its pending state and sets the scid, and nothing else.
/// Obligations: `lifecycle/opened`, `lifecycle/own_field`.
pub(crate) async fn a_pending_channel_opens_under_its_scid(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let before = host.channel(point).await.unwrap();
    assert_eq!(host.pending_channels().await.unwrap(), std::slice::from_ref(&before));
    let scid = ShortChannelId(800_001 << 40 | 5 << 16 | 1);
    host.mark_open(point, scid).await.unwrap();

    let host = host.reopen().await;
    let after = host.channel(point).await.unwrap();
    assert_eq!(after, chanstate::Channel { pending: false, scid, ..before });
    assert_eq!(host.pending_channels().await.unwrap(), []);
    assert_eq!(host.open_channels().await.unwrap(), [after]);
}

/// Both confirmation heights are kept, zero too, and the one of the close can be cleared.
/// Obligations: `lifecycle/heights`.
pub(crate) async fn confirmation_heights_are_set_and_cleared(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let heights = async |host: &Host<'_>| {
        let channel = host.channel(point).await.unwrap();
        (channel.confirmation_height, channel.close_confirmation_height)
    };
    host.set_confirmation_height(point, 0).await.unwrap();
    assert_eq!(heights(&host).await, (Some(0), None));
    host.set_close_confirmation_height(point, Some(u32::MAX)).await.unwrap();
    host.set_confirmation_height(point, 800_001).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(heights(&host).await, (Some(800_001), Some(u32::MAX)));
    host.set_close_confirmation_height(point, None).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(heights(&host).await, (Some(800_001), None));
}

/// A zero-conf channel keeps its alias beside the confirmed scid; either may exceed 2^63.
/// Obligations: `lifecycle/two_scids`, `lifecycle/alias`.
pub(crate) async fn an_alias_over_2_63_stays_beside_the_confirmed_scid(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let alias = ShortChannelId(u64::MAX);
    host.mark_open(point, alias).await.unwrap();
    host.set_confirmed_scid(point, ShortChannelId(1 << 63)).await.unwrap();
    host.set_scid_alias_negotiated(point).await.unwrap();
    let host = host.reopen().await;
    let channel = host.channel(point).await.unwrap();
    assert_eq!((channel.scid, channel.confirmed_scid), (alias, Some(ShortChannelId(1 << 63))));
    assert!(channel.channel_type.contains(ChannelType::SCID_ALIAS_FEATURE));
}

/// Asking for what is stored writes nothing.
/// Obligations: `facet/repeated`.
pub(crate) async fn repeated_calls_write_nothing(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let scid = ShortChannelId(9);
    for repeated in [false, true] {
        let before = host.standing().await;
        host.mark_open(point, scid).await.unwrap();
        host.set_confirmed_scid(point, scid).await.unwrap();
        host.set_confirmation_height(point, 8).await.unwrap();
        host.set_close_confirmation_height(point, Some(9)).await.unwrap();
        host.set_scid_alias_negotiated(point).await.unwrap();
        assert_eq!(host.standing().await == before, repeated);
    }
    host.set_close_confirmation_height(point, None).await.unwrap();
    host.still(host.set_close_confirmation_height(point, None)).await.unwrap();
}

/// The chain does not ask for a channel's status.
/// Obligations: `lifecycle/any_status`, `status/borked`.
pub(crate) async fn a_borked_channel_still_follows_the_chain(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    host.mark_borked(point).await.unwrap();
    host.mark_open(point, ShortChannelId(9)).await.unwrap();
    host.set_confirmation_height(point, 8).await.unwrap();
    host.set_close_confirmation_height(point, Some(9)).await.unwrap();
    host.set_confirmed_scid(point, ShortChannelId(10)).await.unwrap();
    host.set_scid_alias_negotiated(point).await.unwrap();
    let channel = host.channel(point).await.unwrap();
    assert!(!channel.pending && channel.status == ChannelStatus::BORKED);
}

/// A refreshed value is a new one: values taken before do not change, absent fields are absent.
/// Obligations: `lifecycle/refreshed`, `facet/own_value`.
pub(crate) async fn refresh_shows_what_is_stored_now(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let taken = host.channel(point).await.unwrap();
    host.set_close_confirmation_height(point, Some(9)).await.unwrap();
    assert_eq!(taken.close_confirmation_height, None);
    let refreshed = host.refresh(point).await.unwrap();
    assert_eq!(refreshed.close_confirmation_height, Some(9));
    assert!(Arc::ptr_eq(&taken.terms, &refreshed.terms), "what did not change is shared");
    host.set_close_confirmation_height(point, None).await.unwrap();
    assert_eq!(host.refresh(point).await.unwrap(), taken);

    let summary = values::summary(1, point, peer(1));
    host.close_channel(point, summary, ChannelStatus::COOP_BROADCASTED).await.unwrap();
    let closed = host.refresh(point).await.unwrap();
    assert_eq!(closed, chanstate::Channel { status: ChannelStatus::COOP_BROADCASTED, ..taken });
}

/// Unknown channels are told from closed ones, and neither is changed.
/// Obligations: `facet/unknown_channel`, `facet/closed_channel`.
pub(crate) async fn unknown_and_closed_channels_are_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let closed = host.open(1).await;
    host.close_and_reclaim(1, closed).await;
    let refusals = [
        (outpoint(2), Rejection::UnknownChannel(outpoint(2))),
        (closed, Rejection::AlreadyClosed(closed)),
    ];
    for (point, refusal) in refusals {
        let scid = ShortChannelId(9);
        assert_eq!(host.refused(host.mark_open(point, scid)).await, refusal);
        assert_eq!(host.refused(host.set_confirmed_scid(point, scid)).await, refusal);
        assert_eq!(host.refused(host.set_confirmation_height(point, 1)).await, refusal);
        let cleared = host.set_close_confirmation_height(point, None);
        assert_eq!(host.refused(cleared).await, refusal);
        assert_eq!(host.refused(host.set_scid_alias_negotiated(point)).await, refusal);
    }
    let unknown = host.refused(host.refresh(outpoint(2))).await;
    assert_eq!(unknown, Rejection::UnknownChannel(outpoint(2)));
}

/// Opening a store changes nothing that can be read, however often.
/// Obligations: `facet/reopened`.
pub(crate) async fn opening_a_store_twice_changes_nothing(place: &dyn Place) {
    let host = Host::new(place).await;
    assert_eq!(host.all_channels().await.unwrap(), []);
    let host = host.reopen().await;
    let points = [host.open(1).await, host.open_with(2, 1).await];
    let reads = Reads::of(&host, &points).await;
    let (seq, host) = (host.seq(), host.reopen().await.reopen().await);
    assert_eq!(host.seq(), seq);
    assert_eq!(Reads::of(&host, &points).await, reads);
}

/// Whatever the order of the chain's events, a channel ends up the same.
/// Obligations: `lifecycle/own_field`, `lifecycle/two_scids`, `lifecycle/alias`.
pub(crate) async fn changes_come_in_any_order(place: &dyn Place) {
    let host = Host::new(place).await;
    let change = async |point, which| match which {
        0 => host.mark_open(point, ShortChannelId(7)).await,
        1 => host.set_confirmed_scid(point, ShortChannelId(8)).await,
        2 => host.set_scid_alias_negotiated(point).await,
        3 => host.set_confirmation_height(point, 9).await,
        _ => host.set_close_confirmation_height(point, Some(10)).await,
    };
    // Each change comes first and last, and each pair in both orders.
    for n in 0..10 {
        let point = host.open(n).await;
        let before = host.channel(point).await.unwrap();
        for step in 0..5 {
            change(point, if n < 5 { (n + step) % 5 } else { (2 * n - step) % 5 }).await.unwrap();
        }
        let expected = Channel {
            pending: false,
            scid: ShortChannelId(7),
            confirmed_scid: Some(ShortChannelId(8)),
            channel_type: before.channel_type | ChannelType::SCID_ALIAS_FEATURE,
            confirmation_height: Some(9),
            close_confirmation_height: Some(10),
            ..before
        };
        assert_eq!(host.channel(point).await.unwrap(), expected, "order {n}");
    }
}

/// Short channel ids and heights are kept from zero to the largest, and zero is not absent.
/// Obligations: `facet/read_back`, `lifecycle/heights`, `lifecycle/two_scids`.
pub(crate) async fn scids_and_heights_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::new(place).await;
    let scids = [0, 1, i64::MAX as u64, 1 << 63, u64::MAX].map(ShortChannelId);
    let heights = [0, 1, i32::MAX as u32, 1 << 31, u32::MAX];
    for (n, (scid, height)) in (1..).zip(scids.into_iter().zip(heights)) {
        let point = host.open(n).await;
        host.mark_open(point, scid).await.unwrap();
        host.set_confirmed_scid(point, scid).await.unwrap();
        host.set_confirmation_height(point, height).await.unwrap();
        host.set_close_confirmation_height(point, Some(height)).await.unwrap();
    }
    let host = host.reopen().await;
    for (n, (scid, height)) in (1..).zip(scids.into_iter().zip(heights)) {
        let channel = host.channel(outpoint(n)).await.unwrap();
        assert_eq!((channel.scid, channel.confirmed_scid), (scid, Some(scid)));
        assert_eq!(channel.confirmation_height, Some(height));
        assert_eq!(channel.close_confirmation_height, Some(height));
    }
}

/// After a reorganization a channel is marked open again, under another short channel id and at
/// another height.
/// Obligations: `lifecycle/opened`, `lifecycle/heights`, `lifecycle/two_scids`.
pub(crate) async fn a_channel_that_moves_takes_its_new_scid(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    for n in [1, 2] {
        host.mark_open(point, ShortChannelId(n)).await.unwrap();
        host.set_confirmed_scid(point, ShortChannelId(10 + n)).await.unwrap();
        host.set_confirmation_height(point, n as u32).await.unwrap();
        let channel = host.refresh(point).await.unwrap();
        assert_eq!((channel.scid.0, channel.confirmed_scid), (n, Some(ShortChannelId(10 + n))));
        assert_eq!((channel.confirmation_height, channel.pending), (Some(n as u32), false));
    }
}

/// A shell follows the chain too, and stays a shell.
/// Obligations: `lifecycle/any_status`, `lifecycle/refreshed`.
pub(crate) async fn a_shell_follows_the_chain(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = outpoint(1);
    let shells = vec![(values::shell(1, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    let before = host.refresh(point).await.unwrap();
    host.mark_open(point, ShortChannelId(9)).await.unwrap();
    host.set_confirmed_scid(point, ShortChannelId(10)).await.unwrap();
    host.set_confirmation_height(point, 8).await.unwrap();
    host.set_close_confirmation_height(point, Some(11)).await.unwrap();
    let host = host.reopen().await;
    let expected = Channel {
        scid: ShortChannelId(9),
        confirmed_scid: Some(ShortChannelId(10)),
        confirmation_height: Some(8),
        close_confirmation_height: Some(11),
        ..before
    };
    assert_eq!(host.refresh(point).await.unwrap(), expected);
}
