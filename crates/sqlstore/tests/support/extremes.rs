//! Records with the extremes of what their fields can hold, and records of every kind.

use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};
use bytes::Bytes;
use channelcoord::{LndRecord, MetaRecord, Record};
use chanstate::record::*;
use chanstate::{Record as ChannelPart, *};
use linknode::{LinkNodeRecord, Record as NodePart};

use super::records::{
    channel, close, commitment, htlc, htlc_terms, link_addresses, link_node, message, package,
    package_update, point, revoked_state, terms, transaction, txid,
};

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
