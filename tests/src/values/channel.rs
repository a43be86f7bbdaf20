//! Channels, their commitments and what comes before and after them.

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint};
use bytes::Bytes;
use chanstate::shachain::derive_secret;
use chanstate::{
    ChannelConfig, ChannelShell, ChannelStatus, ChannelTerms, ChannelType, CloseKind, CloseSummary,
    Commitment, CommitmentHeight, Htlc, HtlcId, KeyDescriptor, KeyLocator, LogIndex, MilliSatoshi,
    NewChannel, ShortChannelId, Side,
};
use linknode::{Address, LinkNode, Network};

use super::{bytes, bytes32, der_signature, key, outpoint, peer, point_of, script, tx};

/// Value of every channel.
const CAPACITY: u64 = 10_000_000;

/// Seed of the peer's revocation secrets in channel `n`.
pub fn peer_seed(n: u64) -> [u8; 32] {
    bytes32("peer seed", n)
}

/// The peer's commitment point for a height in channel `n`.
pub fn peer_point(n: u64, height: u64) -> PublicKey {
    point_of(derive_secret(&peer_seed(n), height).expect("the height is in range"))
}

/// Every type bit with a name, and one without.
pub fn every_type_bit() -> Vec<ChannelType> {
    let named = (0..13).map(|bit| ChannelType::from_bits_retain(1 << bit));
    named.chain([ChannelType::from_bits_retain(1 << 63)]).collect()
}

fn config(n: u64, side: Side) -> ChannelConfig {
    let ours = side == Side::Local;
    let descriptor = |family: u32| KeyDescriptor {
        locator: if ours { KeyLocator { family, index: n as u32 } } else { KeyLocator::default() },
        public_key: Some(key(if ours { "our base" } else { "their base" }, n ^ u64::from(family))),
    };
    ChannelConfig {
        dust_limit: Amount::from_sat(354),
        max_pending_amount: MilliSatoshi(CAPACITY * 990),
        channel_reserve: Amount::from_sat(CAPACITY / 100),
        min_htlc: MilliSatoshi(1),
        max_accepted_htlcs: 483,
        csv_delay: 144,
        multisig_key: descriptor(0),
        revocation_base_point: descriptor(1),
        payment_base_point: descriptor(3),
        delay_base_point: descriptor(4),
        htlc_base_point: descriptor(2),
    }
}

/// Terms of channel `n`, with every optional field set.
pub fn terms(n: u64) -> ChannelTerms {
    ChannelTerms {
        initiator: n.is_multiple_of(2),
        channel_flags: 1,
        confirmations_required: 3,
        funding_broadcast_height: 799_000,
        capacity: Amount::from_sat(CAPACITY),
        local_config: config(n, Side::Local),
        remote_config: config(n, Side::Remote),
        revocation_root: bytes32("our seed", n),
        revocation_root_locator: Some(KeyLocator { family: 5, index: n as u32 }),
        funding_tx: Some(Arc::new(tx(outpoint(n + 1_000_000), n, 2))),
        initial_local_balance: Some(MilliSatoshi(CAPACITY * 600)),
        initial_remote_balance: Some(MilliSatoshi(CAPACITY * 400)),
        memo: Some(Bytes::from(format!("channel {n}"))),
        tapscript_root: Some(bytes32("tapscript", n)),
        custom_blob: Some(bytes("custom channel", n, 100)),
        thaw_height: Some(900_000),
        local_upfront_shutdown: Some(script(n)),
        remote_upfront_shutdown: Some(script(n + 1)),
        unknown_tlvs: Bytes::from_static(&[0xfd, 0x01, 0xff, 0x02, 0xab, 0xcd]),
    }
}

