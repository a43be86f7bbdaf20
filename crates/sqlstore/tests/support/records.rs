//! Ordinary records.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version as TxVersion;
use bitcoin::{Amount, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use bytes::Bytes;

use chanstate::message::Message;
use chanstate::record::*;
use chanstate::*;
use linknode::{Address, LinkAddressRecord, LinkNodeRecord};

pub(crate) fn point(number: u8) -> PublicKey {
    let secret = SecretKey::from_slice(&[number; 32]).unwrap();
    PublicKey::from_secret_key(&Secp256k1::new(), &secret)
}

/// A txid whose bytes count up from `first`, so that its order shows.
pub(crate) fn txid(first: u8) -> Txid {
    Txid::from_byte_array(std::array::from_fn(|index| first.wrapping_add(index as u8)))
}

pub(crate) fn transaction(value: u64) -> Arc<Transaction> {
    let script_pubkey = ScriptBuf::from_bytes(vec![0x51]);
    Arc::new(Transaction {
        version: TxVersion::TWO,
        lock_time: LockTime::ZERO,
        input: vec![],
        output: vec![TxOut { value: Amount::from_sat(value), script_pubkey }],
    })
}

pub(crate) fn message(body: &[u8]) -> Message {
    Message::new([&[0, 130][..], body].concat()).unwrap()
}

pub(crate) fn channel(no: u64) -> ChannelRecord {
    let funding_outpoint = OutPoint::new(txid(no as u8), 1);
    ChannelRecord {
        no: ChannelNo(no),
        version: Version::ABSENT,
        funding_outpoint,
        channel_id: ChannelId::from_outpoint(funding_outpoint),
        peer: point(7),
        chain: ChainHash::using_genesis_block(Network::Regtest),
        closed: false,
        pending: false,
        channel_type: ChannelType::STATIC_REMOTE_KEY | ChannelType::ANCHORS,
        status: ChannelStatus::empty(),
        scid: ShortChannelId(700_000 << 40 | 12 << 16 | 1),
        confirmed_scid: None,
        confirmation_height: Some(700_000),
        close_confirmation_height: None,
        local_height: Some(CommitmentHeight(4)),
        remote_height: Some(CommitmentHeight(5)),
        has_pending: false,
        last_was_revoke: Some(true),
        total_sent: MilliSatoshi(1_000),
        total_received: MilliSatoshi(2_000),
        remote_current_point: point(8),
        remote_next_point: Some(point(9)),
        next_secret_index: (1 << 48) - 6,
    }
}

fn descriptor(number: u8) -> KeyDescriptor {
    let locator = KeyLocator { family: number.into(), index: 1 };
    KeyDescriptor { locator, public_key: Some(point(number)) }
}

/// A configuration whose every field differs from that of another `number`.
pub(crate) fn config(number: u8) -> ChannelConfig {
    let amount = 1000 * u64::from(number);
    ChannelConfig {
        dust_limit: Amount::from_sat(amount + 1),
        max_pending_amount: MilliSatoshi(amount + 2),
        channel_reserve: Amount::from_sat(amount + 3),
        min_htlc: MilliSatoshi(amount + 4),
        max_accepted_htlcs: 480 + u16::from(number),
        csv_delay: 144 + u16::from(number),
        multisig_key: descriptor(number + 1),
        revocation_base_point: descriptor(number + 2),
        payment_base_point: descriptor(number + 3),
        delay_base_point: descriptor(number + 4),
        htlc_base_point: descriptor(number + 5),
    }
}

pub(crate) fn terms(no: u64) -> TermsRecord {
    let terms = ChannelTerms {
        initiator: true,
        channel_flags: 1,
        confirmations_required: 3,
        funding_broadcast_height: 699_990,
        capacity: Amount::from_sat(5_000_000),
        local_config: config(10),
        remote_config: config(20),
        revocation_root: [3; 32],
        revocation_root_locator: Some(KeyLocator { family: 5, index: 6 }),
        funding_tx: Some(transaction(5_000_000)),
        initial_local_balance: Some(MilliSatoshi(5_000_000_000)),
        initial_remote_balance: Some(MilliSatoshi(0)),
        memo: Some(Bytes::from_static("für später".as_bytes())),
        tapscript_root: Some([4; 32]),
        custom_blob: Some(Bytes::from_static(b"blob")),
        thaw_height: Some(800_000),
        local_upfront_shutdown: Some(ScriptBuf::from_bytes(vec![0x51, 0x20])),
        remote_upfront_shutdown: Some(ScriptBuf::from_bytes(vec![0x00, 0x14])),
        unknown_tlvs: Bytes::from_static(&[99, 1, 0]),
    };
    TermsRecord { no: ChannelNo(no), terms: Arc::new(terms) }
}

pub(crate) fn htlc_terms(amount: u64) -> HtlcTerms {
    HtlcTerms {
        log_index: LogIndex(17),
        amount: MilliSatoshi(amount),
        payment_hash: [5; 32],
        cltv_expiry: 700_144,
        onion: vec![6; ONION_LEN].into(),
        extra: Bytes::from_static(&[0, 1, 2]),
    }
}

pub(crate) fn htlc(no: u64, direction: Direction, id: u64) -> HtlcRecord {
    HtlcRecord { no: ChannelNo(no), direction, id: HtlcId(id), terms: htlc_terms(30_000) }
}

pub(crate) fn commitment(no: u64, side: Side, height: u64) -> CommitmentRecord {
    let slot = HtlcSlot {
        key: HtlcKey { direction: Direction::Incoming, id: HtlcId(1) },
        output_index: Some(2),
        signature: vec![7; 64].into(),
        own_terms: Some(Box::new(htlc_terms(1))),
    };
    CommitmentRecord {
        no: ChannelNo(no),
        side,
        height: CommitmentHeight(height),
        local_log_index: LogIndex(1),
        local_htlc_index: HtlcId(2),
        remote_log_index: LogIndex(3),
        remote_htlc_index: HtlcId(4),
        local_balance: MilliSatoshi(3_000_000_000),
        remote_balance: MilliSatoshi(1_999_000_000),
        commit_fee: Amount::from_sat(970),
        fee_per_kw: Amount::from_sat(253),
        commit_tx: transaction(3_000_000),
        commit_sig: vec![8; 71].into(),
        slots: vec![slot],
        custom_blob: Some(Bytes::new()),
        unknown_tlvs: Bytes::from_static(&[1]),
    }
}

pub(crate) fn revoked_state(no: u64, height: u64) -> RevokedStateRecord {
    let htlc = RevokedHtlc {
        direction: Direction::Incoming,
        id: Some(HtlcId(3)),
        payment_hash: [9; 32],
        amount_sat: u64::MAX,
        cltv_expiry: u32::MAX,
        output_index: u16::MAX,
        custom_records: Some(Bytes::new()),
    };
    let state = RevokedState {
        height: CommitmentHeight(height),
        our_output_index: Some(0),
        their_output_index: None,
        commit_txid: txid(1),
        our_balance: Some(MilliSatoshi(u64::MAX)),
        their_balance: None,
        htlcs: vec![htlc],
        custom_blob: Some(Bytes::new()),
        residue: Bytes::from_static(b"residue"),
    };
    RevokedStateRecord { no: ChannelNo(no), state }
}

pub(crate) fn package(source: u64, height: u64, no: Option<u64>) -> PackageRecord {
    PackageRecord {
        source: ShortChannelId(source),
        height: CommitmentHeight(height),
        no: no.map(ChannelNo),
        forward_filter: None,
    }
}

pub(crate) fn package_update(
    source: u64,
    height: u64,
    list: PackageList,
    index: u16,
) -> PackageUpdateRecord {
    let body = match list {
        PackageList::Adds => UpdateBody::Add(HtlcId(u64::MAX)),
        PackageList::SettleFails => UpdateBody::Message(message(&[1; 40])),
    };
    PackageUpdateRecord {
        source: ShortChannelId(source),
        height: CommitmentHeight(height),
        list,
        index,
        update: UpdateRef { log_index: LogIndex(u64::MAX), body },
        acked: false,
    }
}

pub(crate) fn close(no: u64) -> CloseRecord {
    let resume = CloseResume {
        remote_current_point: point(8),
        remote_next_point: None,
        local_config: config(10),
        reestablish: Some(message(&[2; 20])),
    };
    let summary = CloseSummary {
        channel_point: OutPoint::new(txid(no as u8), 1),
        scid: ShortChannelId(700_000 << 40 | 12 << 16 | 1),
        chain: ChainHash::using_genesis_block(Network::Regtest),
        closing_txid: txid(100),
        close_height: 710_000,
        peer: point(7),
        capacity: Amount::from_sat(5_000_000),
        settled_balance: Amount::from_sat(3_000_000),
        time_locked_balance: Amount::from_sat(11),
        kind: CloseKind::LocalForce,
        pending: true,
        resume: Some(resume),
    };
    CloseRecord { no: ChannelNo(no), status_before: ChannelStatus::BORKED, summary }
}

pub(crate) fn link_node(number: u8) -> LinkNodeRecord {
    let node_id = point(number);
    LinkNodeRecord {
        node_id,
        version: Version::ABSENT,
        network: 0xdab5_bffa,
        last_seen: 1_700_000_000,
    }
}

fn addresses() -> Vec<Address> {
    vec![
        Address::Ipv4 { ip: [127, 0, 0, 1].into(), port: 9735 },
        Address::Ipv6 { ip: std::net::Ipv6Addr::LOCALHOST, port: 0 },
        Address::TorV2 { service: [7; 10], port: 1 },
        Address::TorV3 { service: [8; 35], port: u16::MAX },
        // Not UTF-8.
        Address::Dns { host: Bytes::from_static(&[0xff, b'.', b'a', 0]), port: 443 },
        Address::Opaque(Bytes::new()),
    ]
}

/// The addresses of a node, one of each kind.
pub(crate) fn link_addresses(number: u8) -> Vec<LinkAddressRecord> {
    let record =
        |(position, address)| LinkAddressRecord { node_id: point(number), position, address };
    (0..).zip(addresses()).map(record).collect()
}
