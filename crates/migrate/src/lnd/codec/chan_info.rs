//! chan-info: what lnd keeps of a channel beside its commitments.

use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, Transaction};
use bytes::Bytes;
use chanstate::{
    ChannelConfig, ChannelStatus, ChannelType, KeyLocator, MilliSatoshi, ShortChannelId,
};

use super::config::{read_config, read_locator, write_config};
use super::cursor::{Cursor, TlvRecords};
use super::error::{EncodeError, EncodeFault, LndError};
use super::writer::Writer;

const RECORD: &str = "chan-info";

const TLV_REVOCATION_ROOT: u64 = 1;
const TLV_INITIAL_LOCAL_BALANCE: u64 = 2;
const TLV_INITIAL_REMOTE_BALANCE: u64 = 3;
const TLV_CONFIRMED_SCID: u64 = 4;
const TLV_MEMO: u64 = 5;
const TLV_TAPSCRIPT_ROOT: u64 = 6;
const TLV_CUSTOM_BLOB: u64 = 7;
const TLV_CONFIRMATION_HEIGHT: u64 = 8;
const TLV_CLOSE_CONFIRMATION_HEIGHT: u64 = 9;

/// The content of `chan-info-key`, partly changing state and partly terms of the channel.
///
/// `None` means that the record is missing, which is different from zero or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChanInfo {
    /// Features.
    pub channel_type: ChannelType,
    /// Its chain.
    pub chain: ChainHash,
    /// Funding outpoint.
    pub funding_outpoint: OutPoint,
    /// Short channel id; an alias for zero-conf channels, 0 while unconfirmed.
    pub scid: ShortChannelId,
    /// The funding transaction is not confirmed yet.
    pub pending: bool,
    /// We opened the channel.
    pub initiator: bool,
    /// Why it is not usable.
    pub status: ChannelStatus,
    /// Chain height when the funding transaction was broadcast.
    pub funding_broadcast_height: u32,
    /// Confirmations that the funding transaction needs.
    pub confirmations_required: u16,
    /// `channel_flags` of `open_channel` (BOLT 2).
    pub channel_flags: u8,
    /// The peer.
    pub peer: PublicKey,
    /// Value of the funding output.
    pub capacity: Amount,
    /// Total settled towards the peer.
    pub total_sent: MilliSatoshi,
    /// Total settled towards us.
    pub total_received: MilliSatoshi,
    /// Funding transaction, there exactly if [`ChanInfo::holds_funding_tx`].
    pub funding_tx: Option<Arc<Transaction>>,
    /// Our limits and keys.
    pub local_config: ChannelConfig,
    /// The peer's limits and keys.
    pub remote_config: ChannelConfig,
    /// Wallet place of the revocation root.
    pub revocation_root_locator: Option<KeyLocator>,
    /// Our balance when the channel was opened.
    pub initial_local_balance: Option<MilliSatoshi>,
    /// The peer's balance when the channel was opened.
    pub initial_remote_balance: Option<MilliSatoshi>,
    /// Confirmed short channel id of a zero-conf channel, else 0.
    pub confirmed_scid: Option<ShortChannelId>,
    /// The user's note.
    pub memo: Option<Bytes>,
    /// Tapscript root that the funding output commits to.
    pub tapscript_root: Option<[u8; 32]>,
    /// Data of custom channels.
    pub custom_blob: Option<Bytes>,
    /// Height at which the funding transaction confirmed, 0 if not known.
    pub confirmation_height: Option<u32>,
    /// Height at which the closing transaction confirmed.
    pub close_confirmation_height: Option<u32>,
    /// TLV records without a meaning here, kept as they came (a TLV stream).
    pub unknown_tlvs: Bytes,
}

impl ChanInfo {
    /// Reads the value of `chan-info-key`.
    ///
    /// # Errors
    ///
    /// [`LndError`], see there.
    pub fn decode(bytes: Bytes) -> Result<ChanInfo, LndError> {
        Cursor::whole(RECORD, bytes, |cursor| {
            let mut info = read_fixed_part(cursor)?;
            info.read_tlvs(cursor.tlv_records())?;
            Ok(info)
        })
    }

