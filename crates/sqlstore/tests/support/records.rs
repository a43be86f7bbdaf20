//! Records of every kind: one ordinary, one with the extremes of what its fields can hold.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version as TxVersion;
use bitcoin::{Amount, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use bytes::Bytes;
use channelcoord::{LndRecord, MetaRecord, Record};
use chanstate::message::Message;
use chanstate::record::*;
use chanstate::{Record as ChannelPart, *};
use linknode::{Address, LinkAddressRecord, LinkNodeRecord, Record as NodePart};

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

pub(crate) fn extreme_channel(no: u64) -> ChannelRecord {
    ChannelRecord {
        version: Version(u64::MAX),
        funding_outpoint: OutPoint::new(txid(no as u8), u32::MAX),
        closed: true,
        pending: true,
        channel_type: ChannelType::from_bits_retain(u64::MAX),
        status: ChannelStatus::from_bits_retain(u64::MAX),
        scid: ShortChannelId(u64::MAX),
        confirmed_scid: Some(ShortChannelId(0)),
        confirmation_height: Some(0),
        close_confirmation_height: Some(u32::MAX),
        local_height: None,
        remote_height: Some(CommitmentHeight(u64::MAX)),
        has_pending: true,
        last_was_revoke: None,
        total_sent: MilliSatoshi(u64::MAX),
        total_received: MilliSatoshi(1 << 63),
        remote_next_point: None,
        next_secret_index: u64::MAX,
        ..channel(no)
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

fn extreme_config() -> ChannelConfig {
    let locator = KeyLocator { family: u32::MAX, index: u32::MAX };
    let key = KeyDescriptor { locator, public_key: None };
    ChannelConfig {
        dust_limit: Amount::from_sat(u64::MAX),
        max_pending_amount: MilliSatoshi(u64::MAX),
        channel_reserve: Amount::ZERO,
        min_htlc: MilliSatoshi(0),
        max_accepted_htlcs: u16::MAX,
        csv_delay: 0,
        multisig_key: key,
        revocation_base_point: KeyDescriptor { locator: KeyLocator::default(), public_key: None },
        payment_base_point: key,
        delay_base_point: key,
        htlc_base_point: key,
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

fn extreme_terms(no: u64) -> TermsRecord {
    let terms = ChannelTerms {
        initiator: false,
        channel_flags: u8::MAX,
        confirmations_required: u16::MAX,
        funding_broadcast_height: u32::MAX,
        capacity: Amount::from_sat(u64::MAX),
        local_config: extreme_config(),
        remote_config: extreme_config(),
        revocation_root: [0; 32],
        revocation_root_locator: None,
        funding_tx: None,
        initial_local_balance: None,
        initial_remote_balance: Some(MilliSatoshi(u64::MAX)),
        memo: Some(Bytes::new()),
        tapscript_root: None,
        custom_blob: None,
        thaw_height: None,
        local_upfront_shutdown: Some(ScriptBuf::new()),
        remote_upfront_shutdown: None,
        unknown_tlvs: Bytes::new(),
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

fn extreme_commitment(no: u64) -> CommitmentRecord {
    let slot = HtlcSlot {
        key: HtlcKey { direction: Direction::Outgoing, id: HtlcId(u64::MAX) },
        output_index: None,
        signature: Bytes::new(),
        own_terms: None,
    };
    CommitmentRecord {
        height: CommitmentHeight(i64::MAX as u64),
        local_log_index: LogIndex(u64::MAX),
        local_htlc_index: HtlcId(u64::MAX),
        remote_log_index: LogIndex(0),
        remote_htlc_index: HtlcId(1 << 63),
        local_balance: MilliSatoshi(u64::MAX),
        remote_balance: MilliSatoshi(0),
        commit_fee: Amount::from_sat(u64::MAX),
        fee_per_kw: Amount::ZERO,
        commit_sig: Bytes::new(),
        slots: vec![slot; 3],
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
        ..commitment(no, Side::Remote, 0)
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

fn revoked_commitment(no: u64) -> RevokedCommitmentRecord {
    let htlc = Htlc {
        direction: Direction::Incoming,
        id: HtlcId(u64::MAX),
        output_index: None,
        signature: Bytes::new(),
        terms: htlc_terms(u64::MAX),
    };
    let commitment = Commitment {
        height: CommitmentHeight(u64::MAX),
        local_log_index: LogIndex(1),
        local_htlc_index: HtlcId(2),
        remote_log_index: LogIndex(3),
        remote_htlc_index: HtlcId(4),
        local_balance: MilliSatoshi(5),
        remote_balance: MilliSatoshi(6),
        commit_fee: Amount::from_sat(7),
        fee_per_kw: Amount::from_sat(8),
        commit_tx: transaction(9),
        commit_sig: Bytes::new(),
        htlcs: vec![htlc],
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
    };
    let revoked = RevokedCommitment { commitment, trailing: Bytes::from_static(&[0, 0]) };
    RevokedCommitmentRecord { no: ChannelNo(no), height: CommitmentHeight(0), revoked }
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

fn extreme_close(no: u64) -> CloseRecord {
    let mut record = close(no);
    record.status_before = ChannelStatus::from_bits_retain(u64::MAX);
    record.summary = CloseSummary {
        channel_point: OutPoint::new(txid(0), u32::MAX),
        scid: ShortChannelId(u64::MAX),
        closing_txid: Txid::all_zeros(),
        close_height: u32::MAX,
        capacity: Amount::from_sat(u64::MAX),
        kind: CloseKind::Other(255),
        pending: false,
        resume: None,
        ..record.summary
    };
    record
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

/// Records of every kind, parents first, each kind ordinary and extreme.
pub(crate) fn every_kind() -> Vec<Record> {
    use Direction::{Incoming, Outgoing};
    let (a, b) = (1, i64::MAX as u64);
    let filter = Filter::from_bits(9, Bytes::from_static(&[0x80, 0xff])).unwrap();
    let extreme_htlc = HtlcTerms {
        log_index: LogIndex(u64::MAX),
        onion: Bytes::new(),
        extra: Bytes::new(),
        cltv_expiry: u32::MAX,
        ..htlc_terms(u64::MAX)
    };
    let diff = DiffRecord {
        no: ChannelNo(a),
        commit_sig: message(&[3; 98]),
        updates: vec![
            UpdateRef { log_index: LogIndex(1), body: UpdateBody::Add(HtlcId(2)) },
            UpdateRef { log_index: LogIndex(u64::MAX), body: UpdateBody::Message(message(&[])) },
        ],
        opened_circuits: vec![CircuitKey { scid: ShortChannelId(u64::MAX), htlc_id: HtlcId(0) }],
        closed_circuits: vec![],
    };
    let list = |no, list, updates| UpdateListRecord { no: ChannelNo(no), list, updates };
    let secret = |slot, index| SecretRecord { no: ChannelNo(a), slot, index, secret: [slot; 32] };
    let mark = |mark| MarkRecord { no: ChannelNo(a), mark };
    let shutdown = ShutdownInfo { script: ScriptBuf::new(), local_initiator: false };
    let outcome = |settled, offchain| FinalHtlc { settled, offchain };
    let final_htlc =
        |scid, id, outcome| FinalHtlcRecord { scid: ShortChannelId(scid), id: HtlcId(id), outcome };
    let policy = |fill: u64| ForwardingPolicy {
        min_htlc: MilliSatoshi(fill),
        max_htlc: MilliSatoshi(fill),
        base_fee: MilliSatoshi(fill),
        fee_rate: fill,
        time_lock_delta: fill as u32,
    };
    let of_channels = vec![
        ChannelPart::Channel(channel(a)),
        ChannelPart::Channel(extreme_channel(b)),
        ChannelPart::Terms(terms(a)),
        ChannelPart::Terms(extreme_terms(b)),
        ChannelPart::Commitment(commitment(a, Side::Local, 0)),
        ChannelPart::Commitment(extreme_commitment(b)),
        ChannelPart::Diff(diff.clone()),
        ChannelPart::Diff(DiffRecord { no: ChannelNo(b), updates: vec![], ..diff.clone() }),
        ChannelPart::Htlc(htlc(a, Outgoing, 0)),
        ChannelPart::Htlc(HtlcRecord { terms: extreme_htlc, ..htlc(b, Incoming, i64::MAX as u64) }),
        ChannelPart::UpdateList(list(a, ListKind::UnsignedAcked, diff.updates.clone())),
        ChannelPart::UpdateList(list(b, ListKind::RemoteUnsignedLocal, vec![])),
        ChannelPart::Secret(secret(0, 0)),
        ChannelPart::Secret(secret(47, u64::MAX)),
        ChannelPart::Mark(mark(Mark::Shutdown(shutdown))),
        ChannelPart::Mark(mark(Mark::DataLossPoint(point(4)))),
        ChannelPart::Mark(mark(Mark::BroadcastCommitment(transaction(0)))),
        ChannelPart::Mark(mark(Mark::BroadcastCooperative(transaction(21_000_000)))),
        ChannelPart::RevokedState(revoked_state(a, 0)),
        ChannelPart::RevokedState(revoked_state(b, i64::MAX as u64)),
        ChannelPart::RevokedCommitment(revoked_commitment(b)),
        ChannelPart::Package(package(0, 0, Some(a))),
        ChannelPart::Package(PackageRecord {
            forward_filter: Some(filter),
            ..package(u64::MAX, i64::MAX as u64, None)
        }),
        ChannelPart::Package(PackageRecord {
            forward_filter: Some(Filter::empty(0)),
            ..package(1, 0, None)
        }),
        ChannelPart::PackageUpdate(package_update(0, 0, PackageList::Adds, 0)),
        ChannelPart::PackageUpdate(PackageUpdateRecord {
            acked: true,
            ..package_update(u64::MAX, i64::MAX as u64, PackageList::SettleFails, u16::MAX)
        }),
        ChannelPart::Close(close(a)),
        ChannelPart::Close(extreme_close(b)),
        ChannelPart::Reclaim(ReclaimRecord { no: ChannelNo(b) }),
        ChannelPart::FinalHtlc(final_htlc(0, 0, outcome(true, false))),
        ChannelPart::FinalHtlc(final_htlc(u64::MAX, i64::MAX as u64, outcome(false, true))),
        ChannelPart::OpeningState(OpeningStateRecord { key: Bytes::new(), value: Bytes::new() }),
        ChannelPart::OpeningState(OpeningStateRecord {
            key: vec![255; 300].into(),
            value: vec![0; 70_000].into(),
        }),
        ChannelPart::ForwardingPolicy(ForwardingPolicyRecord {
            channel_id: ChannelId([0; 32]),
            policy: policy(0),
        }),
        ChannelPart::ForwardingPolicy(ForwardingPolicyRecord {
            channel_id: ChannelId([255; 32]),
            policy: policy(u64::MAX),
        }),
    ];
    let extreme_node = LinkNodeRecord {
        version: Version(u64::MAX),
        network: u32::MAX,
        last_seen: u64::MAX,
        ..link_node(2)
    };
    let of_nodes = [NodePart::LinkNode(link_node(1)), NodePart::LinkNode(extreme_node)];
    let of_addresses = link_addresses(1).into_iter().map(NodePart::LinkAddress);
    let own = [
        Record::Meta(MetaRecord { name: String::new(), value: Bytes::new() }),
        Record::Meta(MetaRecord { name: "naïve\0name".into(), value: vec![1, 0, 2].into() }),
        Record::Lnd(LndRecord { path: Bytes::new(), residue: Bytes::new() }),
        Record::Lnd(LndRecord { path: vec![0, 255].into(), residue: vec![3; 5000].into() }),
    ];
    let of_channels = of_channels.into_iter().map(Record::Channel);
    let of_nodes = of_nodes.into_iter().chain(of_addresses).map(Record::LinkNode);
    of_channels.chain(of_nodes).chain(own).collect()
}
