//! Forwarding packages: the filters. Their updates are single [log updates](super::update).

use bytes::Bytes;
use chanstate::Filter;

use super::cursor::Cursor;
use super::error::{LndError, LndFault};
use super::writer::Writer;

const RECORD: &str = "package filter";

/// Reads the value of `ack-filter-key`, `settle-fail-filter-key` or `fwd-filter-key`.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_filter(bytes: Bytes) -> Result<Filter, LndError> {
    const FIELD: &str = "bits";
    Cursor::whole(RECORD, bytes, |cursor| {
        let count = cursor.u16("count")?;
        let offset = cursor.offset();
        let expected = usize::from(count).div_ceil(8);
        let bits = cursor.take(FIELD, expected as u64)?;
        let found = bits.len();
        Filter::from_bits(count, bits)
            .ok_or_else(|| cursor.error(FIELD, offset, LndFault::Length { expected, found }))
    })
}

/// Returns the encoding of a filter. There is only one.
pub fn encode_filter(filter: &Filter) -> Vec<u8> {
    let mut out = Writer::new(RECORD);
    out.u16(filter.count());
    out.bytes(filter.bits());
    out.finish()
}
