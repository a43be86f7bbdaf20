//! Commitments with their HTLCs, and the commit diff: a commitment that awaits a revocation.

use bitcoin::Amount;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::message::MessageKind;
use chanstate::tlv::{TlvError, TlvStream};
use chanstate::{
    CircuitKey, Commitment, CommitmentHeight, Direction, Htlc, HtlcId, HtlcTerms, LogIndex,
    MilliSatoshi, ONION_LEN, PendingCommitment, ShortChannelId,
};
use thiserror::Error;

use super::cursor::Cursor;
use super::error::{EncodeError, EncodeFault, LndError, LndFault};
use super::update::{read_list, write_list};
use super::writer::Writer;

const COMMITMENT: &str = "commitment";
const COMMIT_DIFF: &str = "commit diff";

/// Record of a commitment with data of custom channels.
const TLV_CUSTOM_BLOB: u64 = 1;

/// Output index that lnd writes for an HTLC without an output. It reads any negative one as such.
const NO_OUTPUT: i32 = -1;

/// Reads the value of `chan-commitment-key`, of either side.
///
/// The extra records of HTLCs are taken as they are, see [`htlc_extra_fault`].
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode(bytes: Bytes) -> Result<Commitment, LndError> {
    Cursor::whole(COMMITMENT, bytes, |cursor| {
        let mut commitment = read_without_tlvs(cursor)?;
        read_tlvs(cursor, &mut commitment)?;
        Ok(commitment)
    })
}

/// Returns the canonical encoding of a commitment.
///
/// # Errors
///
/// * [`EncodeFault::TooLong`]: more HTLCs than a `u16` counts, or a field longer than lnd reads.
/// * [`EncodeFault::Length`]: an onion is not [`ONION_LEN`] bytes long.
/// * [`EncodeFault::TooLarge`]: an output index of 2^31 or more.
/// * [`EncodeFault::NotATlvStream`], [`EncodeFault::KnownRecord`] for bad unknown records.
pub fn encode(commitment: &Commitment) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(COMMITMENT);
    write_without_tlvs(&mut out, commitment)?;
    write_tlvs(&mut out, commitment)?;
    Ok(out.finish())
}

/// Reads the value of `commit-diff-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_diff(bytes: Bytes) -> Result<PendingCommitment, LndError> {
    Cursor::whole(COMMIT_DIFF, bytes, |cursor| {
        let mut commitment = read_without_tlvs(cursor)?;
        let signed = MessageKind::CommitmentSigned.ty();
        let commit_sig = cursor.message_of("commitment_signed", signed)?;
        let updates = read_list(cursor)?;
        let opened_circuits = read_circuits(cursor, "opened circuits")?;
        let closed_circuits = read_circuits(cursor, "closed circuits")?;
        // The records of the commitment are at the very end of the diff.
        read_tlvs(cursor, &mut commitment)?;
        Ok(PendingCommitment { commitment, commit_sig, updates, opened_circuits, closed_circuits })
    })
}

/// Returns the canonical encoding of a commit diff.
///
/// # Errors
///
/// As [`encode`]; [`EncodeFault::TooLong`] also for lists longer than a `u16` counts.
pub fn encode_diff(pending: &PendingCommitment) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(COMMIT_DIFF);
    write_without_tlvs(&mut out, &pending.commitment)?;
    out.message("commitment_signed", &pending.commit_sig)?;
    write_list(&mut out, &pending.updates)?;
    write_circuits(&mut out, "opened circuits", &pending.opened_circuits)?;
    write_circuits(&mut out, "closed circuits", &pending.closed_circuits)?;
    write_tlvs(&mut out, &pending.commitment)?;
    Ok(out.finish())
}

