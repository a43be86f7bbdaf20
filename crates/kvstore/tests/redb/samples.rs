//! A record of every kind, with every variant of what it can hold.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version as TxVersion;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid};
use bytes::Bytes;
use channelcoord::{LndRecord, MetaRecord, Record};
use chanstate::message::Message;
use chanstate::record::*;
use chanstate::*;
use linknode::{Address, LinkAddressRecord, LinkNodeRecord};

/// Channel of the samples: an alias, so over 2^63.
pub(crate) const NO: ChannelNo = ChannelNo(u64::MAX - 1);
pub(crate) const SCID: ShortChannelId = ShortChannelId(u64::MAX - 2);

/// At least one record of every kind.
pub(crate) fn all() -> Vec<Record> {
    let mut all: Vec<Record> = channel_records().into_iter().map(Record::Channel).collect();
    all.extend(node_records().into_iter().map(Record::LinkNode));
    all.push(Record::Meta(meta("network", b"signet")));
    all.push(Record::Meta(meta("", b"")));
    all.push(Record::Lnd(LndRecord { path: text("a/b"), residue: text("left over") }));
    all.push(Record::Lnd(LndRecord { path: Bytes::new(), residue: Bytes::new() }));
    all
}

pub(crate) fn meta(name: &str, value: &'static [u8]) -> MetaRecord {
    MetaRecord { name: name.into(), value: Bytes::from_static(value) }
}

pub(crate) fn channel(no: ChannelNo, version: Version) -> ChannelRecord {
    ChannelRecord {
        no,
        version,
        funding_outpoint: outpoint(1),
        channel_id: ChannelId::from_outpoint(outpoint(1)),
        peer: point(1),
        chain: ChainHash::SIGNET,
        closed: false,
        pending: true,
        channel_type: ChannelType::from_bits_retain(1 << 50) | ChannelType::ANCHORS,
        status: ChannelStatus::from_bits_retain(1 << 40),
        scid: SCID,
        confirmed_scid: Some(ShortChannelId(7)),
        confirmation_height: None,
        close_confirmation_height: Some(800_000),
        local_height: Some(CommitmentHeight(5)),
        remote_height: None,
        has_pending: true,
        last_was_revoke: Some(false),
        total_sent: MilliSatoshi(u64::MAX),
        total_received: MilliSatoshi(0),
        remote_current_point: point(2),
        remote_next_point: None,
        next_secret_index: (1 << 48) - 1,
    }
}

pub(crate) fn package_update(list: PackageList, index: u16, acked: bool) -> PackageUpdateRecord {
    PackageUpdateRecord {
        source: SCID,
        height: CommitmentHeight(9),
        list,
        index,
        update: UpdateRef { log_index: LogIndex(3), body: UpdateBody::Add(HtlcId(4)) },
        acked,
    }
}

pub(crate) fn revoked_state(no: ChannelNo, height: u64) -> RevokedStateRecord {
    let htlc = RevokedHtlc {
        direction: Direction::Incoming,
        id: None,
        payment_hash: [3; 32],
        amount_sat: 21,
        cltv_expiry: 700_000,
        output_index: 2,
        custom_records: Some(Bytes::new()),
    };
    let state = RevokedState {
        height: CommitmentHeight(height),
        our_output_index: None,
        their_output_index: Some(1),
        commit_txid: Txid::from_byte_array([9; 32]),
        our_balance: Some(MilliSatoshi(0)),
        their_balance: None,
        htlcs: vec![htlc],
        custom_blob: None,
        residue: text("quirk"),
    };
    RevokedStateRecord { no, state }
}

pub(crate) fn link_node(node: u8, version: Version) -> LinkNodeRecord {
    LinkNodeRecord { node_id: point(node), version, network: 0x40cf_030a, last_seen: 1_700_000_000 }
}

pub(crate) fn point(secret: u8) -> PublicKey {
    SecretKey::from_slice(&[secret; 32]).unwrap().public_key(&Secp256k1::new())
}

