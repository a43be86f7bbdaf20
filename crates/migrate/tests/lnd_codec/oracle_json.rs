//! Decoded values in the form in which lnd's own decoders describe them.

use bitcoin::OutPoint;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::message::Message;
use chanstate::tlv::TlvStream;
use chanstate::*;
use linknode::{Address, LinkNode};
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::revocation::RevocationKeys;
use serde_json::{Map, Value, json};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}

fn key(key: &PublicKey) -> String {
    hex(&key.serialize())
}

fn blob(bytes: &Option<Bytes>) -> Option<String> {
    bytes.as_ref().map(|bytes| hex(bytes))
}

pub(crate) fn outpoint(outpoint: &OutPoint) -> Value {
    json!({ "txid": hex(outpoint.txid.as_byte_array()), "index": outpoint.vout })
}

pub(crate) fn chan_info(info: &ChanInfo) -> Value {
    let locator = info.revocation_root_locator.unwrap_or_default();
    let balance = |balance: Option<MilliSatoshi>| balance.unwrap_or_default().0;
    json!({
        "channel_type": info.channel_type.bits(),
        "chain_hash": hex(info.chain.as_bytes()),
        "funding_outpoint": outpoint(&info.funding_outpoint),
        "short_channel_id": info.scid.0,
        "is_pending": info.pending,
        "is_initiator": info.initiator,
        "status": info.status.bits(),
        "funding_broadcast_height": info.funding_broadcast_height,
        "confirmations_required": info.confirmations_required,
        "channel_flags": info.channel_flags,
        "identity_key": key(&info.peer),
        "capacity_sat": info.capacity.to_sat(),
        "total_sent_msat": info.total_sent.0,
        "total_received_msat": info.total_received.0,
        "funding_tx": info.funding_tx.as_ref().map(|tx| hex(&serialize(tx.as_ref()))),
        "local_config": config(&info.local_config),
        "remote_config": config(&info.remote_config),
        "revocation_key_locator": { "family": locator.family, "index": locator.index },
        "initial_local_balance_msat": balance(info.initial_local_balance),
        "initial_remote_balance_msat": balance(info.initial_remote_balance),
        "confirmed_scid": info.confirmed_scid.unwrap_or_default().0,
        "memo": blob(&info.memo).filter(|memo| !memo.is_empty()),
        "tapscript_root": info.tapscript_root.map(|root| hex(&root)),
        "custom_blob": blob(&info.custom_blob),
        "confirmation_height": info.confirmation_height.unwrap_or(0),
        "close_confirmation_height": info.close_confirmation_height,
    })
}

pub(crate) fn config(config: &ChannelConfig) -> Value {
    let descriptor = |descriptor: &KeyDescriptor| {
        json!({
            "family": descriptor.locator.family,
            "index": descriptor.locator.index,
            "pubkey": descriptor.public_key.as_ref().map(key),
        })
    };
    json!({
        "dust_limit_sat": config.dust_limit.to_sat(),
        "max_pending_amount_msat": config.max_pending_amount.0,
        "channel_reserve_sat": config.channel_reserve.to_sat(),
        "min_htlc_msat": config.min_htlc.0,
        "max_accepted_htlcs": config.max_accepted_htlcs,
        "csv_delay": config.csv_delay,
        "multisig_key": descriptor(&config.multisig_key),
        "revocation_base_point": descriptor(&config.revocation_base_point),
        "payment_base_point": descriptor(&config.payment_base_point),
        "delay_base_point": descriptor(&config.delay_base_point),
        "htlc_base_point": descriptor(&config.htlc_base_point),
    })
}

pub(crate) fn commitment(commitment: &Commitment) -> Value {
    json!({
        "commit_height": commitment.height.0,
        "local_log_index": commitment.local_log_index.0,
        "local_htlc_index": commitment.local_htlc_index.0,
        "remote_log_index": commitment.remote_log_index.0,
        "remote_htlc_index": commitment.remote_htlc_index.0,
        "local_balance_msat": commitment.local_balance.0,
        "remote_balance_msat": commitment.remote_balance.0,
        "commit_fee_sat": commitment.commit_fee.to_sat(),
        "fee_per_kw_sat": commitment.fee_per_kw.to_sat(),
        "commit_tx": hex(&serialize(commitment.commit_tx.as_ref())),
        "commit_txid": hex(commitment.commit_tx.compute_txid().as_byte_array()),
        "commit_sig": hex(&commitment.commit_sig),
        "htlcs": commitment.htlcs.iter().map(htlc).collect::<Vec<_>>(),
        "custom_blob": blob(&commitment.custom_blob),
    })
}

fn htlc(htlc: &Htlc) -> Value {
    let extra = TlvStream::parse_shared(&htlc.terms.extra).unwrap();
    let custom: Map<String, Value> = extra
        .iter()
        .filter(|record| record.ty >= 65536)
        .map(|record| (record.ty.to_string(), hex(&record.value).into()))
        .collect();
    json!({
        "signature": hex(&htlc.signature),
        "payment_hash": hex(&htlc.terms.payment_hash),
        "amount_msat": htlc.terms.amount.0,
        "refund_timeout": htlc.terms.cltv_expiry,
        "output_index": htlc.output_index.map_or(-1, i64::from),
        "incoming": htlc.direction == Direction::Incoming,
        "onion_sha256": hex(sha256::Hash::hash(&htlc.terms.onion).as_byte_array()),
        "htlc_index": htlc.id.0,
        "log_index": htlc.terms.log_index.0,
        "blinding_point": extra.get(0).map(|point| hex(point)),
        "custom_records": Some(custom).filter(|custom| !custom.is_empty()),
    })
}

