//! Revoked states of the peer: the current revocation log and the deprecated one.
//!
//! A state keeps what its stored form has beyond the canonical one in its own `residue`: empty, or
//! one byte with the variants that the whole entry uses, then a residue of the general form
//! if that is not enough.

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use chanstate::{
    CommitmentHeight, Direction, HtlcId, MilliSatoshi, RevokedCommitment, RevokedHtlc, RevokedState,
};

use super::commitment::{read_without_tlvs, write_without_tlvs};
use super::cursor::{Cursor, Tlv};
use super::error::{EncodeError, EncodeFault, LndError, LndFault};
use super::residue::{self, ResidueError};
use super::writer::Writer;

const ENTRY: &str = "revocation log entry";
const DEPRECATED: &str = "deprecated revocation log entry";

const TLV_OUR_OUTPUT: u64 = 0;
const TLV_THEIR_OUTPUT: u64 = 1;
const TLV_TXID: u64 = 2;
const TLV_OUR_BALANCE: u64 = 3;
const TLV_THEIR_BALANCE: u64 = 4;
const TLV_CUSTOM_BLOB: u64 = 5;

const TLV_HTLC_HASH: u64 = 0;
const TLV_HTLC_EXPIRY: u64 = 1;
const TLV_HTLC_OUTPUT: u64 = 2;
const TLV_HTLC_INCOMING: u64 = 3;
const TLV_HTLC_AMOUNT: u64 = 4;
const TLV_HTLC_CUSTOM: u64 = 5;
const TLV_HTLC_INDEX: u64 = 6;

/// Output index of a side without an output.
const NO_OUTPUT: u16 = u16::MAX;

/// Reads a value of the current revocation log; `height` is its key.
///
/// Unlike lnd, which stops at a premature end and reports what it has, this requires every block
/// to be complete and to have the records that lnd always writes.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode(height: CommitmentHeight, bytes: Bytes) -> Result<RevokedState, LndError> {
    let mut found = Variants::default();
    let mut state = Cursor::whole(ENTRY, bytes.clone(), |cursor| {
        let mut state = read_body(height, cursor.block("body")?)?;
        while cursor.remaining() > 0 {
            state.htlcs.push(read_htlc(cursor.block("HTLC")?, &mut found)?);
        }
        Ok(state)
    })?;
    state.residue = residue_of(&state, &bytes, found);
    Ok(state)
}

/// Returns the stored form of a revoked state: the canonical one, changed as its residue says.
///
/// # Errors
///
/// * [`EncodeFault::TooLarge`]: output index 65535, which means none.
/// * [`EncodeFault::Residue`]: the residue does not fit the state.
pub fn encode(state: &RevokedState) -> Result<Vec<u8>, EncodeError> {
    let Some((&bits, patch)) = state.residue.split_first() else {
        return encode_with(state, Variants::default());
    };
    let refused =
        |fault| EncodeError { record: ENTRY, field: "residue", fault: EncodeFault::Residue(fault) };
    let variants =
        Variants::from_bits(bits).ok_or_else(|| refused(ResidueError::Variants { found: bits }))?;
    let bytes = encode_with(state, variants)?;
    if patch.is_empty() {
        return Ok(bytes);
    }
    residue::apply(&bytes, patch).map_err(refused)
}

/// Reads a value of the deprecated revocation log: a whole commitment.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_deprecated(bytes: Bytes) -> Result<RevokedCommitment, LndError> {
    let mut cursor = Cursor::new(DEPRECATED, bytes);
    let commitment = read_without_tlvs(&mut cursor)?;
    Ok(RevokedCommitment { commitment, trailing: cursor.rest() })
}

/// Returns the canonical encoding of a value of the deprecated revocation log.
///
/// This form has no place for a commitment's TLV records.
///
/// # Errors
///
/// As [`commitment::encode`](super::commitment::encode).
pub fn encode_deprecated(revoked: &RevokedCommitment) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(DEPRECATED);
    write_without_tlvs(&mut out, &revoked.commitment)?;
    out.bytes(&revoked.trailing);
    Ok(out.finish())
}

/// Older forms that some releases of lnd used for all HTLCs of an entry.
#[derive(Clone, Copy, Default)]
struct Variants {
    /// HTLC ids take two bytes (v0.18.4 to v0.19.1).
    short_ids: bool,
    /// Payment hashes of zeros are written out.
    zero_hashes: bool,
}

