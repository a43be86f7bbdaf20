//! Values of one or a few fields.

use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{ScriptBuf, Transaction};
use bytes::Bytes;
use chanstate::{FinalHtlc, ForwardingPolicy, MilliSatoshi, ShutdownInfo};

use super::cursor::Cursor;
use super::error::{EncodeError, LndError, LndFault};
use super::writer::Writer;

const UPFRONT_SHUTDOWN: &str = "upfront shutdown script";
const SHUTDOWN_INFO: &str = "shutdown info";
const OUTPOINT_STATUS: &str = "outpoint status";
const FORWARDING_POLICY: &str = "forwarding policy";

const TLV_SHUTDOWN_SCRIPT: u64 = 0;
const TLV_SHUTDOWN_LOCAL: u64 = 1;

const TLV_OUTPOINT_STATUS: u64 = 0;

const FINAL_SETTLED: u8 = 1 << 0;
const FINAL_OFFCHAIN: u8 = 1 << 1;

/// Reads the value of `local-upfront-shutdown-key` or `remote-upfront-shutdown-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_upfront_shutdown(bytes: Bytes) -> Result<ScriptBuf, LndError> {
    let script = Cursor::whole(UPFRONT_SHUTDOWN, bytes, |cursor| cursor.var_bytes("script"))?;
    Ok(ScriptBuf::from_bytes(script.to_vec()))
}

/// Returns the canonical encoding of an upfront shutdown script.
///
/// # Errors
///
/// [`EncodeFault::TooLong`](super::EncodeFault::TooLong) for a script longer than lnd reads.
pub fn encode_upfront_shutdown(script: &ScriptBuf) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(UPFRONT_SHUTDOWN);
    out.var_bytes("script", script.as_bytes(), &[])?;
    Ok(out.finish())
}

/// Reads the value of `frozen-chans`, a thaw height.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_thaw_height(bytes: Bytes) -> Result<u32, LndError> {
    Cursor::whole("thaw height", bytes, |cursor| cursor.u32("height"))
}

/// Returns the encoding of a thaw height. There is only one.
pub fn encode_thaw_height(height: u32) -> Vec<u8> {
    height.to_be_bytes().to_vec()
}

/// Reads the value of `last-was-revoke`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_last_was_revoke(bytes: Bytes) -> Result<bool, LndError> {
    Cursor::whole("last was revoke", bytes, |cursor| cursor.flag("flag"))
}

/// Returns the canonical encoding of `last-was-revoke`.
pub fn encode_last_was_revoke(flag: bool) -> Vec<u8> {
    vec![flag.into()]
}

/// Reads a value that is one public key, as that of `data-loss-commit-point-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_public_key(bytes: Bytes) -> Result<PublicKey, LndError> {
    Cursor::whole("public key", bytes, |cursor| cursor.point("key"))
}

/// Returns the encoding of a public key. There is only one.
pub fn encode_public_key(key: &PublicKey) -> Vec<u8> {
    key.serialize().to_vec()
}

/// Reads the value of `closing-tx-key` or `coop-closing-tx-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_transaction(bytes: Bytes) -> Result<Arc<Transaction>, LndError> {
    Cursor::whole("closing transaction", bytes, |cursor| cursor.transaction("transaction"))
}

/// Returns the encoding of a transaction. There is only one.
pub fn encode_transaction(transaction: &Transaction) -> Vec<u8> {
    bitcoin::consensus::serialize(transaction)
}

/// Reads the value of `shutdown-info-key`. As in lnd, a missing record is empty or false.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_shutdown_info(bytes: Bytes) -> Result<ShutdownInfo, LndError> {
    let mut info = ShutdownInfo { script: ScriptBuf::new(), local_initiator: false };
    let mut records = Cursor::new(SHUTDOWN_INFO, bytes).tlv_records();
    while let Some(record) = records.next()? {
        match record.ty {
            TLV_SHUTDOWN_SCRIPT => info.script = ScriptBuf::from_bytes(record.bytes().to_vec()),
            TLV_SHUTDOWN_LOCAL => {
                info.local_initiator = record.read(|v| v.tlv_flag("local initiator"))?;
            }
            _ => {}
        }
    }
    Ok(info)
}

/// Returns the canonical encoding of a shutdown info.
pub fn encode_shutdown_info(info: &ShutdownInfo) -> Vec<u8> {
    let mut out = Writer::new(SHUTDOWN_INFO);
    out.tlv(TLV_SHUTDOWN_SCRIPT, info.script.as_bytes());
    out.tlv(TLV_SHUTDOWN_LOCAL, &[info.local_initiator.into()]);
    out.finish()
}

