//! Close summaries.

use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Txid};
use bytes::Bytes;
use chanstate::message::{Message, MessageKind};
use chanstate::{CloseKind, CloseResume, CloseSummary, ShortChannelId};

use super::config::{read_config, write_config};
use super::cursor::Cursor;
use super::error::{EncodeError, LndError};
use super::writer::Writer;

const RECORD: &str = "close summary";

/// Reads a value of `closed-chan-bucket`.
///
/// The channel point in it is what lnd's caller supplied; the key counts.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode(bytes: Bytes) -> Result<CloseSummary, LndError> {
    Cursor::whole(RECORD, bytes, |cursor| {
        Ok(CloseSummary {
            channel_point: cursor.outpoint("channel point")?,
            scid: ShortChannelId(cursor.u64("short channel id")?),
            chain: ChainHash::from(cursor.array::<32>("chain hash")?),
            closing_txid: Txid::from_byte_array(cursor.array("closing txid")?),
            close_height: cursor.u32("close height")?,
            peer: cursor.point("peer key")?,
            capacity: Amount::from_sat(cursor.u64("capacity")?),
            settled_balance: Amount::from_sat(cursor.u64("settled balance")?),
            time_locked_balance: Amount::from_sat(cursor.u64("time-locked balance")?),
            kind: CloseKind::from_u8(cursor.u8("closure type")?),
            pending: cursor.flag("is pending")?,
            resume: match cursor.flag("has more")? {
                true => Some(read_resume(cursor)?),
                false => None,
            },
        })
    })
}

/// Returns the canonical encoding of a close summary.
///
/// # Errors
///
/// None for a message that [`Message::new`] accepted.
pub fn encode(summary: &CloseSummary) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(RECORD);
    out.outpoint(&summary.channel_point);
    out.u64(summary.scid.0);
    out.bytes(summary.chain.as_bytes());
    out.bytes(summary.closing_txid.as_byte_array());
    out.u32(summary.close_height);
    out.bytes(&summary.peer.serialize());
    out.u64(summary.capacity.to_sat());
    out.u64(summary.settled_balance.to_sat());
    out.u64(summary.time_locked_balance.to_sat());
    out.u8(summary.kind.to_u8());
    out.flag(summary.pending);
    out.flag(summary.resume.is_some());
    if let Some(resume) = &summary.resume {
        write_resume(&mut out, resume)?;
    }
    Ok(out.finish())
}

fn read_resume(cursor: &mut Cursor) -> Result<CloseResume, LndError> {
    let remote_current_point = cursor.point("current revocation point")?;
    let local_config = read_config(cursor)?;
    let has_next_point = cursor.flag("has next revocation")?;
    let remote_next_point =
        has_next_point.then(|| cursor.point("next revocation point")).transpose()?;
    let reestablish = read_sync_message(cursor)?;
    Ok(CloseResume { remote_current_point, remote_next_point, local_config, reestablish })
}

fn read_sync_message(cursor: &mut Cursor) -> Result<Option<Message>, LndError> {
    // Old summaries end before the flag.
    if cursor.remaining() == 0 || !cursor.flag("has sync message")? {
        return Ok(None);
    }
    cursor.message_of("sync message", MessageKind::ChannelReestablish.ty()).map(Some)
}

fn write_resume(out: &mut Writer, resume: &CloseResume) -> Result<(), EncodeError> {
    out.bytes(&resume.remote_current_point.serialize());
    write_config(out, &resume.local_config);
    out.flag(resume.remote_next_point.is_some());
    if let Some(point) = resume.remote_next_point {
        out.bytes(&point.serialize());
    }
    out.flag(resume.reestablish.is_some());
    match &resume.reestablish {
        Some(message) => out.message("sync message", message),
        None => Ok(()),
    }
}