impl Variants {
    const SHORT_IDS: u8 = 1 << 0;
    const ZERO_HASHES: u8 = 1 << 1;

    fn bits(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.short_ids, Self::SHORT_IDS) | bit(self.zero_hashes, Self::ZERO_HASHES)
    }

    fn from_bits(bits: u8) -> Option<Variants> {
        (bits & !(Self::SHORT_IDS | Self::ZERO_HASHES) == 0).then_some(Variants {
            short_ids: bits & Self::SHORT_IDS != 0,
            zero_hashes: bits & Self::ZERO_HASHES != 0,
        })
    }
}

/// The residue that leads from `state` to `bytes`, given the variants seen in any of its HTLCs.
fn residue_of(state: &RevokedState, bytes: &[u8], found: Variants) -> Bytes {
    // What was decoded can be encoded; an id that was in two bytes may share the entry with a
    // larger one, and then the general form alone describes the difference.
    let mixed = encode_with(state, found).is_err();
    let variants = if mixed { Variants::default() } else { found };
    let canonical = encode_with(state, variants).unwrap_or_default();
    match residue::between(&canonical, bytes) {
        None if variants.bits() == 0 => Bytes::new(),
        None => vec![variants.bits()].into(),
        Some(patch) => [&[variants.bits()], &patch[..]].concat().into(),
    }
}

fn read_body(height: CommitmentHeight, mut body: Cursor) -> Result<RevokedState, LndError> {
    let start = body.offset();
    let (mut our_output, mut their_output, mut txid) = (None, None, None);
    let (mut our_balance, mut their_balance, mut custom_blob) = (None, None, None);
    let mut records = body.tlv_records();
    while let Some(record) = records.next()? {
        match record.ty {
            TLV_OUR_OUTPUT => our_output = Some(record.read(|v| v.u16("our output index"))?),
            TLV_THEIR_OUTPUT => their_output = Some(record.read(|v| v.u16("their output index"))?),
            TLV_TXID => txid = Some(record.read(|v| v.array("commit txid"))?),
            TLV_OUR_BALANCE => our_balance = Some(record.read(|v| v.big_size("our balance"))?),
            TLV_THEIR_BALANCE => {
                their_balance = Some(record.read(|v| v.big_size("their balance"))?);
            }
            TLV_CUSTOM_BLOB => custom_blob = Some(record.bytes()),
            // Kept by the residue.
            _ => {}
        }
    }
    let missing = |ty| body.error("body", start, LndFault::MissingRecord { ty });
    let output = |index: u16| (index != NO_OUTPUT).then_some(index);
    Ok(RevokedState {
        height,
        our_output_index: output(our_output.ok_or_else(|| missing(TLV_OUR_OUTPUT))?),
        their_output_index: output(their_output.ok_or_else(|| missing(TLV_THEIR_OUTPUT))?),
        commit_txid: Txid::from_byte_array(txid.ok_or_else(|| missing(TLV_TXID))?),
        our_balance: our_balance.map(MilliSatoshi),
        their_balance: their_balance.map(MilliSatoshi),
        htlcs: Vec::new(),
        custom_blob,
        residue: Bytes::new(),
    })
}

fn read_htlc(mut block: Cursor, found: &mut Variants) -> Result<RevokedHtlc, LndError> {
    let start = block.offset();
    let (mut hash, mut expiry, mut output) = (None, None, None);
    let (mut incoming, mut amount, mut custom_records, mut id) = (None, None, None, None);
    let mut records = block.tlv_records();
    while let Some(record) = records.next()? {
        match record.ty {
            TLV_HTLC_HASH => hash = Some(read_hash(record, found)?),
            TLV_HTLC_EXPIRY => expiry = Some(record.read(|v| v.u32("refund timeout"))?),
            TLV_HTLC_OUTPUT => output = Some(record.read(|v| v.u16("HTLC output index"))?),
            TLV_HTLC_INCOMING => incoming = Some(record.read(|v| v.tlv_flag("incoming"))?),
            TLV_HTLC_AMOUNT => amount = Some(record.read(|v| v.big_size("HTLC amount"))?),
            TLV_HTLC_CUSTOM => custom_records = Some(record.bytes()),
            TLV_HTLC_INDEX => id = Some(HtlcId(read_id(record, found)?)),
            // Kept by the residue.
            _ => {}
        }
    }
    let missing = |ty| block.error("HTLC", start, LndFault::MissingRecord { ty });
    let incoming = incoming.ok_or_else(|| missing(TLV_HTLC_INCOMING))?;
    Ok(RevokedHtlc {
        direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
        id,
        payment_hash: hash.ok_or_else(|| missing(TLV_HTLC_HASH))?,
        amount_sat: amount.ok_or_else(|| missing(TLV_HTLC_AMOUNT))?,
        cltv_expiry: expiry.ok_or_else(|| missing(TLV_HTLC_EXPIRY))?,
        output_index: output.ok_or_else(|| missing(TLV_HTLC_OUTPUT))?,
        custom_records,
    })
}

