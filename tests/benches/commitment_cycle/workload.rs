//! A channel and its peer, as far as storage sees them.

use std::collections::VecDeque;
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction};
use bytes::Bytes;
use channelcoord::{PeerChannelStore, Store};
use chanstate::facet::{CommitmentStore, LifecycleStore};
use chanstate::message::{Message, ParsedMessage};
use chanstate::shachain::derive_secret;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, ChannelId, CircuitKey, Commitment, Direction, ForwardingPackage, Htlc, HtlcId,
    HtlcTerms, LogIndex, LogUpdate, MilliSatoshi, NewChannel, ONION_LEN, PendingCommitment,
    ShortChannelId,
};
use conformance::values::{
    bytes, bytes32, link_node, new_channel, outpoint, peer, peer_point, peer_seed, tx,
};

/// First HTLC id of the updates that pass through; those in flight come before.
const PASSING: u64 = 1_000;

/// One channel that runs cycles.
pub(crate) struct Link {
    number: u64,
    point: OutPoint,
    channel_id: ChannelId,
    scid: ShortChannelId,
    /// Secrets of the peer that cycles to come reveal, with the points that become next.
    revocations: VecDeque<([u8; 32], PublicKey)>,
    prepared: u64,
    next: u64,
    local: Commitment,
    remote: Commitment,
    htlc_signatures: Vec<[u8; 64]>,
}

impl Link {
    pub(crate) fn new(number: u64, in_flight: usize) -> Link {
        let point = outpoint(number);
        let htlcs = |signature: usize| -> Vec<Htlc> {
            (0..in_flight).map(|i| htlc(number, i, in_flight, signature)).collect()
        };
        let commitment = |htlcs: Vec<Htlc>, signature: usize| Commitment {
            height: 0.into(),
            local_log_index: LogIndex(0),
            local_htlc_index: HtlcId(0),
            remote_log_index: LogIndex(0),
            remote_htlc_index: HtlcId(0),
            local_balance: MilliSatoshi(3_000_000_000),
            remote_balance: MilliSatoshi(2_000_000_000),
            commit_fee: Amount::from_sat(1_000),
            fee_per_kw: Amount::from_sat(253),
            commit_tx: Arc::new(commit_tx(point, in_flight)),
            commit_sig: vec![0x30; signature].into(),
            htlcs,
            custom_blob: None,
            unknown_tlvs: Bytes::new(),
        };
        let mut link = Link {
            number,
            point,
            channel_id: ChannelId::from_outpoint(point),
            scid: ShortChannelId((700_000 + number) << 40 | 1 << 16),
            revocations: VecDeque::new(),
            prepared: 0,
            next: 0,
            local: commitment(htlcs(70), 71),
            remote: commitment(htlcs(0), 0),
            htlc_signatures: vec![[0x31; 64]; in_flight],
        };
        link.prepare(8);
        link
    }

    /// Computes what the peer reveals in the next `cycles` cycles, which is not the store's work.
    pub(crate) fn prepare(&mut self, cycles: u64) {
        while self.prepared < self.next + cycles {
            let seed = peer_seed(self.number);
            let secret = derive_secret(&seed, self.prepared).expect("height in range");
            self.revocations.push_back((secret, peer_point(self.number, self.prepared + 2)));
            self.prepared += 1;
        }
    }

    pub(crate) async fn open(&self, store: &Store) {
        let channel = NewChannel {
            local_commitment: self.local.clone(),
            remote_commitment: self.remote.clone(),
            ..new_channel(self.number, peer(self.number))
        };
        store.open_channel(channel, link_node(self.number)).await.expect("channel opens");
        store.mark_open(self.point, self.scid).await.expect("channel is marked open");
    }

    /// Append, advance, update local.
    pub(crate) async fn cycle(&mut self, store: &Store) {
        let n = self.next;
        let (add, fulfill) = (self.add(n), self.fulfill(n));
        let append = self.append(n, &add, &fulfill);
        store.append_remote(self.point, append).await.expect("append");
        let advance = self.advance(n, &add, &fulfill);
        store.advance_tail(self.point, advance).await.expect("advance");
        let update = UpdateLocal {
            commitment: at(&self.local, n),
            unsigned_acked: vec![LogUpdate { log_index: LogIndex(2 * n), message: add }],
            total_sent: MilliSatoshi(0),
            total_received: MilliSatoshi(0),
        };
        store.update_local(self.point, update).await.expect("update local");
        self.next += 1;
    }

