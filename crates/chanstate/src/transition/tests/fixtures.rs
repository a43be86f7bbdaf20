//! Channels to apply rules to.

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{Amount, OutPoint, Transaction, Txid, absolute, transaction};
use bytes::Bytes;

use crate::change::ChannelChange;
use crate::channel::{ChannelShell, NewChannel};
use crate::commitment::{Commitment, Htlc, HtlcTerms, LogUpdate, ONION_LEN, PendingCommitment};
use crate::error::Rejection;
use crate::flags::{ChannelStatus, ChannelType};
use crate::ids::{ChannelId, ChannelNo, Direction, HtlcId, MilliSatoshi, ShortChannelId};
use crate::message::{Message, ParsedMessage};
use crate::package::ForwardingPackage;
use crate::record::ChannelRecord;
use crate::shachain::derive_secret;
use crate::state::ChannelState;
use crate::terms::{ChannelConfig, ChannelTerms, KeyDescriptor};
use crate::transition::{
    self as rule, AdvanceTail, AppendRemote, LocalUpdate, Options, Refusal, UpdateLocal,
};

pub(super) const SCID: ShortChannelId = ShortChannelId(800_000 << 40);
pub(super) const OUT: Direction = Direction::Outgoing;
pub(super) const IN: Direction = Direction::Incoming;
const SEED: [u8; 32] = [7; 32];

pub(super) fn point() -> OutPoint {
    OutPoint::new(Txid::from_byte_array([1; 32]), 0)
}

pub(super) fn channel_id() -> ChannelId {
    ChannelId::from_outpoint(point())
}

pub(super) fn public(secret: [u8; 32]) -> PublicKey {
    SecretKey::from_slice(&secret).unwrap().public_key(&Secp256k1::signing_only())
}

pub(super) fn secret(height: u64) -> [u8; 32] {
    derive_secret(&SEED, height).unwrap()
}

fn onion(id: u64) -> Bytes {
    sha256::Hash::hash(&id.to_be_bytes()).to_byte_array().repeat(43)[..ONION_LEN].to_vec().into()
}

pub(super) fn htlc(direction: Direction, id: u64) -> Htlc {
    Htlc {
        direction,
        id: HtlcId(id),
        output_index: Some(id as u32 & 0xff),
        signature: Bytes::new(),
        terms: HtlcTerms {
            log_index: id.into(),
            amount: MilliSatoshi(1_000_000),
            payment_hash: [id as u8; 32],
            cltv_expiry: 500,
            onion: onion(id),
            extra: Bytes::new(),
        },
    }
}

pub(super) fn commitment(height: u64, htlcs: Vec<Htlc>) -> Commitment {
    Commitment {
        height: height.into(),
        local_log_index: 5.into(),
        local_htlc_index: 5.into(),
        remote_log_index: 5.into(),
        remote_htlc_index: 5.into(),
        local_balance: MilliSatoshi(600),
        remote_balance: MilliSatoshi(400),
        commit_fee: Amount::from_sat(183),
        fee_per_kw: Amount::from_sat(253),
        commit_tx: Arc::new(Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::from_consensus(height as u32 & 0xffff),
            input: vec![],
            output: vec![],
        }),
        commit_sig: Bytes::new(),
        htlcs,
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
    }
}

fn terms() -> ChannelTerms {
    let descriptor = KeyDescriptor { locator: Default::default(), public_key: None };
    let config = ChannelConfig {
        dust_limit: Amount::ZERO,
        max_pending_amount: MilliSatoshi(0),
        channel_reserve: Amount::ZERO,
        min_htlc: MilliSatoshi(0),
        max_accepted_htlcs: 483,
        csv_delay: 144,
        multisig_key: descriptor,
        revocation_base_point: descriptor,
        payment_base_point: descriptor,
        delay_base_point: descriptor,
        htlc_base_point: descriptor,
    };
    ChannelTerms {
        initiator: true,
        channel_flags: 0,
        confirmations_required: 1,
        funding_broadcast_height: 0,
        capacity: Amount::from_sat(1),
        local_config: config.clone(),
        remote_config: config,
        revocation_root: [0; 32],
        revocation_root_locator: None,
        funding_tx: None,
        initial_local_balance: None,
        initial_remote_balance: None,
        memo: None,
        tapscript_root: None,
        custom_blob: None,
        thaw_height: None,
        local_upfront_shutdown: None,
        remote_upfront_shutdown: None,
        unknown_tlvs: Bytes::new(),
    }
}

