//! A store as a node has it after years, the same for the same seed.

use std::sync::Arc;

use bitcoin::Txid;
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use channelcoord::{Backend, Batch, ChangeSet, Head, Record as AnyRecord, Verdict};
use chanstate::record::*;
use chanstate::transition::{self, Imported};
use chanstate::*;
use conformance::values;
use fastrand::Rng;
use linknode::LinkNodeChange;
use pollster::block_on;

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Channels, one in eight of them closed.
    pub(crate) channels: u64,
    /// Revoked states of all open channels together.
    pub(crate) states: u64,
}

/// Channels with one peer.
const CHANNELS_PER_PEER: u64 = 4;

/// Forwarding packages that a channel still has.
const PACKAGES: u64 = 8;

/// Records after which a batch is committed.
const BATCH: usize = 8192;

/// Fills an empty store. Returns how many records it has.
pub(crate) fn generate(backend: &dyn Backend, size: Size, seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut fill = Fill::new(backend);
    for (n, states) in shares(size, &mut rng).into_iter().enumerate() {
        let n = n as u64;
        if n.is_multiple_of(CHANNELS_PER_PEER) {
            let node = values::link_node(n / CHANNELS_PER_PEER);
            let link_nodes = vec![LinkNodeChange::put(&node, None, Version::ABSENT)];
            fill.add(ChangeSet { link_nodes, ..ChangeSet::default() });
        }
        channel(&mut fill, n, states, &mut rng);
    }
    fill.finish()
}

fn is_closed(n: u64) -> bool {
    n % 8 == 7
}

/// How many states each channel has: a few channels have most of them.
fn shares(size: Size, rng: &mut Rng) -> Vec<u64> {
    let weight = |n| if is_closed(n) { 0 } else { rng.u64(1..100).pow(3) };
    let weights: Vec<u64> = (0..size.channels).map(weight).collect();
    let all: u64 = weights.iter().sum();
    let (mut sum, mut given) = (0, 0);
    let share = |weight| {
        sum += weight;
        let due = (u128::from(size.states) * u128::from(sum) / u128::from(all.max(1))) as u64;
        let share = due - given;
        given = due;
        share
    };
    weights.into_iter().map(share).collect()
}

fn channel(fill: &mut Fill<'_>, n: u64, states: u64, rng: &mut Rng) {
    let (no, closed) = (ChannelNo(n + 1), is_closed(n));
    let peer = values::peer(n / CHANNELS_PER_PEER);
    let point = values::outpoint(n);
    let row = ChannelRecord {
        no,
        version: Version::ABSENT,
        funding_outpoint: point,
        channel_id: ChannelId::from_outpoint(point),
        peer,
        chain: ChainHash::REGTEST,
        closed,
        pending: false,
        channel_type: ChannelType::STATIC_REMOTE_KEY | ChannelType::ANCHORS,
        status: ChannelStatus::empty(),
        scid: scid(n),
        confirmed_scid: None,
        confirmation_height: Some(800_000 + n as u32),
        close_confirmation_height: closed.then_some(810_000),
        local_height: Some(CommitmentHeight(states)),
        remote_height: Some(CommitmentHeight(states)),
        has_pending: n % 16 == 3,
        last_was_revoke: (!closed).then_some(n.is_multiple_of(2)),
        total_sent: MilliSatoshi(states * 1_000_000),
        total_received: MilliSatoshi(states * 900_000),
        remote_current_point: values::peer_point(n, states),
        remote_next_point: Some(values::peer_point(n, states + 1)),
        next_secret_index: shachain::index_of(states).expect("heights are in range"),
    };
    let in_flight = if n.is_multiple_of(3) && !closed { 1 + n % 7 } else { 0 };
    let commitment =
        |side, height| values::commitment(n, side, height, values::htlcs_both_ways(in_flight));
    let pending = row.has_pending.then(|| PendingCommitment {
        commitment: commitment(Side::Remote, states + 1),
        commit_sig: values::commit_sig(row.channel_id, n, 2 * in_flight as usize),
        updates: vec![values::fee(row.channel_id, 1)],
        opened_circuits: vec![CircuitKey { scid: scid(n + 1), htlc_id: HtlcId(states) }],
        closed_circuits: Vec::new(),
    });
    let terms = TermsRecord { no, terms: Arc::new(values::terms(n)) };
    let imported = Imported {
        local: Some(commitment(Side::Local, states)),
        remote: Some(commitment(Side::Remote, states)),
        pending,
        unsigned_acked: (n % 5 == 1).then(|| vec![values::fee(row.channel_id, 2)]),
        remote_unsigned_local: (n % 5 == 2).then(Vec::new),
        others: [Record::Terms(terms)].into_iter().chain(secrets(no, n, states)).collect(),
    };
    let mut state = ChannelState::new(row.clone());
    let change = transition::import(row, imported).expect("the channel can be stored");
    state.apply(&change);
    fill.add(ChangeSet { channels: vec![change], ..ChangeSet::default() });
    (0..states).for_each(|height| fill.put(Record::RevokedState(revoked(no, height, rng))));
    if closed {
        let summary = CloseSummary { pending: false, ..values::summary(n, point, peer) };
        let status_before = ChannelStatus::empty();
        fill.put(Record::Close(CloseRecord { no, status_before, summary }));
    } else {
        packages(fill, &state, states, rng);
        fill.put(policy(&state));
    }
    if n % 50 == 9 {
        let key = values::bytes("opening", n, 36);
        fill.put(Record::OpeningState(OpeningStateRecord { key, value: vec![0, 2].into() }));
    }
    for id in 0..states / 100 {
        let outcome = FinalHtlc { settled: rng.u8(..) > 50, offchain: rng.u8(..) > 5 };
        fill.put(Record::FinalHtlc(FinalHtlcRecord { scid: scid(n), id: HtlcId(id), outcome }));
    }
}

