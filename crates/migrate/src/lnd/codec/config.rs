//! The limits and keys of one side, which chan-info and close summaries contain.

use bitcoin::Amount;
use chanstate::{ChannelConfig, KeyDescriptor, KeyLocator, MilliSatoshi};

use super::cursor::Cursor;
use super::error::LndError;
use super::writer::Writer;

pub(super) fn read_config(cursor: &mut Cursor) -> Result<ChannelConfig, LndError> {
    Ok(ChannelConfig {
        dust_limit: Amount::from_sat(cursor.u64("dust limit")?),
        max_pending_amount: MilliSatoshi(cursor.u64("max pending amount")?),
        channel_reserve: Amount::from_sat(cursor.u64("channel reserve")?),
        min_htlc: MilliSatoshi(cursor.u64("minimum HTLC")?),
        max_accepted_htlcs: cursor.u16("max accepted HTLCs")?,
        csv_delay: cursor.u16("csv delay")?,
        multisig_key: read_key(cursor, "multisig key")?,
        revocation_base_point: read_key(cursor, "revocation base point")?,
        payment_base_point: read_key(cursor, "payment base point")?,
        delay_base_point: read_key(cursor, "delay base point")?,
        htlc_base_point: read_key(cursor, "HTLC base point")?,
    })
}

pub(super) fn write_config(out: &mut Writer, config: &ChannelConfig) {
    out.u64(config.dust_limit.to_sat());
    out.u64(config.max_pending_amount.0);
    out.u64(config.channel_reserve.to_sat());
    out.u64(config.min_htlc.0);
    out.u16(config.max_accepted_htlcs);
    out.u16(config.csv_delay);
    write_key(out, &config.multisig_key);
    write_key(out, &config.revocation_base_point);
    write_key(out, &config.payment_base_point);
    write_key(out, &config.delay_base_point);
    write_key(out, &config.htlc_base_point);
}

pub(super) fn read_locator(
    cursor: &mut Cursor,
    field: &'static str,
) -> Result<KeyLocator, LndError> {
    Ok(KeyLocator { family: cursor.u32(field)?, index: cursor.u32(field)? })
}

pub(super) fn write_locator(out: &mut Writer, locator: KeyLocator) {
    out.u32(locator.family);
    out.u32(locator.index);
}

fn read_key(cursor: &mut Cursor, field: &'static str) -> Result<KeyDescriptor, LndError> {
    let locator = read_locator(cursor, field)?;
    let known = cursor.flag(field)?;
    let public_key = known.then(|| cursor.point(field)).transpose()?;
    Ok(KeyDescriptor { locator, public_key })
}

fn write_key(out: &mut Writer, key: &KeyDescriptor) {
    write_locator(out, key.locator);
    out.flag(key.public_key.is_some());
    if let Some(public_key) = key.public_key {
        out.bytes(&public_key.serialize());
    }
}
