//! What of a stored invoice tells whether a store with strict columns takes it. Invoices are not
//! channel state, so no more of them is read.

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::LndError;

const INVOICE: &str = "invoice";
const FEATURES: u64 = 11;
const AMP_STATE: u64 = 15;

/// Feature bits of multi-part payments without a fixed hash (option_amp), required and optional.
const AMP: [usize; 2] = [30, 31];

/// Whether an invoice takes atomic multi-path payments and keeps their HTLCs itself, as lnd did
/// before such invoices could be paid again: newer ones keep them by payment, with a state for each.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_is_legacy_amp(bytes: Bytes) -> Result<bool, LndError> {
    let mut cursor = Cursor::new(INVOICE, bytes);
    let length = cursor.u64("body length")?;
    let mut records = Cursor::new(INVOICE, cursor.take("body", length)?).tlv_records();
    let (mut is_amp, mut has_state) = (false, false);
    while let Some(record) = records.next()? {
        match record.ty {
            FEATURES => {
                let features = record.bytes();
                is_amp = AMP.into_iter().any(|bit| is_set(&features, bit));
            }
            AMP_STATE => {
                let mut states = Cursor::new(INVOICE, record.bytes());
                has_state = states.big_size("number of AMP states")? > 0;
            }
            _ => {}
        }
    }
    Ok(is_amp && !has_state && cursor.remaining() > 0)
}

/// Whether a feature bit is set. Bits are counted from the end.
fn is_set(features: &[u8], bit: usize) -> bool {
    features.iter().rev().nth(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}