fn scid(n: u64) -> ShortChannelId {
    ShortChannelId((800_000 + n) << 40 | n << 16)
}

/// The peer's secrets after `count` revocations: bucket `b` has the last height before `count` whose
/// successor ends in exactly `b` zero bits.
fn secrets(no: ChannelNo, n: u64, count: u64) -> impl Iterator<Item = Record> {
    let seed = values::peer_seed(n);
    let last = move |slot: u8| {
        let whole = count >> slot;
        let odd = if whole.is_multiple_of(2) { whole.checked_sub(1)? } else { whole };
        (odd << slot).checked_sub(1)
    };
    (0..48).map_while(move |slot| {
        let height = last(slot)?;
        let index = shachain::index_of(height).ok()?;
        let secret = shachain::derive_secret(&seed, height).ok()?;
        Some(Record::Secret(SecretRecord { no, slot, index, secret }))
    })
}

/// A revoked state; every third has HTLCs.
fn revoked(no: ChannelNo, height: u64, rng: &mut Rng) -> RevokedStateRecord {
    let mut bytes32 = || {
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        bytes
    };
    let htlc = |position: u64| RevokedHtlc {
        direction: if position.is_multiple_of(2) {
            Direction::Outgoing
        } else {
            Direction::Incoming
        },
        id: Some(HtlcId(height + position)),
        payment_hash: bytes32(),
        amount_sat: 10_000 + height,
        cltv_expiry: 800_000 + height as u32,
        output_index: 2 + position as u16,
        custom_records: None,
    };
    let htlcs = if height.is_multiple_of(3) { 1 + height % 5 } else { 0 };
    let htlcs = (0..htlcs).map(htlc).collect();
    let state = RevokedState {
        height: CommitmentHeight(height),
        our_output_index: Some(0),
        their_output_index: (!height.is_multiple_of(10)).then_some(1),
        commit_txid: Txid::from_byte_array(bytes32()),
        our_balance: Some(MilliSatoshi(5_000_000_000 - height)),
        their_balance: Some(MilliSatoshi(4_000_000_000 + height)),
        htlcs,
        custom_blob: None,
        residue: Bytes::new(),
    };
    RevokedStateRecord { no, state }
}

/// The newest packages of a channel; the older ones were removed when they were done with.
fn packages(fill: &mut Fill<'_>, state: &ChannelState, states: u64, rng: &mut Rng) {
    let row = state.row();
    for height in states.saturating_sub(PACKAGES)..states {
        // Ids behind those of the HTLCs in flight.
        let ids = (0..rng.u64(0..3)).map(|position| 1_000 + 4 * height + position);
        let add = |id| values::add(row.channel_id, id, &values::htlc_terms(id, 2_000_000 + id));
        let adds: Vec<_> = ids.map(add).collect();
        let settles = vec![values::fulfill(row.channel_id, height, 4 * height)];
        let mut package = ForwardingPackage::new(row.scid, CommitmentHeight(height), adds, settles);
        if !height.is_multiple_of(4) {
            package.forward_filter = Some(package.ack_filter.clone());
            package.settle_fail_filter = Filter::empty(1).with(0).expect("there is one");
        }
        let records = transition::import_package(Some(state), &package, false);
        records.expect("the package can be stored").into_iter().for_each(|r| fill.put(r));
    }
}

fn policy(state: &ChannelState) -> Record {
    let policy = ForwardingPolicy {
        min_htlc: MilliSatoshi(1),
        max_htlc: MilliSatoshi(9_900_000_000),
        base_fee: MilliSatoshi(1_000),
        fee_rate: 1,
        time_lock_delta: 80,
    };
    let channel_id = state.row().channel_id;
    Record::ForwardingPolicy(ForwardingPolicyRecord { channel_id, policy })
}

/// Commits in large batches.
struct Fill<'a> {
    backend: &'a dyn Backend,
    head: Head,
    sets: Vec<ChangeSet>,
    waiting: usize,
    written: u64,
}

impl<'a> Fill<'a> {
    fn new(backend: &'a dyn Backend) -> Fill<'a> {
        let head = block_on(backend.claim(None)).expect("the store is claimed");
        Fill { backend, head, sets: Vec::new(), waiting: 0, written: 0 }
    }

    fn put(&mut self, record: Record) {
        self.add(ChangeSet { puts: vec![AnyRecord::Channel(record)], ..ChangeSet::default() });
    }

    fn add(&mut self, set: ChangeSet) {
        self.waiting += set.ops().count();
        self.sets.push(set);
        if self.waiting >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut sets = std::mem::take(&mut self.sets);
        for (version, set) in (self.head.seq.0 + 1..).zip(&mut sets) {
            set.stamp(Version(version));
        }
        let batch = Batch { epoch: self.head.epoch, before: self.head.seq, sets: &sets };
        self.head.seq = batch.last();
        let verdicts = block_on(self.backend.commit(batch)).expect("the batch is committed");
        assert!(verdicts.iter().all(|v| matches!(v, Verdict::Applied)), "{verdicts:?}");
        self.written += std::mem::take(&mut self.waiting) as u64;
    }

    fn finish(mut self) -> u64 {
        self.flush();
        block_on(self.backend.release()).expect("the store is released");
        self.written
    }
}