/// Why lnd could not load a channel because of the extra records of one of its HTLCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HtlcExtraFault {
    /// They are not a TLV stream.
    #[error("extra records are not a TLV stream")]
    NotATlvStream(#[source] TlvError),
    /// The blinding point (record 0) is not a point.
    #[error("blinding point is not a point")]
    BlindingPoint,
    /// A record is neither the blinding point nor a custom record.
    #[error("extra record {ty}, custom records begin at 65536")]
    NotCustom {
        /// Type of the record.
        ty: u64,
    },
    /// A record is longer than lnd reads in peer messages.
    #[error("extra record {ty} has {len} bytes, at most 65535")]
    TooLong {
        /// Type of the record.
        ty: u64,
        /// Length of its value.
        len: usize,
    },
}

/// Tells whether lnd could load an HTLC with these extra records; `None` if it could.
pub fn htlc_extra_fault(extra: &Bytes) -> Option<HtlcExtraFault> {
    let stream = match TlvStream::parse_shared(extra) {
        Ok(stream) => stream,
        Err(fault) => return Some(HtlcExtraFault::NotATlvStream(fault)),
    };
    stream.iter().find_map(|record| match record.ty {
        ty if record.value.len() > usize::from(u16::MAX) => {
            Some(HtlcExtraFault::TooLong { ty, len: record.value.len() })
        }
        0 if record.value.len() == 33 && PublicKey::from_slice(&record.value).is_ok() => None,
        0 => Some(HtlcExtraFault::BlindingPoint),
        ty @ 1..=0xffff => Some(HtlcExtraFault::NotCustom { ty }),
        _ => None,
    })
}

/// Reads a commitment up to and including its HTLCs.
pub(super) fn read_without_tlvs(cursor: &mut Cursor) -> Result<Commitment, LndError> {
    Ok(Commitment {
        height: CommitmentHeight(cursor.key_number("commit height")?),
        local_log_index: LogIndex(cursor.u64("local log index")?),
        local_htlc_index: HtlcId(cursor.u64("local HTLC index")?),
        remote_log_index: LogIndex(cursor.u64("remote log index")?),
        remote_htlc_index: HtlcId(cursor.u64("remote HTLC index")?),
        local_balance: MilliSatoshi(cursor.u64("local balance")?),
        remote_balance: MilliSatoshi(cursor.u64("remote balance")?),
        commit_fee: Amount::from_sat(cursor.u64("commit fee")?),
        fee_per_kw: Amount::from_sat(cursor.u64("fee per kw")?),
        commit_tx: cursor.transaction("commit transaction")?,
        commit_sig: cursor.var_bytes("commit signature")?,
        htlcs: read_htlcs(cursor)?,
        custom_blob: None,
        unknown_tlvs: Bytes::new(),
    })
}

/// Writes a commitment up to and including its HTLCs.
pub(super) fn write_without_tlvs(
    out: &mut Writer,
    commitment: &Commitment,
) -> Result<(), EncodeError> {
    out.u64(commitment.height.0);
    out.u64(commitment.local_log_index.0);
    out.u64(commitment.local_htlc_index.0);
    out.u64(commitment.remote_log_index.0);
    out.u64(commitment.remote_htlc_index.0);
    out.u64(commitment.local_balance.0);
    out.u64(commitment.remote_balance.0);
    out.u64(commitment.commit_fee.to_sat());
    out.u64(commitment.fee_per_kw.to_sat());
    out.transaction(&commitment.commit_tx);
    out.var_bytes("commit signature", &commitment.commit_sig, &[])?;
    out.count("HTLCs", commitment.htlcs.len())?;
    commitment.htlcs.iter().try_for_each(|htlc| write_htlc(out, htlc))
}

fn read_htlcs(cursor: &mut Cursor) -> Result<Vec<Htlc>, LndError> {
    let count = cursor.u16("number of HTLCs")?;
    // No reservation: the count may be damaged.
    let mut htlcs = Vec::new();
    for _ in 0..count {
        htlcs.push(read_htlc(cursor)?);
    }
    Ok(htlcs)
}