/// Whether a funding outpoint belongs to an open or a closed channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutpointStatus {
    /// The channel is open.
    Open,
    /// The channel is closed, whatever else is stored of it.
    Closed,
}

/// Reads a value of `outpoint-bucket`. As in lnd, a missing record means open.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_outpoint_status(bytes: Bytes) -> Result<OutpointStatus, LndError> {
    let mut status = OutpointStatus::Open;
    let mut records = Cursor::new(OUTPOINT_STATUS, bytes).tlv_records();
    while let Some(record) = records.next()? {
        if record.ty == TLV_OUTPOINT_STATUS {
            status = record.read(read_outpoint_status)?;
        }
    }
    Ok(status)
}

/// Returns the canonical encoding of an outpoint's status.
pub fn encode_outpoint_status(status: OutpointStatus) -> Vec<u8> {
    let mut out = Writer::new(OUTPOINT_STATUS);
    out.tlv(TLV_OUTPOINT_STATUS, &[u8::from(status == OutpointStatus::Closed)]);
    out.finish()
}

/// Reads a value of `final-htlcs`. Bits without a meaning are left to the residue.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_final_htlc(bytes: Bytes) -> Result<FinalHtlc, LndError> {
    let bits = Cursor::whole("final HTLC", bytes, |cursor| cursor.u8("outcome"))?;
    Ok(FinalHtlc { settled: bits & FINAL_SETTLED != 0, offchain: bits & FINAL_OFFCHAIN != 0 })
}

/// Returns the canonical encoding of an HTLC's outcome.
pub fn encode_final_htlc(outcome: FinalHtlc) -> Vec<u8> {
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    vec![bit(outcome.settled, FINAL_SETTLED) | bit(outcome.offchain, FINAL_OFFCHAIN)]
}

/// Reads a value of `initialChannelFwdingPolicy`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_forwarding_policy(bytes: Bytes) -> Result<ForwardingPolicy, LndError> {
    Cursor::whole(FORWARDING_POLICY, bytes, |cursor| {
        Ok(ForwardingPolicy {
            min_htlc: MilliSatoshi(cursor.u64("min HTLC out")?),
            max_htlc: MilliSatoshi(cursor.u64("max HTLC")?),
            base_fee: MilliSatoshi(cursor.u64("base fee")?),
            fee_rate: cursor.u64("fee rate")?,
            time_lock_delta: cursor.u32("time lock delta")?,
        })
    })
}

/// Returns the encoding of a forwarding policy. There is only one.
pub fn encode_forwarding_policy(policy: &ForwardingPolicy) -> Vec<u8> {
    let mut out = Writer::new(FORWARDING_POLICY);
    out.u64(policy.min_htlc.0);
    out.u64(policy.max_htlc.0);
    out.u64(policy.base_fee.0);
    out.u64(policy.fee_rate);
    out.u32(policy.time_lock_delta);
    out.finish()
}

/// Reads the value of `dbp`, the number of the last mandatory migration.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_db_version(bytes: Bytes) -> Result<u32, LndError> {
    Cursor::whole("database version", bytes, |cursor| cursor.u32("version"))
}

/// Returns the encoding of the database version. There is only one.
pub fn encode_db_version(version: u32) -> Vec<u8> {
    version.to_be_bytes().to_vec()
}

/// Reads the value of `ovk`, the optional migrations that were applied, in their stored order.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_optional_migrations(bytes: Bytes) -> Result<Vec<u64>, LndError> {
    Cursor::whole("optional migrations", bytes, |cursor| {
        let count = cursor.big_size("count")?;
        // No reservation: the count may be damaged.
        let mut migrations = Vec::new();
        for _ in 0..count {
            migrations.push(cursor.big_size("migration")?);
        }
        Ok(migrations)
    })
}

/// Returns the encoding of the optional migrations. There is only one for each order.
pub fn encode_optional_migrations(migrations: &[u64]) -> Vec<u8> {
    let mut out = Writer::new("optional migrations");
    out.big_size(migrations.len() as u64);
    migrations.iter().for_each(|migration| out.big_size(*migration));
    out.finish()
}

fn read_outpoint_status(value: &mut Cursor) -> Result<OutpointStatus, LndError> {
    const FIELD: &str = "status";
    let offset = value.offset();
    match value.u8(FIELD)? {
        0 => Ok(OutpointStatus::Open),
        1 => Ok(OutpointStatus::Closed),
        found => Err(value.error(FIELD, offset, LndFault::UnknownKind { found })),
    }
}
