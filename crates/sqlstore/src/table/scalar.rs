//! Types of the domains that take one column.

use std::sync::Arc;

use bitcoin::consensus::{Encodable, deserialize};
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, ScriptBuf, Transaction, Txid};
use bytes::Bytes;
use chanstate::message::Message;
use chanstate::record::ListKind;
use chanstate::{
    ChannelId, ChannelNo, ChannelStatus, ChannelType, CloseKind, CommitmentHeight, Direction,
    HtlcId, LogIndex, MarkKind, MilliSatoshi, PackageList, ShortChannelId, Side, Version,
};

use crate::columns::{Scalar, blobs, numbers};
use crate::row::{Misread, RowWriter};
use crate::value::{Type, Value};

numbers! {
    ChannelNo: Int, |v| v.0, |raw| Some(ChannelNo(raw));
    Version: Int, |v| v.0, |raw| Some(Version(raw));
    CommitmentHeight: Int, |v| v.0, |raw| Some(CommitmentHeight(raw));
    HtlcId: Int, |v| v.0, |raw| Some(HtlcId(raw));
    LogIndex: Int, |v| v.0, |raw| Some(LogIndex(raw));
    MilliSatoshi: Int, |v| v.0, |raw| Some(MilliSatoshi(raw));
    ShortChannelId: Int, |v| v.0, |raw| Some(ShortChannelId(raw));
    Amount: Int, |v| v.to_sat(), |raw| Some(Amount::from_sat(raw));
    ChannelType: Int, |v| v.bits(), |raw| Some(ChannelType::from_bits_retain(raw));
    ChannelStatus: Int, |v| v.bits(), |raw| Some(ChannelStatus::from_bits_retain(raw));
    Side: Int, |v| v as u64, |raw| raw.try_into().ok().and_then(Side::from_u8);
    // The column is called `incoming`.
    Direction: Bool, |v| v as u64, |raw| raw.try_into().ok().and_then(Direction::from_u8);
    ListKind: Int, |v| v as u64, |raw| raw.try_into().ok().and_then(ListKind::from_u8);
    PackageList: Int, |v| v as u64, |raw| raw.try_into().ok().and_then(PackageList::from_u8);
    MarkKind: Int, |v| v as u64, |raw| raw.try_into().ok().and_then(MarkKind::from_u8);
    CloseKind: Int, |v| v.to_u8().into(), |raw| raw.try_into().ok().map(CloseKind::from_u8);
}

blobs! {
    ChannelId: |v| &v.0, |bytes| bytes.try_into().ok().map(ChannelId);
    PublicKey: |v| &v.serialize(), |bytes| PublicKey::from_slice(bytes).ok();
    ScriptBuf: |v| v.as_bytes(), |bytes| Some(ScriptBuf::from_bytes(bytes.to_vec()));
    Message: |v| v.as_bytes(), |bytes| Message::new(Bytes::copy_from_slice(bytes)).ok();
    // As explorers and lnd print them, so that an operator can search for what he reads.
    Txid: |v| &reversed(v.to_byte_array()), |bytes| bytes.try_into().ok().map(reversed).map(Txid::from_byte_array);
    ChainHash: |v| &reversed(*v.as_bytes()), |bytes| bytes.try_into().ok().map(reversed).map(ChainHash::from);
}

fn reversed(mut hash: [u8; 32]) -> [u8; 32] {
    hash.reverse();
    hash
}

impl Scalar for Arc<Transaction> {
    const TYPE: Type = Type::Blob;

    fn store(&self, row: &mut RowWriter<'_>) {
        row.blob_with(|out| {
            // Writing to memory does not fail.
            let _ = self.consensus_encode(out);
        });
    }

    fn load(value: Value<'_>) -> Result<Self, Misread> {
        let Value::Blob(bytes) = value else { return Err(Misread::Type) };
        deserialize(bytes).map(Arc::new).map_err(|_| Misread::Range)
    }
}
