//! A channel and its peer, as far as storage sees them.

use std::collections::VecDeque;
use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use bytes::Bytes;
use channelcoord::{PeerChannelStore, Store};
use chanstate::facet::{CommitmentStore, LifecycleStore};
use chanstate::message::{Message, ParsedMessage};
use chanstate::shachain::derive_secret;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, ChannelConfig, ChannelId, ChannelTerms, ChannelType, CircuitKey, Commitment, Direction,
    ForwardingPackage, Htlc, HtlcId, HtlcTerms, KeyDescriptor, KeyLocator, LogIndex, LogUpdate,
    MilliSatoshi, NewChannel, ONION_LEN, PendingCommitment, ShortChannelId,
};
use linknode::{LinkNode, Network};

/// First HTLC id of the updates that pass through; those in flight come before.
const PASSING: u64 = 1_000;

/// One channel that runs cycles.
pub(crate) struct Link {
    number: u64,
    point: OutPoint,
    channel_id: ChannelId,
    scid: ShortChannelId,
    peer: PublicKey,
    seed: [u8; 32],
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
        let point = OutPoint::new(Txid::from_byte_array(bytes32("funding", number)), 0);
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
            peer: point_of(&bytes32("peer", number)),
            seed: bytes32("seed", number),
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
            let secret = derive_secret(&self.seed, self.prepared).expect("height in range");
            self.revocations.push_back((secret, self.point_at(self.prepared + 2)));
            self.prepared += 1;
        }
    }

    pub(crate) async fn open(&self, store: &Store) {
        let channel = NewChannel {
            funding_outpoint: self.point,
            peer: self.peer,
            chain: ChainHash::BITCOIN,
            terms: terms(self.number, self.point),
            channel_type: ChannelType::from_bits_retain(0x2a),
            scid: ShortChannelId(0),
            remote_current_point: self.point_at(0),
            remote_next_point: Some(self.point_at(1)),
            local_commitment: self.local.clone(),
            remote_commitment: self.remote.clone(),
        };
        let peer = LinkNode {
            node_id: self.peer,
            network: Network::MAINNET,
            last_seen: 1_700_000_000,
            addresses: Vec::new(),
        };
        store.open_channel(channel, peer).await.expect("channel opens");
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
            onion: onion(self.number, n),
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

    fn point_at(&self, height: u64) -> PublicKey {
        point_of(&derive_secret(&self.seed, height).expect("height in range"))
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
    let number = channel << 32 | i as u64;
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
            onion: onion(number, 7),
            extra: Bytes::new(),
        },
    }
}

/// Bytes that do not compress.
fn onion(a: u64, b: u64) -> Bytes {
    let mut block = sha256::Hash::hash(&[a.to_be_bytes(), b.to_be_bytes()].concat());
    let mut onion = Vec::with_capacity(ONION_LEN + 32);
    while onion.len() < ONION_LEN {
        onion.extend_from_slice(block.as_byte_array());
        block = sha256::Hash::hash(block.as_byte_array());
    }
    onion.truncate(ONION_LEN);
    onion.into()
}

fn commit_tx(point: OutPoint, in_flight: usize) -> Transaction {
    let output = TxOut {
        value: Amount::from_sat(10_000),
        script_pubkey: ScriptBuf::from_bytes(vec![0x51; 34]),
    };
    transaction(point, Witness::new(), vec![output; in_flight + 4])
}

fn transaction(point: OutPoint, witness: Witness, output: Vec<TxOut>) -> Transaction {
    let input = TxIn {
        previous_output: point,
        script_sig: ScriptBuf::new(),
        sequence: Sequence(0x8000_0000),
        witness,
    };
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output }
}

fn terms(number: u64, point: OutPoint) -> ChannelTerms {
    let config = |side: u64| {
        let key = |family: u32| KeyDescriptor {
            locator: KeyLocator { family, index: 1 },
            public_key: Some(point_of(&bytes32(
                "base point",
                number << 8 | side << 4 | u64::from(family),
            ))),
        };
        ChannelConfig {
            dust_limit: Amount::from_sat(354),
            max_pending_amount: MilliSatoshi(990_000_000),
            channel_reserve: Amount::from_sat(10_000),
            min_htlc: MilliSatoshi(1),
            max_accepted_htlcs: 483,
            csv_delay: 144,
            multisig_key: key(0),
            revocation_base_point: key(1),
            htlc_base_point: key(2),
            payment_base_point: key(3),
            delay_base_point: key(4),
        }
    };
    let output = TxOut {
        value: Amount::from_sat(5_000_000),
        script_pubkey: ScriptBuf::from_bytes(vec![0x51; 34]),
    };
    let witness = Witness::from_slice(&[vec![1; 71], vec![2; 33]]);
    ChannelTerms {
        initiator: true,
        channel_flags: 1,
        confirmations_required: 3,
        funding_broadcast_height: 700_000,
        capacity: Amount::from_sat(5_000_000),
        local_config: config(0),
        remote_config: config(1),
        revocation_root: bytes32("root", number),
        revocation_root_locator: Some(KeyLocator { family: 5, index: 1 }),
        funding_tx: Some(Arc::new(transaction(point, witness, vec![output; 2]))),
        initial_local_balance: Some(MilliSatoshi(3_000_000_000)),
        initial_remote_balance: Some(MilliSatoshi(2_000_000_000)),
        memo: None,
        tapscript_root: None,
        custom_blob: None,
        thaw_height: None,
        local_upfront_shutdown: None,
        remote_upfront_shutdown: None,
        unknown_tlvs: Bytes::new(),
    }
}

fn point_of(secret: &[u8; 32]) -> PublicKey {
    let key = SecretKey::from_slice(secret).expect("a hash is a secret key");
    key.public_key(&Secp256k1::signing_only())
}

fn bytes32(what: &str, number: u64) -> [u8; 32] {
    let data = [what.as_bytes(), &number.to_be_bytes()].concat();
    sha256::Hash::hash(&data).to_byte_array()
}
