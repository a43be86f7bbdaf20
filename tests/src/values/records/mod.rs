//! One record of each kind, filled in three ways.

mod beside;

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use bytes::Bytes;
use channelcoord::{LndRecord, MetaRecord, Record};
use chanstate::message::Message;
use chanstate::record::{
    ChannelRecord, CloseRecord, CommitmentRecord, DiffRecord, HtlcRecord, HtlcSlot, ListKind,
    MarkRecord, PackageRecord, PackageUpdateRecord, ReclaimRecord, RevokedCommitmentRecord,
    RevokedStateRecord, SecretRecord, TermsRecord, UpdateBody, UpdateListRecord, UpdateRef,
};
use chanstate::{
    ChannelConfig, ChannelId, ChannelNo, ChannelStatus, ChannelTerms, ChannelType, CircuitKey,
    CloseKind, CloseResume, CloseSummary, Commitment, CommitmentHeight, Direction, Filter, Htlc,
    HtlcId, HtlcKey, HtlcTerms, KeyDescriptor, KeyLocator, LogIndex, Mark, MilliSatoshi,
    PackageList, RevokedCommitment, RevokedHtlc, RevokedState, ShortChannelId, ShutdownInfo, Side,
    Version,
};

use super::{key, tx};

/// How the fields of a record are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// What can be absent is; the rest is as small as it can be.
    Absent,
    /// Everything is there, and as small as it can be.
    Least,
    /// Everything is there, and as large as it can be; bytes are long.
    Most,
}

impl Fill {
    /// Every way.
    pub const ALL: [Fill; 3] = [Fill::Absent, Fill::Least, Fill::Most];

    /// A record of each kind, of marks and addresses one for each of theirs; parents come first.
    /// Records of different fills have different keys.
    pub fn records(self) -> Vec<Record> {
        self.records_under(self)
    }

    /// As [`records`](Fill::records), with the keys of another fill.
    pub fn records_under(self, keys: Fill) -> Vec<Record> {
        Filled { keys, values: self }.records()
    }
}

/// How keys and values are filled.
#[derive(Clone, Copy)]
struct Filled {
    keys: Fill,
    values: Fill,
}

impl Filled {
    fn records(self) -> Vec<Record> {
        let commitment = Record::Channel(chanstate::Record::Commitment(self.commitment_record()));
        let of_channel = [
            chanstate::Record::Channel(self.channel()),
            chanstate::Record::Terms(TermsRecord { no: self.no(), terms: Arc::new(self.terms()) }),
            chanstate::Record::Diff(self.diff()),
            chanstate::Record::Htlc(self.htlc()),
            chanstate::Record::UpdateList(self.list()),
            chanstate::Record::Secret(self.secret()),
            chanstate::Record::RevokedState(self.revoked_state()),
            chanstate::Record::RevokedCommitment(self.revoked_commitment()),
            chanstate::Record::Package(self.package()),
            chanstate::Record::PackageUpdate(self.package_update()),
            chanstate::Record::Close(self.close()),
            chanstate::Record::Reclaim(ReclaimRecord { no: self.no() }),
            chanstate::Record::FinalHtlc(self.final_htlc()),
            chanstate::Record::OpeningState(self.opening_state()),
            chanstate::Record::ForwardingPolicy(self.policy()),
        ];
        let marks = self.marks().map(|mark| MarkRecord { no: self.no(), mark });
        let marks = marks.map(|record| Record::Channel(chanstate::Record::Mark(record)));
        let nodes = [Record::LinkNode(linknode::Record::LinkNode(self.link_node()))];
        let addresses = self.addresses().into_iter().map(linknode::Record::LinkAddress);
        let own = [
            Record::Meta(MetaRecord { name: self.key_text().to_owned(), value: self.blob() }),
            Record::Lnd(LndRecord { path: self.key_text().into(), residue: self.blob() }),
        ];
        let of_channel = of_channel.map(Record::Channel).into_iter().chain([commitment]);
        let of_node = nodes.into_iter().chain(addresses.map(Record::LinkNode));
        of_channel.chain(marks).chain(of_node).chain(own).collect()
    }

    fn most(self) -> bool {
        self.values == Fill::Most
    }

    fn key_most(self) -> bool {
        self.keys == Fill::Most
    }