pub(super) fn new_channel() -> NewChannel {
    NewChannel {
        funding_outpoint: point(),
        peer: public([9; 32]),
        chain: ChainHash::REGTEST,
        terms: terms(),
        channel_type: ChannelType::STATIC_REMOTE_KEY,
        scid: SCID,
        remote_current_point: public(secret(0)),
        remote_next_point: Some(public(secret(1))),
        local_commitment: commitment(0, vec![]),
        remote_commitment: commitment(0, vec![]),
    }
}

/// The state that a change creates.
pub(super) fn created(change: &ChannelChange) -> ChannelState {
    let row = change.puts().iter().find_map(|record| match record {
        crate::Record::Channel(row) => Some(row.clone()),
        _ => None,
    });
    let mut state = ChannelState::new(row.expect("every change writes the row"));
    state.apply(change);
    state
}

/// The state after a change.
pub(super) fn after(state: &ChannelState, change: &ChannelChange) -> ChannelState {
    let mut state = state.clone();
    state.apply(change);
    state
}

/// A channel at height 0 on both sides.
pub(super) fn fresh() -> ChannelState {
    created(&rule::open(ChannelNo(1), &new_channel()).unwrap())
}

/// A channel with another row.
pub(super) fn with_row(edit: impl FnOnce(&mut ChannelRecord)) -> ChannelState {
    let state = fresh();
    let mut row = state.row().clone();
    edit(&mut row);
    after(&state, &ChannelChange::new(row))
}

pub(super) fn shell() -> ChannelState {
    created(&rule::restore(
        ChannelNo(1),
        &ChannelShell {
            funding_outpoint: point(),
            peer: public([9; 32]),
            chain: ChainHash::REGTEST,
            terms: terms(),
            channel_type: ChannelType::STATIC_REMOTE_KEY,
            status: ChannelStatus::LOCAL_DATA_LOSS,
            scid: SCID,
            remote_current_point: public([3; 32]),
        },
    ))
}

/// States that a commitment rule refuses, with the reason.
pub(super) fn unusable() -> [(ChannelState, Rejection); 5] {
    let borked = ChannelStatus::BORKED;
    let unnamed = ChannelStatus::from_bits_retain(1 << 63);
    [
        (with_row(|row| row.closed = true), Rejection::AlreadyClosed(point())),
        (
            with_row(|row| (row.closed, row.status) = (true, borked)),
            Rejection::AlreadyClosed(point()),
        ),
        (with_row(|row| row.status = borked), Rejection::NotActive { status: borked }),
        (with_row(|row| row.status = unnamed), Rejection::NotActive { status: unnamed }),
        (shell(), Rejection::Restored),
    ]
}

/// A channel that is usable by its status and has no commitments.
pub(super) fn bare() -> ChannelState {
    with_row(|row| (row.local_height, row.remote_height) = (None, None))
}

pub(super) fn add(direction_id: u64) -> LogUpdate {
    let Htlc { terms, .. } = htlc(OUT, direction_id);
    update(ParsedMessage::UpdateAddHtlc {
        channel_id: channel_id().0,
        id: direction_id,
        amount_msat: terms.amount.0,
        payment_hash: terms.payment_hash,
        cltv_expiry: terms.cltv_expiry,
        onion: terms.onion,
        extra: terms.extra,
    })
}

pub(super) fn settle(id: u64) -> LogUpdate {
    let (channel_id, preimage) = (channel_id().0, [0; 32]);
    update(ParsedMessage::UpdateFulfillHtlc { channel_id, id, preimage, extra: Bytes::new() })
}

pub(super) fn fee() -> LogUpdate {
    let channel_id = channel_id().0;
    update(ParsedMessage::UpdateFee { channel_id, feerate_per_kw: 253, extra: Bytes::new() })
}