    fn append(&self, n: u64, add: &Message, fulfill: &Message) -> AppendRemote {
        let commit_sig = ParsedMessage::CommitmentSigned {
            channel_id: self.channel_id.0,
            signature: [0x32; 64],
            htlc_signatures: self.htlc_signatures.clone(),
            extra: Bytes::new(),
        };
        let circuit = CircuitKey { scid: self.scid, htlc_id: HtlcId(PASSING + n) };
        let ack = (n > 0).then_some(AddRef { height: n.into(), index: 0 });
        AppendRemote {
            pending: PendingCommitment {
                commitment: at(&self.remote, n),
                commit_sig: commit_sig.encode().expect("message encodes"),
                updates: vec![
                    LogUpdate { log_index: LogIndex(2 * n), message: add.clone() },
                    LogUpdate { log_index: LogIndex(2 * n + 1), message: fulfill.clone() },
                ],
                opened_circuits: vec![circuit],
                closed_circuits: vec![circuit],
            },
            ack_adds: ack.into_iter().collect(),
            ack_settle_fails: Vec::new(),
        }
    }

    fn advance(&mut self, n: u64, add: &Message, fulfill: &Message) -> AdvanceTail {
        let (secret, next_point) = self.revocations.pop_front().expect("cycle was prepared");
        let update = |log_index, message: &Message| {
            vec![LogUpdate { log_index: LogIndex(log_index), message: message.clone() }]
        };
        AdvanceTail {
            secret,
            next_point,
            package: ForwardingPackage::new(
                self.scid,
                (n + 1).into(),
                update(2 * n, add),
                update(2 * n + 1, fulfill),
            ),
            remote_unsigned_local: Vec::new(),
            our_output_index: Some(0),
            their_output_index: Some(1),
        }
    }

    fn add(&self, n: u64) -> Message {
        let message = ParsedMessage::UpdateAddHtlc {
            channel_id: self.channel_id.0,
            id: PASSING + n,
            amount_msat: 1_000_000,
            payment_hash: bytes32("hash", n),
            cltv_expiry: 800_000,
            onion: bytes("passing", self.number << 20 | n, ONION_LEN),
            extra: Bytes::new(),
        };
        message.encode().expect("message encodes")
    }

    fn fulfill(&self, n: u64) -> Message {
        let message = ParsedMessage::UpdateFulfillHtlc {
            channel_id: self.channel_id.0,
            id: n,
            preimage: bytes32("preimage", n),
            extra: Bytes::new(),
        };
        message.encode().expect("message encodes")
    }
}

/// The template at the height after `n`.
fn at(template: &Commitment, n: u64) -> Commitment {
    let mut commitment = template.clone();
    commitment.height = (n + 1).into();
    commitment.local_log_index = LogIndex(2 * n + 2);
    commitment.remote_log_index = LogIndex(2 * n);
    commitment
}

fn htlc(channel: u64, i: usize, in_flight: usize, signature: usize) -> Htlc {
    let number = channel << 20 | i as u64;
    Htlc {
        direction: if i < in_flight / 2 { Direction::Outgoing } else { Direction::Incoming },
        id: HtlcId(i as u64),
        output_index: Some(i as u32 + 2),
        signature: vec![0x30; signature].into(),
        terms: HtlcTerms {
            log_index: LogIndex(i as u64),
            amount: MilliSatoshi(1_000_000 + i as u64),
            payment_hash: bytes32("in flight", number),
            cltv_expiry: 800_000,
            onion: bytes("in flight", number, ONION_LEN),
            extra: Bytes::new(),
        },
    }
}

/// A transaction with outputs as large as those to a script hash.
fn commit_tx(point: OutPoint, in_flight: usize) -> Transaction {
    let mut tx = tx(point, 0, in_flight + 4);
    let script = ScriptBuf::from_bytes(vec![0x51; 34]);
    tx.output.iter_mut().for_each(|output| output.script_pubkey = script.clone());
    tx
}