fn channel_records() -> Vec<chanstate::Record> {
    use chanstate::Record::*;
    let mut all = vec![
        Channel(channel(NO, Version(12))),
        Terms(TermsRecord { no: NO, terms: Arc::new(terms()) }),
        Diff(diff()),
        Htlc(HtlcRecord {
            no: NO,
            direction: Direction::Outgoing,
            id: HtlcId(u64::MAX),
            terms: htlc_terms(),
        }),
        Secret(SecretRecord { no: NO, slot: 47, index: 1, secret: [5; 32] }),
        RevokedState(revoked_state(NO, 3)),
        RevokedCommitment(RevokedCommitmentRecord {
            no: NO,
            height: CommitmentHeight(2),
            revoked: chanstate::RevokedCommitment {
                commitment: commitment(),
                trailing: text("tail"),
            },
        }),
        Close(CloseRecord {
            no: NO,
            status_before: ChannelStatus::BORKED,
            summary: close_summary(),
        }),
        Reclaim(ReclaimRecord { no: NO }),
        FinalHtlc(FinalHtlcRecord {
            scid: SCID,
            id: HtlcId(1),
            outcome: chanstate::FinalHtlc { settled: true, offchain: false },
        }),
        OpeningState(OpeningStateRecord { key: text("opening"), value: Bytes::new() }),
        OpeningState(OpeningStateRecord { key: Bytes::new(), value: text("value") }),
        ForwardingPolicy(ForwardingPolicyRecord {
            channel_id: ChannelId([0xff; 32]),
            policy: policy(),
        }),
        PackageUpdate(package_update(PackageList::Adds, 0, false)),
        PackageUpdate(package_update(PackageList::SettleFails, u16::MAX, true)),
    ];
    all.extend([None, Some(Filter::empty(9))].into_iter().zip(1..).map(|(filter, height)| {
        Package(PackageRecord {
            source: SCID,
            height: CommitmentHeight(height),
            no: filter.is_some().then_some(NO),
            forward_filter: filter,
        })
    }));
    all.extend([Side::Local, Side::Remote].map(|side| Commitment(commitment_record(side))));
    all.extend([ListKind::UnsignedAcked, ListKind::RemoteUnsignedLocal].map(|list| {
        UpdateList(UpdateListRecord { no: NO, list, updates: updates(list as usize * 2) })
    }));
    let marks = [
        chanstate::Mark::Shutdown(ShutdownInfo { script: script(), local_initiator: true }),
        chanstate::Mark::DataLossPoint(point(6)),
        chanstate::Mark::BroadcastCommitment(transaction()),
        chanstate::Mark::BroadcastCooperative(transaction()),
    ];
    all.extend(marks.map(|mark| Mark(MarkRecord { no: NO, mark })));
    all
}

fn node_records() -> Vec<linknode::Record> {
    let addresses = [
        Address::Ipv4 { ip: [127, 0, 0, 1].into(), port: 9735 },
        Address::Ipv6 { ip: [1; 16].into(), port: 1 },
        Address::TorV2 { service: [2; 10], port: 2 },
        Address::TorV3 { service: [3; 35], port: 3 },
        Address::Dns { host: text("example.com"), port: 4 },
        Address::Opaque(Bytes::new()),
    ];
    let mut all = vec![linknode::Record::LinkNode(link_node(4, Version(u64::MAX)))];
    all.extend((0..).zip(addresses).map(|(position, address)| {
        linknode::Record::LinkAddress(LinkAddressRecord { node_id: point(4), position, address })
    }));
    all
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        initiator: true,
        channel_flags: 1,
        confirmations_required: 3,
        funding_broadcast_height: 700_000,
        capacity: Amount::from_sat(1_000_000),
        local_config: config(1),
        remote_config: config(2),
        revocation_root: [1; 32],
        revocation_root_locator: Some(KeyLocator { family: 5, index: 0 }),
        funding_tx: Some(transaction()),
        initial_local_balance: None,
        initial_remote_balance: Some(MilliSatoshi(0)),
        memo: Some(Bytes::new()),
        tapscript_root: Some([2; 32]),
        custom_blob: None,
        thaw_height: Some(0),
        local_upfront_shutdown: None,
        remote_upfront_shutdown: Some(script()),
        unknown_tlvs: text("tlvs"),
    }
}

fn config(secret: u8) -> ChannelConfig {
    let key =
        |index, public_key| KeyDescriptor { locator: KeyLocator { family: 0, index }, public_key };
    ChannelConfig {
        dust_limit: Amount::from_sat(354),
        max_pending_amount: MilliSatoshi(u64::MAX),
        channel_reserve: Amount::ZERO,
        min_htlc: MilliSatoshi(1),
        max_accepted_htlcs: 483,
        csv_delay: 144,
        multisig_key: key(1, Some(point(secret))),
        revocation_base_point: key(2, None),
        payment_base_point: key(3, Some(point(secret))),
        delay_base_point: key(4, None),
        htlc_base_point: key(u32::MAX, None),
    }
}