/// A commitment of channel `n`. Its balances fit no rule but are its own.
pub fn commitment(n: u64, side: Side, height: u64, htlcs: Vec<Htlc>) -> Commitment {
    let ids = |direction| htlcs.iter().filter(move |htlc| htlc.direction == direction).count();
    let ours = ids(chanstate::Direction::Outgoing) as u64;
    let theirs = ids(chanstate::Direction::Incoming) as u64;
    let mark = (n << 20) ^ (height << 1) ^ side as u64;
    // Only we broadcast, so the peer's commitment carries no signatures for us.
    let signed = |htlc: Htlc| match side {
        Side::Local => htlc,
        Side::Remote => Htlc { signature: Bytes::new(), ..htlc },
    };
    Commitment {
        height: CommitmentHeight(height),
        local_log_index: LogIndex(ours),
        local_htlc_index: HtlcId(ours),
        remote_log_index: LogIndex(theirs),
        remote_htlc_index: HtlcId(theirs),
        local_balance: MilliSatoshi(CAPACITY * 600 - height),
        remote_balance: MilliSatoshi(CAPACITY * 400 + height),
        commit_fee: Amount::from_sat(183 + height),
        fee_per_kw: Amount::from_sat(253),
        commit_tx: Arc::new(tx(outpoint(n), mark, 2 + htlcs.len())),
        commit_sig: if side == Side::Local { der_signature(mark) } else { Bytes::new() },
        htlcs: htlcs.into_iter().map(signed).collect(),
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
    }
}

/// Channel `n`, pending, with `peer`, without HTLCs.
pub fn new_channel(n: u64, peer: PublicKey) -> NewChannel {
    NewChannel {
        funding_outpoint: outpoint(n),
        peer,
        chain: ChainHash::REGTEST,
        terms: terms(n),
        channel_type: ChannelType::STATIC_REMOTE_KEY | ChannelType::ANCHORS,
        scid: ShortChannelId(0),
        remote_current_point: peer_point(n, 0),
        remote_next_point: Some(peer_point(n, 1)),
        local_commitment: commitment(n, Side::Local, 0, Vec::new()),
        remote_commitment: commitment(n, Side::Remote, 0, Vec::new()),
    }
}

/// What a static backup holds of channel `n`.
pub fn shell(n: u64, peer: PublicKey) -> ChannelShell {
    ChannelShell {
        funding_outpoint: outpoint(n),
        peer,
        chain: ChainHash::REGTEST,
        terms: ChannelTerms {
            funding_tx: None,
            memo: None,
            custom_blob: None,
            tapscript_root: None,
            unknown_tlvs: Bytes::new(),
            ..terms(n)
        },
        channel_type: ChannelType::STATIC_REMOTE_KEY,
        status: ChannelStatus::LOCAL_DATA_LOSS,
        scid: ShortChannelId(700_000 << 40 | n),
        remote_current_point: key("placeholder", n),
    }
}

/// Link node of peer `n`, with one address of each kind that we know.
pub fn link_node(n: u64) -> LinkNode {
    LinkNode {
        node_id: peer(n),
        network: Network::REGTEST,
        last_seen: 1_700_000_000 + n,
        addresses: vec![
            Address::Ipv4 { ip: [10, 0, 0, n as u8].into(), port: 9735 },
            Address::Ipv6 { ip: [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(), port: 9736 },
            Address::TorV3 { service: [n as u8; 35], port: 9737 },
        ],
    }
}

/// Summary of a cooperative close of channel `n` that is not resolved yet.
pub fn summary(n: u64, point: OutPoint, peer: PublicKey) -> CloseSummary {
    CloseSummary {
        channel_point: point,
        scid: ShortChannelId(700_000 << 40 | n),
        chain: ChainHash::REGTEST,
        closing_txid: tx(point, n, 2).compute_txid(),
        close_height: 810_000,
        peer,
        capacity: Amount::from_sat(CAPACITY),
        settled_balance: Amount::from_sat(5_999_000),
        time_locked_balance: Amount::ZERO,
        kind: CloseKind::Cooperative,
        pending: true,
        resume: None,
    }
}