/// Reads a payment hash, which lnd shortens to nothing if it is zero.
fn read_hash(record: Tlv, found: &mut Variants) -> Result<[u8; 32], LndError> {
    if record.len() == 0 {
        return Ok([0; 32]);
    }
    let hash = record.read(|v| v.array("payment hash"))?;
    found.zero_hashes |= hash == [0; 32];
    Ok(hash)
}

/// Reads an HTLC id. No `BigSize` has two bytes, so this length means a `u16`.
fn read_id(record: Tlv, found: &mut Variants) -> Result<u64, LndError> {
    const FIELD: &str = "HTLC index";
    if record.len() == 2 {
        found.short_ids = true;
        return record.read(|v| v.u16(FIELD).map(u64::from));
    }
    record.read(|v| v.big_size(FIELD))
}

fn encode_with(state: &RevokedState, variants: Variants) -> Result<Vec<u8>, EncodeError> {
    let mut body = Writer::new(ENTRY);
    let ours = output_index(&body, "our output index", state.our_output_index)?;
    let theirs = output_index(&body, "their output index", state.their_output_index)?;
    body.tlv(TLV_OUR_OUTPUT, &ours.to_be_bytes());
    body.tlv(TLV_THEIR_OUTPUT, &theirs.to_be_bytes());
    body.tlv(TLV_TXID, state.commit_txid.as_byte_array());
    if let Some(balance) = state.our_balance {
        body.tlv_big_size(TLV_OUR_BALANCE, balance.0);
    }
    if let Some(balance) = state.their_balance {
        body.tlv_big_size(TLV_THEIR_BALANCE, balance.0);
    }
    if let Some(blob) = &state.custom_blob {
        body.tlv(TLV_CUSTOM_BLOB, blob);
    }

    let mut out = Writer::new(ENTRY);
    out.block(body);
    for htlc in &state.htlcs {
        out.block(htlc_block(htlc, variants)?);
    }
    Ok(out.finish())
}

fn htlc_block(htlc: &RevokedHtlc, variants: Variants) -> Result<Writer, EncodeError> {
    let mut block = Writer::new(ENTRY);
    match htlc.payment_hash == [0; 32] && !variants.zero_hashes {
        true => block.tlv(TLV_HTLC_HASH, &[]),
        false => block.tlv(TLV_HTLC_HASH, &htlc.payment_hash),
    }
    block.tlv(TLV_HTLC_EXPIRY, &htlc.cltv_expiry.to_be_bytes());
    block.tlv(TLV_HTLC_OUTPUT, &htlc.output_index.to_be_bytes());
    block.tlv(TLV_HTLC_INCOMING, &[u8::from(htlc.direction == Direction::Incoming)]);
    block.tlv_big_size(TLV_HTLC_AMOUNT, htlc.amount_sat);
    if let Some(records) = &htlc.custom_records {
        block.tlv(TLV_HTLC_CUSTOM, records);
    }
    match htlc.id {
        None => {}
        Some(HtlcId(id)) if variants.short_ids => {
            let short = u16::try_from(id).map_err(|_| {
                let fault = EncodeFault::TooLarge { max: u16::MAX.into(), found: id };
                block.error("HTLC index", fault)
            })?;
            block.tlv(TLV_HTLC_INDEX, &short.to_be_bytes());
        }
        Some(HtlcId(id)) => block.tlv_big_size(TLV_HTLC_INDEX, id),
    }
    Ok(block)
}

fn output_index(out: &Writer, field: &'static str, index: Option<u16>) -> Result<u16, EncodeError> {
    if index == Some(NO_OUTPUT) {
        let max = u64::from(NO_OUTPUT) - 1;
        return Err(out.error(field, EncodeFault::TooLarge { max, found: NO_OUTPUT.into() }));
    }
    Ok(index.unwrap_or(NO_OUTPUT))
}