    fn n64(self) -> u64 {
        if self.most() { u64::MAX } else { 0 }
    }

    fn n32(self) -> u32 {
        self.n64() as u32
    }

    fn n16(self) -> u16 {
        self.n64() as u16
    }

    fn n8(self) -> u8 {
        self.n64() as u8
    }

    /// A number in a key.
    fn key_number(self) -> u64 {
        match self.keys {
            Fill::Absent => 1,
            Fill::Least => 0,
            Fill::Most => i64::MAX as u64,
        }
    }

    fn scid(self) -> ShortChannelId {
        ShortChannelId(if self.key_most() { u64::MAX } else { self.key_number() })
    }

    fn no(self) -> ChannelNo {
        ChannelNo(self.key_number())
    }

    fn height(self) -> CommitmentHeight {
        CommitmentHeight(self.key_number())
    }

    fn optional<T>(self, value: T) -> Option<T> {
        (self.values != Fill::Absent).then_some(value)
    }

    fn blob(self) -> Bytes {
        if self.most() { (0..=u8::MAX).cycle().take(20_000).collect() } else { Bytes::new() }
    }

    fn script(self) -> ScriptBuf {
        ScriptBuf::from_bytes(if self.most() { vec![0xff; 10_000] } else { vec![] })
    }

    fn key_text(self) -> &'static str {
        match self.keys {
            Fill::Absent => "name",
            Fill::Least => "",
            // Any text will do, zero bytes and long characters included.
            Fill::Most => "name\0\u{10ffff}",
        }
    }

    fn key_bytes32(self) -> [u8; 32] {
        [if self.key_most() { 0xff } else { self.key_number() as u8 }; 32]
    }

    fn bytes32(self) -> [u8; 32] {
        [self.n8(); 32]
    }

    fn txid(self) -> Txid {
        Txid::from_byte_array(self.bytes32())
    }

    fn outpoint(self) -> OutPoint {
        OutPoint::new(self.txid(), self.n32())
    }

    fn transaction(self) -> Arc<Transaction> {
        Arc::new(tx(self.outpoint(), self.n64(), if self.most() { 500 } else { 0 }))
    }

    fn message(self) -> Message {
        let len = if self.most() { 65_533 } else { 0 };
        let message = [&self.n16().to_be_bytes()[..], &vec![0xff; len]].concat();
        Message::new(message).expect("the length fits")
    }

    fn amount(self) -> Amount {
        Amount::from_sat(self.n64())
    }

    fn msat(self) -> MilliSatoshi {
        MilliSatoshi(self.n64())
    }

    fn direction(self) -> Direction {
        if self.key_most() { Direction::Incoming } else { Direction::Outgoing }
    }

    fn channel(self) -> ChannelRecord {
        ChannelRecord {
            no: self.no(),
            // 0 says that there is no record.
            version: Version(self.n64().max(1)),
            // Unique, as the channel id is.
            funding_outpoint: OutPoint {
                txid: Txid::from_byte_array(self.key_bytes32()),
                ..self.outpoint()
            },
            channel_id: ChannelId(self.key_bytes32()),
            peer: key("node", 1),
            chain: ChainHash::from(self.bytes32()),
            closed: self.most(),
            pending: self.most(),
            channel_type: ChannelType::from_bits_retain(self.n64()),
            status: ChannelStatus::from_bits_retain(self.n64()),
            scid: ShortChannelId(self.n64()),
            confirmed_scid: self.optional(ShortChannelId(self.n64())),
            confirmation_height: self.optional(self.n32()),
            close_confirmation_height: self.optional(self.n32()),
            local_height: self.optional(CommitmentHeight(self.n64())),
            remote_height: self.optional(CommitmentHeight(self.n64())),
            has_pending: self.most(),
            last_was_revoke: self.optional(self.most()),
            total_sent: self.msat(),
            total_received: self.msat(),
            remote_current_point: key("point", 1),
            remote_next_point: self.optional(key("point", 2)),
            next_secret_index: self.n64(),
        }
    }

    fn config(self) -> ChannelConfig {
        let locator = KeyLocator { family: self.n32(), index: self.n32() };
        let descriptor =
            |n| KeyDescriptor { locator, public_key: self.optional(key("descriptor", n)) };
        ChannelConfig {
            dust_limit: self.amount(),
            max_pending_amount: self.msat(),
            channel_reserve: self.amount(),
            min_htlc: self.msat(),
            max_accepted_htlcs: self.n16(),
            csv_delay: self.n16(),
            multisig_key: descriptor(0),
            revocation_base_point: descriptor(1),
            payment_base_point: descriptor(2),
            delay_base_point: descriptor(3),
            htlc_base_point: descriptor(4),
        }
    }

    fn terms(self) -> ChannelTerms {
        let locator = KeyLocator { family: self.n32(), index: self.n32() };
        ChannelTerms {
            initiator: self.most(),
            channel_flags: self.n8(),
            confirmations_required: self.n16(),
            funding_broadcast_height: self.n32(),
            capacity: self.amount(),
            local_config: self.config(),
            remote_config: self.config(),
            revocation_root: self.bytes32(),
            revocation_root_locator: self.optional(locator),
            funding_tx: self.optional(self.transaction()),
            initial_local_balance: self.optional(self.msat()),
            initial_remote_balance: self.optional(self.msat()),
            memo: self.optional(self.blob()),
            tapscript_root: self.optional(self.bytes32()),
            custom_blob: self.optional(self.blob()),
            thaw_height: self.optional(self.n32()),
            local_upfront_shutdown: self.optional(self.script()),
            remote_upfront_shutdown: self.optional(self.script()),
            unknown_tlvs: self.blob(),
        }
    }

    fn htlc_terms(self) -> HtlcTerms {
        HtlcTerms {
            log_index: LogIndex(self.n64()),
            amount: self.msat(),
            payment_hash: self.bytes32(),
            cltv_expiry: self.n32(),
            onion: self.blob(),
            extra: self.blob(),
        }
    }

    fn commitment_record(self) -> CommitmentRecord {
        let slot = HtlcSlot {
            key: HtlcKey { direction: self.direction(), id: HtlcId(self.n64()) },
            output_index: self.optional(self.n32()),
            signature: self.blob(),
            own_terms: self.optional(Box::new(self.htlc_terms())),
        };
        CommitmentRecord {
            no: self.no(),
            side: if self.key_most() { Side::Remote } else { Side::Local },
            height: self.height(),
            local_log_index: LogIndex(self.n64()),
            local_htlc_index: HtlcId(self.n64()),
            remote_log_index: LogIndex(self.n64()),
            remote_htlc_index: HtlcId(self.n64()),
            local_balance: self.msat(),
            remote_balance: self.msat(),
            commit_fee: self.amount(),
            fee_per_kw: self.amount(),
            commit_tx: self.transaction(),
            commit_sig: self.blob(),
            slots: self.optional(slot).into_iter().collect(),
            custom_blob: self.optional(self.blob()),
            unknown_tlvs: self.blob(),
        }
    }

    fn commitment(self) -> Commitment {
        let htlc = Htlc {
            direction: self.direction(),
            id: HtlcId(self.n64()),
            output_index: self.optional(self.n32()),
            signature: self.blob(),
            terms: self.htlc_terms(),
        };
        Commitment {
            height: CommitmentHeight(self.n64()),
            local_log_index: LogIndex(self.n64()),
            local_htlc_index: HtlcId(self.n64()),
            remote_log_index: LogIndex(self.n64()),
            remote_htlc_index: HtlcId(self.n64()),
            local_balance: self.msat(),
            remote_balance: self.msat(),
            commit_fee: self.amount(),
            fee_per_kw: self.amount(),
            commit_tx: self.transaction(),
            commit_sig: self.blob(),
            htlcs: self.optional(htlc).into_iter().collect(),
            custom_blob: self.optional(self.blob()),
            unknown_tlvs: self.blob(),
        }
    }

    fn updates(self) -> Vec<UpdateRef> {
        let update = |body| UpdateRef { log_index: LogIndex(self.n64()), body };
        let bodies = [UpdateBody::Add(HtlcId(self.n64())), UpdateBody::Message(self.message())];
        self.optional(bodies.map(update)).into_iter().flatten().collect()
    }

    fn diff(self) -> DiffRecord {
        let circuit = CircuitKey { scid: ShortChannelId(self.n64()), htlc_id: HtlcId(self.n64()) };
        let circuits = vec![circuit; if self.most() { 500 } else { 0 }];
        DiffRecord {
            no: self.no(),
            commit_sig: self.message(),
            updates: self.updates(),
            opened_circuits: circuits.clone(),
            closed_circuits: circuits,
        }
    }

    fn htlc(self) -> HtlcRecord {
        let id = HtlcId(self.key_number());
        HtlcRecord { no: self.no(), direction: self.direction(), id, terms: self.htlc_terms() }
    }

    fn list(self) -> UpdateListRecord {
        let list =
            if self.key_most() { ListKind::RemoteUnsignedLocal } else { ListKind::UnsignedAcked };
        UpdateListRecord { no: self.no(), list, updates: self.updates() }
    }

    fn secret(self) -> SecretRecord {
        let slot = if self.key_most() { 47 } else { 0 };
        SecretRecord { no: self.no(), slot, index: self.n64(), secret: self.bytes32() }
    }

    fn marks(self) -> [Mark; 4] {
        let info = ShutdownInfo { script: self.script(), local_initiator: self.most() };
        [
            Mark::Shutdown(info),
            Mark::DataLossPoint(key("point", 3)),
            Mark::BroadcastCommitment(self.transaction()),
            Mark::BroadcastCooperative(self.transaction()),
        ]
    }

    fn revoked_state(self) -> RevokedStateRecord {
        let htlc = RevokedHtlc {
            direction: self.direction(),
            id: self.optional(HtlcId(self.n64())),
            payment_hash: self.bytes32(),
            amount_sat: self.n64(),
            cltv_expiry: self.n32(),
            output_index: self.n16(),
            custom_records: self.optional(self.blob().slice(..self.blob().len().min(40))),
        };
        let state = RevokedState {
            height: self.height(),
            our_output_index: self.optional(self.n16()),
            their_output_index: self.optional(self.n16()),
            commit_txid: self.txid(),
            our_balance: self.optional(self.msat()),
            their_balance: self.optional(self.msat()),
            htlcs: vec![htlc; if self.most() { 966 } else { 1 }],
            custom_blob: self.optional(self.blob()),
            residue: self.blob(),
        };
        RevokedStateRecord { no: self.no(), state }
    }

    fn revoked_commitment(self) -> RevokedCommitmentRecord {
        let revoked = RevokedCommitment { commitment: self.commitment(), trailing: self.blob() };
        RevokedCommitmentRecord { no: self.no(), height: self.height(), revoked }
    }

    fn package(self) -> PackageRecord {
        let bits = vec![0xff; usize::from(self.n16()).div_ceil(8)];
        let filter = Filter::from_bits(self.n16(), bits.into()).expect("one bit for each");
        PackageRecord {
            source: self.scid(),
            height: self.height(),
            no: self.optional(self.no()),
            forward_filter: self.optional(filter),
        }
    }

    fn package_update(self) -> PackageUpdateRecord {
        let body = match self.values {
            Fill::Absent => UpdateBody::Add(HtlcId(0)),
            _ => UpdateBody::Message(self.message()),
        };
        PackageUpdateRecord {
            source: self.scid(),
            height: self.height(),
            list: if self.key_most() { PackageList::SettleFails } else { PackageList::Adds },
            index: if self.key_most() { u16::MAX } else { 0 },
            update: UpdateRef { log_index: LogIndex(self.n64()), body },
            acked: self.most(),
        }
    }

    fn close(self) -> CloseRecord {
        let resume = CloseResume {
            remote_current_point: key("point", 4),
            remote_next_point: self.most().then(|| key("point", 5)),
            local_config: self.config(),
            reestablish: self.most().then(|| self.message()),
        };
        let summary = CloseSummary {
            channel_point: self.outpoint(),
            scid: ShortChannelId(self.n64()),
            chain: ChainHash::from(self.bytes32()),
            closing_txid: self.txid(),
            close_height: self.n32(),
            peer: key("node", 1),
            capacity: self.amount(),
            settled_balance: self.amount(),
            time_locked_balance: self.amount(),
            kind: if self.most() { CloseKind::Other(255) } else { CloseKind::Cooperative },
            pending: self.most(),
            resume: self.optional(resume),
        };
        let status_before = ChannelStatus::from_bits_retain(self.n64());
        CloseRecord { no: self.no(), status_before, summary }
    }
}
