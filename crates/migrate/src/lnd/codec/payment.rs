//! What of a stored payment tells whether a store with strict columns takes it. Payments are not
//! channel state, so no more of them is read.

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::LndError;

const ATTEMPT: &str = "payment attempt";
const SESSION_KEY: u64 = 32;

/// Onion records of a hop within a blinded path (BOLT 4).
const ENCRYPTED_DATA: u64 = 10;
const BLINDING_POINT: u64 = 12;
const BLINDED_TOTAL: u64 = 18;

/// What the hops of an attempt's route hold of a blinded path without the path itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Hops with a total amount for a blinded path, but without encrypted data.
    pub totals: u64,
    /// Hops with a blinding point, but without encrypted data.
    pub points: u64,
}

/// Reads the route of an attempt, the value of `ai` and its id. What follows the route is left.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode_orphans(bytes: Bytes) -> Result<Orphans, LndError> {
    let mut cursor = Cursor::new(ATTEMPT, bytes);
    cursor.take("session key", SESSION_KEY)?;
    cursor.u32("total time lock")?;
    cursor.u64("total amount")?;
    cursor.var_bytes("source key")?;
    let mut orphans = Orphans::default();
    for _ in 0..cursor.u32("number of hops")? {
        hop(&mut cursor, &mut orphans)?;
    }
    Ok(orphans)
}

fn hop(cursor: &mut Cursor, orphans: &mut Orphans) -> Result<(), LndError> {
    cursor.var_bytes("hop key")?;
    cursor.u64("hop channel")?;
    cursor.u32("hop time lock")?;
    cursor.u64("hop amount")?;
    cursor.flag("legacy payload")?;
    let (mut has_data, mut has_point, mut has_total) = (false, false, false);
    for _ in 0..cursor.u32("number of records")? {
        let ty = cursor.u64("record type")?;
        let value = cursor.var_bytes("record value")?;
        match ty {
            ENCRYPTED_DATA => has_data = !value.is_empty(),
            BLINDING_POINT => has_point = true,
            BLINDED_TOTAL => has_total = value.iter().any(|byte| *byte != 0),
            _ => {}
        }
    }
    orphans.totals += u64::from(has_total && !has_data);
    orphans.points += u64::from(has_point && !has_data);
    Ok(())
}
