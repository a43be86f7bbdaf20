//! `package` and `package_update`.

use bytes::Bytes;
use chanstate::message::Message;
use chanstate::record::{PackageRecord, PackageUpdateRecord, UpdateBody, UpdateRef};
use chanstate::{Filter, HtlcId};

use crate::columns::{Column, Columns, columns};
use crate::row::{Damage, Misread, RowReader, RowWriter};
use crate::value::Value;

columns!(PackageRecord {
    source: "source",
    height: "height",
    no: "no",
    forward_filter: "forward_",
});

impl Columns for Option<Filter> {
    fn describe(name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<u16>(format!("{name}count"), true));
        out.push(Column::of::<Bytes>(format!("{name}bits"), true));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        self.as_ref().map(Filter::count).write(row);
        row.push(self.as_ref().map_or(Value::Null, |filter| Value::Blob(filter.bits())));
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        let (count, bits) = (row.take_option::<u16>()?, row.take_option::<Bytes>()?);
        match (count, bits) {
            (None, None) => Ok(None),
            (Some(count), Some(bits)) => {
                let filter = Filter::from_bits(count, bits);
                filter.map(Some).ok_or_else(|| row.damage(Misread::Range))
            }
            _ => Err(row.damage(Misread::Type)),
        }
    }
}

columns!(PackageUpdateRecord {
    source: "source",
    height: "height",
    list: "list",
    index: "position",
    update: "",
    acked: "acked",
});

columns!(UpdateRef { log_index: "log_index", body: "" });

impl Columns for UpdateBody {
    fn describe(_name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<HtlcId>("htlc_id".to_owned(), true));
        out.push(Column::of::<Message>("message".to_owned(), true));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        match self {
            UpdateBody::Add(id) => {
                id.write(row);
                row.push(Value::Null);
            }
            UpdateBody::Message(message) => {
                row.push(Value::Null);
                message.write(row);
            }
        }
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        match (row.take_option()?, row.take_option()?) {
            (Some(id), None) => Ok(UpdateBody::Add(id)),
            (None, Some(message)) => Ok(UpdateBody::Message(message)),
            _ => Err(row.damage(Misread::Type)),
        }
    }
}