fn read_htlc(cursor: &mut Cursor) -> Result<Htlc, LndError> {
    let signature = cursor.var_bytes("HTLC signature")?;
    let payment_hash = cursor.array("payment hash")?;
    let amount = MilliSatoshi(cursor.u64("HTLC amount")?);
    let cltv_expiry = cursor.u32("refund timeout")?;
    let output_index = i32::from_be_bytes(cursor.array("output index")?);
    let incoming = cursor.flag("incoming")?;
    let (onion, extra) = read_onion(cursor)?;
    let id = HtlcId(cursor.key_number("HTLC index")?);
    let log_index = LogIndex(cursor.u64("HTLC log index")?);
    Ok(Htlc {
        direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
        id,
        output_index: u32::try_from(output_index).ok(),
        signature,
        terms: HtlcTerms { log_index, amount, payment_hash, cltv_expiry, onion, extra },
    })
}

/// Reads the field that holds the onion and, right behind it, the extra records.
fn read_onion(cursor: &mut Cursor) -> Result<(Bytes, Bytes), LndError> {
    const FIELD: &str = "onion";
    let offset = cursor.offset();
    let mut onion = cursor.var_bytes(FIELD)?;
    if onion.len() < ONION_LEN {
        let fault = LndFault::Length { expected: ONION_LEN, found: onion.len() };
        return Err(cursor.error(FIELD, offset, fault));
    }
    let extra = onion.split_off(ONION_LEN);
    Ok((onion, extra))
}

fn write_htlc(out: &mut Writer, htlc: &Htlc) -> Result<(), EncodeError> {
    let terms = &htlc.terms;
    if terms.onion.len() != ONION_LEN {
        let fault = EncodeFault::Length { expected: ONION_LEN, found: terms.onion.len() };
        return Err(out.error("onion", fault));
    }
    let output_index = match htlc.output_index {
        None => NO_OUTPUT,
        Some(index) => i32::try_from(index).map_err(|_| {
            let max = i32::MAX as u64;
            out.error("output index", EncodeFault::TooLarge { max, found: index.into() })
        })?,
    };
    out.var_bytes("HTLC signature", &htlc.signature, &[])?;
    out.bytes(&terms.payment_hash);
    out.u64(terms.amount.0);
    out.u32(terms.cltv_expiry);
    out.bytes(&output_index.to_be_bytes());
    out.flag(htlc.direction == Direction::Incoming);
    out.var_bytes("onion", &terms.onion, &terms.extra)?;
    out.u64(htlc.id.0);
    out.u64(terms.log_index.0);
    Ok(())
}

fn read_tlvs(cursor: &mut Cursor, commitment: &mut Commitment) -> Result<(), LndError> {
    let mut records = cursor.tlv_records();
    let mut unknown = Vec::new();
    while let Some(record) = records.next()? {
        match record.ty {
            TLV_CUSTOM_BLOB => commitment.custom_blob = Some(record.bytes()),
            _ => unknown.extend_from_slice(&record.raw),
        }
    }
    commitment.unknown_tlvs = unknown.into();
    Ok(())
}

fn write_tlvs(out: &mut Writer, commitment: &Commitment) -> Result<(), EncodeError> {
    let blob = commitment.custom_blob.clone().map(|blob| (TLV_CUSTOM_BLOB, blob));
    out.tlv_tail(blob, &commitment.unknown_tlvs)
}

fn read_circuits(cursor: &mut Cursor, field: &'static str) -> Result<Vec<CircuitKey>, LndError> {
    let count = cursor.u16(field)?;
    let mut circuits = Vec::new();
    for _ in 0..count {
        let scid = ShortChannelId(cursor.u64(field)?);
        circuits.push(CircuitKey { scid, htlc_id: HtlcId(cursor.u64(field)?) });
    }
    Ok(circuits)
}

fn write_circuits(
    out: &mut Writer,
    field: &'static str,
    circuits: &[CircuitKey],
) -> Result<(), EncodeError> {
    out.count(field, circuits.len())?;
    for circuit in circuits {
        out.u64(circuit.scid.0);
        out.u64(circuit.htlc_id.0);
    }
    Ok(())
}