pub(crate) fn revocation_state(keys: &RevocationKeys) -> Value {
    let buckets = keys.secrets.buckets().iter();
    json!({
        "remote_current_point": key(&keys.current_point),
        "our_root": hex(&keys.root),
        "store_buckets": buckets
            .map(|bucket| json!({ "index": bucket.index, "secret": hex(&bucket.secret) }))
            .collect::<Vec<_>>(),
        "store_next_index": keys.secrets.next_index(),
        "remote_next_point": keys.next_point.as_ref().map(key),
        "secrets_received": keys.secrets.secrets_received(),
    })
}

/// What identifies a message; the oracle has its fields too, and not always all its bytes.
pub(crate) fn message(message: &Message) -> Value {
    json!({
        "type": message.ty(),
        "raw_sha256": hex(sha256::Hash::hash(message.as_bytes()).as_byte_array()),
        "raw_len": message.as_bytes().len(),
    })
}

pub(crate) fn updates(updates: &[LogUpdate]) -> Value {
    let update = |update: &LogUpdate| json!({ "log_index": update.log_index.0, "message": message(&update.message) });
    updates.iter().map(update).collect()
}

pub(crate) fn commit_diff(pending: &PendingCommitment) -> Value {
    let circuits = |circuits: &[CircuitKey]| -> Value {
        let circuit = |c: &CircuitKey| json!({ "scid": c.scid.0, "htlc_id": c.htlc_id.0 });
        circuits.iter().map(circuit).collect()
    };
    json!({
        "commitment": commitment(&pending.commitment),
        "commit_sig_message": message(&pending.commit_sig),
        "log_updates": updates(&pending.updates),
        "opened_circuits": circuits(&pending.opened_circuits),
        "closed_circuits": circuits(&pending.closed_circuits),
    })
}

pub(crate) fn revoked_state(state: &RevokedState) -> Value {
    let htlc = |htlc: &RevokedHtlc| {
        json!({
            "payment_hash": hex(&htlc.payment_hash),
            "refund_timeout": htlc.cltv_expiry,
            "output_index": htlc.output_index,
            "incoming": htlc.direction == Direction::Incoming,
            "amount_sat": htlc.amount_sat,
            "custom_blob": blob(&htlc.custom_records),
            "htlc_index": htlc.id.map(|id| id.0),
        })
    };
    json!({
        "height": state.height.0,
        "our_output_index": state.our_output_index.unwrap_or(u16::MAX),
        "their_output_index": state.their_output_index.unwrap_or(u16::MAX),
        "commit_txid": hex(state.commit_txid.as_byte_array()),
        "our_balance_msat": state.our_balance.map(|balance| balance.0),
        "their_balance_msat": state.their_balance.map(|balance| balance.0),
        "custom_blob": blob(&state.custom_blob),
        "htlcs": state.htlcs.iter().map(htlc).collect::<Vec<_>>(),
    })
}

pub(crate) fn close_summary(summary: &CloseSummary) -> Value {
    let resume = summary.resume.as_ref();
    json!({
        "channel_point": outpoint(&summary.channel_point),
        "short_channel_id": summary.scid.0,
        "chain_hash": hex(summary.chain.as_bytes()),
        "closing_txid": hex(summary.closing_txid.as_byte_array()),
        "close_height": summary.close_height,
        "remote_key": key(&summary.peer),
        "capacity_sat": summary.capacity.to_sat(),
        "settled_balance_sat": summary.settled_balance.to_sat(),
        "time_locked_balance_sat": summary.time_locked_balance.to_sat(),
        "close_type": summary.kind.to_u8(),
        "is_pending": summary.pending,
        "remote_current_point": resume.map(|resume| key(&resume.remote_current_point)),
        "remote_next_point": resume.and_then(|resume| resume.remote_next_point.as_ref().map(key)),
        "local_config": resume.map(|resume| config(&resume.local_config)),
        "last_sync_message": resume.and_then(|resume| resume.reestablish.as_ref().map(message)),
    })
}

pub(crate) fn link_node(node: &LinkNode, identity_key: &PublicKey) -> Value {
    json!({
        "key": key(&node.node_id),
        "network": node.network.0,
        "identity_key": key(identity_key),
        "last_seen": node.last_seen,
        "addresses": node.addresses.iter().map(address).collect::<Vec<_>>(),
    })
}

fn address(address: &Address) -> Value {
    let name = match address {
        Address::Opaque(raw) => return json!({ "type": "opaque", "text": "", "raw": hex(raw) }),
        Address::Ipv4 { .. } => "tcp4",
        Address::Ipv6 { .. } => "tcp6",
        Address::TorV2 { .. } => "tor2",
        Address::TorV3 { .. } => "tor3",
        Address::Dns { .. } => "dns",
    };
    json!({ "type": name, "text": address.host(), "port": address.port() })
}