fn commitment_record(side: Side) -> CommitmentRecord {
    let slot = |own_terms| HtlcSlot {
        key: HtlcKey { direction: Direction::Incoming, id: HtlcId(1) },
        output_index: None,
        signature: text("signature"),
        own_terms,
    };
    CommitmentRecord {
        no: NO,
        side,
        height: CommitmentHeight(u64::MAX),
        local_log_index: LogIndex(1),
        local_htlc_index: HtlcId(2),
        remote_log_index: LogIndex(3),
        remote_htlc_index: HtlcId(4),
        local_balance: MilliSatoshi(5),
        remote_balance: MilliSatoshi(6),
        commit_fee: Amount::from_sat(7),
        fee_per_kw: Amount::from_sat(253),
        commit_tx: transaction(),
        commit_sig: Bytes::new(),
        slots: vec![slot(None), slot(Some(Box::new(htlc_terms())))],
        custom_blob: Some(Bytes::new()),
        unknown_tlvs: Bytes::new(),
    }
}

fn commitment() -> chanstate::Commitment {
    chanstate::Commitment {
        height: CommitmentHeight(2),
        local_log_index: LogIndex(1),
        local_htlc_index: HtlcId(2),
        remote_log_index: LogIndex(3),
        remote_htlc_index: HtlcId(4),
        local_balance: MilliSatoshi(5),
        remote_balance: MilliSatoshi(6),
        commit_fee: Amount::from_sat(7),
        fee_per_kw: Amount::from_sat(253),
        commit_tx: transaction(),
        commit_sig: text("signature"),
        htlcs: vec![chanstate::Htlc {
            direction: Direction::Outgoing,
            id: HtlcId(1),
            output_index: Some(0),
            signature: Bytes::new(),
            terms: htlc_terms(),
        }],
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
    }
}

fn diff() -> DiffRecord {
    let circuit = |id| CircuitKey { scid: SCID, htlc_id: HtlcId(id) };
    DiffRecord {
        no: NO,
        commit_sig: message(132),
        updates: updates(2),
        opened_circuits: vec![circuit(0)],
        closed_circuits: vec![circuit(1), circuit(2)],
    }
}

fn updates(count: usize) -> Vec<UpdateRef> {
    let bodies = [UpdateBody::Add(HtlcId(8)), UpdateBody::Message(message(130))];
    let numbered = (0..).zip(bodies).take(count);
    numbered.map(|(index, body)| UpdateRef { log_index: LogIndex(index), body }).collect()
}

fn htlc_terms() -> HtlcTerms {
    HtlcTerms {
        log_index: LogIndex(1),
        amount: MilliSatoshi(2),
        payment_hash: [4; 32],
        cltv_expiry: 800_000,
        onion: vec![6; ONION_LEN].into(),
        extra: text("extra"),
    }
}

fn close_summary() -> CloseSummary {
    CloseSummary {
        channel_point: outpoint(1),
        scid: SCID,
        chain: ChainHash::BITCOIN,
        closing_txid: Txid::all_zeros(),
        close_height: 0,
        peer: point(1),
        capacity: Amount::from_sat(1_000_000),
        settled_balance: Amount::ZERO,
        time_locked_balance: Amount::from_sat(5),
        kind: CloseKind::Other(77),
        pending: true,
        resume: Some(CloseResume {
            remote_current_point: point(2),
            remote_next_point: Some(point(3)),
            local_config: config(1),
            reestablish: Some(message(136)),
        }),
    }
}

fn policy() -> chanstate::ForwardingPolicy {
    chanstate::ForwardingPolicy {
        min_htlc: MilliSatoshi(1),
        max_htlc: MilliSatoshi(2),
        base_fee: MilliSatoshi(3),
        fee_rate: 4,
        time_lock_delta: 40,
    }
}

fn message(ty: u16) -> Message {
    let mut bytes = ty.to_be_bytes().to_vec();
    bytes.extend([7; 60]);
    Message::new(bytes).unwrap()
}

fn transaction() -> Arc<Transaction> {
    Arc::new(Transaction {
        version: TxVersion::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output: outpoint(3), ..TxIn::default() }],
        output: vec![TxOut { value: Amount::from_sat(9), script_pubkey: script() }],
    })
}

fn outpoint(txid: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([txid; 32]), 1)
}

fn script() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51])
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
