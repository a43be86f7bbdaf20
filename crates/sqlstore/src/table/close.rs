//! `close`, `mark` and `reclaim`.

use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{ScriptBuf, Transaction};
use bytes::Bytes;
use chanstate::message::Message;
use chanstate::record::{CloseRecord, MarkRecord, ReclaimRecord};
use chanstate::{
    ChannelConfig, ChannelNo, CloseResume, CloseSummary, Mark, MarkKind, ShutdownInfo,
};

use crate::columns::{Column, Columns, columns, decode};
use crate::row::{Damage, Misread, RowReader, RowWriter};
use crate::value::Value;

columns!(CloseRecord { no: "no", status_before: "status_before", summary: "" });

columns!(CloseSummary {
    channel_point: "",
    scid: "scid",
    chain: "chain",
    closing_txid: "closing_txid",
    close_height: "close_height",
    peer: "peer",
    capacity: "capacity",
    settled_balance: "settled_balance",
    time_locked_balance: "time_locked_balance",
    kind: "kind",
    pending: "pending",
    resume: "resume_",
});

impl Columns for Option<CloseResume> {
    fn describe(name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<PublicKey>(format!("{name}remote_current_point"), true));
        out.push(Column::of::<PublicKey>(format!("{name}remote_next_point"), true));
        out.push(Column::of::<Bytes>(format!("{name}local_config"), true));
        out.push(Column::of::<Message>(format!("{name}reestablish"), true));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        match self {
            None => (0..4).for_each(|_| row.push(Value::Null)),
            Some(resume) => {
                resume.remote_current_point.write(row);
                resume.remote_next_point.write(row);
                row.encoded(&resume.local_config);
                resume.reestablish.write(row);
            }
        }
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        let current = row.take_option()?;
        let remote_next_point = row.take_option()?;
        let config = row.take_option::<Bytes>()?;
        let reestablish = row.take_option()?;
        match (current, config) {
            (Some(remote_current_point), Some(config)) => {
                let config = decode::<ChannelConfig>(Value::Blob(&config));
                let local_config = config.map_err(|misread| row.damage(misread))?;
                let resume = CloseResume {
                    remote_current_point,
                    remote_next_point,
                    local_config,
                    reestablish,
                };
                Ok(Some(resume))
            }
            (None, None) if remote_next_point.is_none() && reestablish.is_none() => Ok(None),
            _ => Err(row.damage(Misread::Type)),
        }
    }
}

impl Columns for MarkRecord {
    fn describe(_name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<ChannelNo>("no".to_owned(), false));
        out.push(Column::of::<MarkKind>("kind".to_owned(), false));
        out.push(Column::of::<bool>("local_initiator".to_owned(), true));
        out.push(Column::of::<Bytes>("data".to_owned(), false));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        self.no.write(row);
        self.mark.kind().write(row);
        match &self.mark {
            Mark::Shutdown(info) => {
                info.local_initiator.write(row);
                info.script.write(row);
            }
            Mark::DataLossPoint(point) => {
                row.push(Value::Null);
                point.write(row);
            }
            Mark::BroadcastCommitment(tx) | Mark::BroadcastCooperative(tx) => {
                row.push(Value::Null);
                tx.write(row);
            }
        }
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        let no = row.take()?;
        let kind: MarkKind = row.take()?;
        let initiator: Option<bool> = row.take_option()?;
        let mark = match (kind, initiator) {
            (MarkKind::Shutdown, Some(local_initiator)) => {
                let script = row.take::<ScriptBuf>()?;
                Mark::Shutdown(ShutdownInfo { script, local_initiator })
            }
            (MarkKind::DataLossPoint, None) => Mark::DataLossPoint(row.take()?),
            (MarkKind::BroadcastCommitment, None) => {
                Mark::BroadcastCommitment(row.take::<Arc<Transaction>>()?)
            }
            (MarkKind::BroadcastCooperative, None) => {
                Mark::BroadcastCooperative(row.take::<Arc<Transaction>>()?)
            }
            _ => return Err(row.damage(Misread::Type)),
        };
        Ok(MarkRecord { no, mark })
    }
}

columns!(ReclaimRecord { no: "no" });
