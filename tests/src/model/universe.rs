//! The few channels, peers and ids that operations choose from.

use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::{
    ChannelId, ChannelShell, CloseSummary, CommitmentHeight, ForwardingPolicy, HtlcId,
    MilliSatoshi, NewChannel, ShortChannelId,
};
use linknode::{Address, LinkNode};

use super::call::About;
use super::state::Model;
use crate::reads::Asked;
use crate::{Exchange, values};

/// Number of channels. The last one has the id of the first.
pub(super) const CHANNELS: u8 = 6;
/// Number of peers.
pub(super) const PEERS: u8 = 3;
/// Number of short channel ids that a channel can get.
pub(super) const SCIDS: u8 = 4;
/// Number of HTLC ids with an outcome on chain. The last one is too large.
pub(super) const ONCHAIN_IDS: u8 = 5;
/// Number of keys of opening states.
pub(super) const OPENING_KEYS: u8 = 3;
/// Number of addresses. The last one is too long.
pub(super) const ADDRESSES: u8 = 6;

/// Outpoint of a channel.
pub(super) fn point(channel: u8) -> OutPoint {
    if channel + 1 < CHANNELS {
        return values::outpoint(number(channel));
    }
    // BOLT 2 takes 16 bits of the output index.
    let first = point(0);
    OutPoint::new(first.txid, first.vout + 0x1_0000)
}

/// The number that the values of a channel depend on.
pub(super) fn number(channel: u8) -> u64 {
    u64::from(channel) + 1
}

/// Both sides of a channel that was just opened.
pub(super) fn exchange(at: OutPoint, scid: ShortChannelId) -> Exchange {
    let channel = (0..CHANNELS).find(|channel| point(*channel) == at).expect("one of ours");
    Exchange::at(at, number(channel), scid)
}

/// A channel that runs under an alias from the beginning.
pub(super) fn new_channel(channel: u8, with: u8) -> NewChannel {
    NewChannel {
        funding_outpoint: point(channel),
        scid: scid(channel, 0),
        ..values::new_channel(number(channel), peer(with))
    }
}

pub(super) fn shell(channel: u8, with: u8) -> ChannelShell {
    let shell = values::shell(number(channel), peer(with));
    ChannelShell { funding_outpoint: point(channel), ..shell }
}

pub(super) fn summary(channel: u8, with: PublicKey) -> CloseSummary {
    values::summary(number(channel), point(channel), with)
}

pub(super) fn peer(n: u8) -> PublicKey {
    values::peer(n.into())
}

pub(super) fn link_node(n: u8, address_too_long: bool) -> LinkNode {
    let mut node = values::link_node(n.into());
    node.addresses.extend(address_too_long.then(|| address(ADDRESSES - 1)));
    node
}

pub(super) fn address(n: u8) -> Address {
    match n {
        0..=2 => values::link_node(0).addresses[usize::from(n)].clone(),
        3 => Address::Dns { host: Bytes::from_static(b"node.example"), port: 9 },
        4 => Address::Opaque(Bytes::from_static(&[4, 2])),
        _ => Address::Dns { host: vec![b'a'; 256].into(), port: 1 },
    }
}

/// A short channel id: two of the channel's own, an alias over 2^63 among them, and two that all
/// channels share.
pub(super) fn scid(channel: u8, which: u8) -> ShortChannelId {
    ShortChannelId(match which {
        0 => 800_000 << 40 | number(channel) << 16,
        1 => 1 << 63 | number(channel),
        shared => u64::from(shared),
    })
}

pub(super) fn onchain_id(n: u8) -> HtlcId {
    HtlcId(if n + 1 < ONCHAIN_IDS { n.into() } else { 1 << 63 })
}

pub(super) fn opening_key(n: u8) -> Bytes {
    // One key is the beginning of another.
    Bytes::from(vec![7; usize::from(n)])
}

pub(super) fn policy(n: u8) -> ForwardingPolicy {
    ForwardingPolicy {
        min_htlc: MilliSatoshi(n.into()),
        max_htlc: MilliSatoshi(u64::MAX),
        base_fee: MilliSatoshi(1000),
        fee_rate: n.into(),
        time_lock_delta: 40,
    }
}

/// Everything there is to ask about.
pub(super) fn everything(model: &Model) -> Asked {
    let channels = || 0..CHANNELS;
    let shared_scids = (0..SCIDS).flat_map(|which| channels().map(move |c| scid(c, which)));
    let scids = shared_scids.chain([ShortChannelId(0)]);
    let mut htlcs: Vec<_> = model.finals.keys().copied().collect();
    htlcs.extend(scids.map(|scid| (scid, HtlcId(0))));
    let revoked = model.channels.values().map(|channel| channel.exchange.revoked.len());
    Asked {
        points: channels().map(point).collect(),
        heights: 0..revoked.max().unwrap_or(0) as u64 + 1,
        peers: (0..PEERS).map(peer).collect(),
        htlcs,
        opening_keys: (0..OPENING_KEYS).map(opening_key).collect(),
        policy_ids: channels().map(|channel| ChannelId::from_outpoint(point(channel))).collect(),
    }
}

/// What to ask after a call.
pub(super) fn about(model: &Model, about: About) -> Asked {
    match about {
        About::Channels => everything(model),
        About::Others => Asked { points: Vec::new(), ..everything(model) },
        About::Channel(point) => {
            let channel = model.channels.get(&point);
            let revoked = channel.map_or(0, |channel| channel.exchange.revoked.len()) as u64;
            let peers = channel.iter().map(|channel| channel.view.peer).collect();
            let heights = revoked.saturating_sub(2)..revoked + 1;
            Asked { heights, peers, ..Asked::about(&[point]) }
        }
    }
}

/// The height of one of a channel's packages, the newest for 0; one without a package if there is
/// none.
pub(super) fn package_height(model: &Model, channel: u8, pick: u8) -> CommitmentHeight {
    let packages = model.channels.get(&point(channel)).map(|channel| &channel.exchange.packages);
    let heights: Vec<_> = packages.into_iter().flatten().map(|(height, _)| *height).collect();
    let absent = CommitmentHeight(1000);
    let newest = heights.iter().rev().nth(usize::from(pick));
    newest.or(heights.first()).copied().unwrap_or(absent)
}