/// A message that is no update.
pub(super) fn commit_sig() -> Message {
    ParsedMessage::CommitmentSigned {
        channel_id: channel_id().0,
        signature: [0; 64],
        htlc_signatures: vec![],
        extra: Bytes::new(),
    }
    .encode()
    .unwrap()
}

pub(super) fn no_update() -> LogUpdate {
    LogUpdate { log_index: 0.into(), message: commit_sig() }
}

fn update(message: ParsedMessage) -> LogUpdate {
    let message = message.encode().unwrap();
    LogUpdate { log_index: message.htlc_id().unwrap_or(0).into(), message }
}

pub(super) fn append(height: u64, htlcs: Vec<Htlc>, updates: Vec<LogUpdate>) -> AppendRemote {
    let commitment = commitment(height, htlcs);
    AppendRemote {
        pending: PendingCommitment {
            commitment,
            commit_sig: commit_sig(),
            updates,
            opened_circuits: vec![],
            closed_circuits: vec![],
        },
        ack_adds: vec![],
        ack_settle_fails: vec![],
    }
}

pub(super) fn local(height: u64, htlcs: Vec<Htlc>) -> UpdateLocal {
    UpdateLocal {
        commitment: commitment(height, htlcs),
        unsigned_acked: vec![],
        total_sent: MilliSatoshi(0),
        total_received: MilliSatoshi(0),
    }
}

/// The peer revokes `height`.
pub(super) fn advance(height: u64, package: ForwardingPackage) -> AdvanceTail {
    AdvanceTail {
        secret: secret(height),
        next_point: public(secret(height + 2)),
        package,
        remote_unsigned_local: vec![],
        our_output_index: None,
        their_output_index: None,
    }
}

/// As the rule of that name, on a state that is not damaged.
pub(super) fn append_remote(
    state: &ChannelState,
    request: &AppendRemote,
) -> Result<Option<ChannelChange>, Rejection> {
    rule::append_remote(state, request).map_err(rejection)
}

/// As the rule of that name, on a state that is not damaged.
pub(super) fn advance_tail(
    state: &ChannelState,
    options: Options,
    request: &AdvanceTail,
) -> Result<ChannelChange, Rejection> {
    rule::advance_tail(state, options, request).map_err(rejection)
}

/// As the rule of that name, on a state that is not damaged.
pub(super) fn update_local(
    state: &ChannelState,
    options: Options,
    request: &UpdateLocal,
) -> Result<LocalUpdate, Rejection> {
    rule::update_local(state, options, request).map_err(rejection)
}

fn rejection(refusal: Refusal) -> Rejection {
    match refusal {
        Refusal::Rejected(rejection) => rejection,
        Refusal::Damaged(fault) => panic!("damaged: {fault}"),
    }
}

/// A channel whose peer is to revoke height 0, with these HTLCs in the next commitment.
pub(super) fn signed(htlcs: Vec<Htlc>) -> ChannelState {
    let state = fresh();
    let change = rule::append_remote(&state, &append(1, htlcs, vec![])).unwrap();
    after(&state, &change.unwrap())
}

/// A channel with a package of adds and settles at height 1.
pub(super) fn packed(adds: u64, settles: u64) -> ChannelState {
    let htlcs: Vec<_> = (0..adds).map(|id| htlc(IN, id)).collect();
    let state = signed(htlcs);
    let (adds, settles) = ((0..adds).map(add).collect(), (0..settles).map(settle).collect());
    let package = ForwardingPackage::new(SCID, 1.into(), adds, settles);
    let change = rule::advance_tail(&state, Options::default(), &advance(0, package)).unwrap();
    after(&state, &change)
}

/// A package without updates at height 1.
pub(super) fn empty_package() -> ForwardingPackage {
    ForwardingPackage::new(SCID, 1.into(), vec![], vec![])
}

/// HTLC records that a change writes, and removes.
pub(super) fn htlc_traffic(change: &ChannelChange) -> (usize, usize) {
    let puts = change.puts().iter().filter(|r| matches!(r, crate::Record::Htlc(_))).count();
    let removes = change.removes().iter().filter(|k| k.kind == crate::key::Kind::Htlc).count();
    (puts, removes)
}