    /// Returns the canonical encoding.
    ///
    /// A funding transaction that lnd does not keep here is left out, as lnd does.
    ///
    /// # Errors
    ///
    /// * [`EncodeFault::Missing`] if lnd keeps the funding transaction and there is none.
    /// * [`EncodeFault::NotATlvStream`], [`EncodeFault::KnownRecord`] for bad unknown records.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Writer::new(RECORD);
        out.big_size(self.channel_type.bits());
        out.bytes(self.chain.as_bytes());
        out.outpoint(&self.funding_outpoint);
        out.u64(self.scid.0);
        out.flag(self.pending);
        out.flag(self.initiator);
        out.big_size(self.status.bits());
        out.u32(self.funding_broadcast_height);
        out.u16(self.confirmations_required);
        out.u8(self.channel_flags);
        out.bytes(&self.peer.serialize());
        out.u64(self.capacity.to_sat());
        out.u64(self.total_sent.0);
        out.u64(self.total_received.0);
        if self.holds_funding_tx() {
            match &self.funding_tx {
                Some(transaction) => out.transaction(transaction),
                None => return Err(out.error("funding transaction", EncodeFault::Missing)),
            }
        }
        write_config(&mut out, &self.local_config);
        write_config(&mut out, &self.remote_config);
        out.tlv_tail(self.tlvs(), &self.unknown_tlvs)?;
        Ok(out.finish())
    }

    /// Whether lnd keeps the funding transaction of such a channel.
    ///
    /// No byte says so; it follows from type, role and status.
    pub fn holds_funding_tx(&self) -> bool {
        holds_funding_tx(self.channel_type, self.initiator, self.status)
    }

    fn read_tlvs(&mut self, mut records: TlvRecords) -> Result<(), LndError> {
        let mut unknown = Vec::new();
        while let Some(record) = records.next()? {
            match record.ty {
                TLV_REVOCATION_ROOT => {
                    let locator = record.read(|v| read_locator(v, "revocation root locator"))?;
                    self.revocation_root_locator = Some(locator);
                }
                TLV_INITIAL_LOCAL_BALANCE => {
                    let balance = record.read(|v| v.u64("initial local balance"))?;
                    self.initial_local_balance = Some(MilliSatoshi(balance));
                }
                TLV_INITIAL_REMOTE_BALANCE => {
                    let balance = record.read(|v| v.u64("initial remote balance"))?;
                    self.initial_remote_balance = Some(MilliSatoshi(balance));
                }
                TLV_CONFIRMED_SCID => {
                    let scid = record.read(|v| v.u64("confirmed scid"))?;
                    self.confirmed_scid = Some(ShortChannelId(scid));
                }
                TLV_MEMO => self.memo = Some(record.bytes()),
                TLV_TAPSCRIPT_ROOT => {
                    self.tapscript_root = Some(record.read(|v| v.array("tapscript root"))?);
                }
                TLV_CUSTOM_BLOB => self.custom_blob = Some(record.bytes()),
                TLV_CONFIRMATION_HEIGHT => {
                    self.confirmation_height = Some(record.read(|v| v.u32("confirmation height"))?);
                }
                TLV_CLOSE_CONFIRMATION_HEIGHT => {
                    self.close_confirmation_height =
                        Some(record.read(|v| v.u32("close confirmation height"))?);
                }
                _ => unknown.extend_from_slice(&record.raw),
            }
        }
        self.unknown_tlvs = unknown.into();
        Ok(())
    }

    fn tlvs(&self) -> impl Iterator<Item = (u64, Bytes)> {
        let bytes = |value: &[u8]| Bytes::copy_from_slice(value);
        let locator = self.revocation_root_locator.map(|locator| {
            bytes(&[locator.family.to_be_bytes(), locator.index.to_be_bytes()].concat())
        });
        let balance = |balance: Option<MilliSatoshi>| balance.map(|b| bytes(&b.0.to_be_bytes()));
        let height = |height: Option<u32>| height.map(|height| bytes(&height.to_be_bytes()));
        [
            (TLV_REVOCATION_ROOT, locator),
            (TLV_INITIAL_LOCAL_BALANCE, balance(self.initial_local_balance)),
            (TLV_INITIAL_REMOTE_BALANCE, balance(self.initial_remote_balance)),
            (TLV_CONFIRMED_SCID, self.confirmed_scid.map(|scid| bytes(&scid.0.to_be_bytes()))),
            (TLV_MEMO, self.memo.clone()),
            (TLV_TAPSCRIPT_ROOT, self.tapscript_root.map(|root| bytes(&root))),
            (TLV_CUSTOM_BLOB, self.custom_blob.clone()),
            (TLV_CONFIRMATION_HEIGHT, height(self.confirmation_height)),
            (TLV_CLOSE_CONFIRMATION_HEIGHT, height(self.close_confirmation_height)),
        ]
        .into_iter()
        .filter_map(|(ty, value)| value.map(|value| (ty, value)))
    }
}

/// Reads everything before the TLV records.
fn read_fixed_part(cursor: &mut Cursor) -> Result<ChanInfo, LndError> {
    let channel_type = ChannelType::from_bits_retain(cursor.big_size("channel type")?);
    let chain = ChainHash::from(cursor.array::<32>("chain hash")?);
    let funding_outpoint = cursor.outpoint("funding outpoint")?;
    let scid = ShortChannelId(cursor.u64("short channel id")?);
    let pending = cursor.flag("is pending")?;
    let initiator = cursor.flag("is initiator")?;
    let status = ChannelStatus::from_bits_retain(cursor.big_size("status")?);
    let holds_funding_tx = holds_funding_tx(channel_type, initiator, status);
    // The fields below are in the order of the encoding: they are read in this order.
    Ok(ChanInfo {
        channel_type,
        chain,
        funding_outpoint,
        scid,
        pending,
        initiator,
        status,
        funding_broadcast_height: cursor.u32("funding broadcast height")?,
        confirmations_required: cursor.u16("confirmations required")?,
        channel_flags: cursor.u8("channel flags")?,
        peer: cursor.point("identity key")?,
        capacity: Amount::from_sat(cursor.u64("capacity")?),
        total_sent: MilliSatoshi(cursor.u64("total sent")?),
        total_received: MilliSatoshi(cursor.u64("total received")?),
        funding_tx: holds_funding_tx
            .then(|| cursor.transaction("funding transaction"))
            .transpose()?,
        local_config: read_config(cursor)?,
        remote_config: read_config(cursor)?,
        revocation_root_locator: None,
        initial_local_balance: None,
        initial_remote_balance: None,
        confirmed_scid: None,
        memo: None,
        tapscript_root: None,
        custom_blob: None,
        confirmation_height: None,
        close_confirmation_height: None,
        unknown_tlvs: Bytes::new(),
    })
}

fn holds_funding_tx(channel_type: ChannelType, initiator: bool, status: ChannelStatus) -> bool {
    let without = ChannelType::DUAL_FUNDER | ChannelType::NO_FUNDING_TX;
    initiator && !channel_type.intersects(without) && !status.contains(ChannelStatus::RESTORED)
}
