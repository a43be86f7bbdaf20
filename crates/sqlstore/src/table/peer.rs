//! `link_node` and `link_node_address`.

use bytes::Bytes;
use chanstate::codec::Codec;
use linknode::{Address, LinkAddressRecord, LinkNodeRecord};

use crate::columns::{Column, Columns, columns};
use crate::row::{Damage, Misread, RowReader, RowWriter};
use crate::value::Value;

columns!(LinkNodeRecord {
    node_id: "node_id",
    version: "version",
    network: "network",
    last_seen: "last_seen",
});

columns!(LinkAddressRecord { node_id: "node_id", position: "position", address: "" });

// Kind, host and port are for reading by people; host names need not be UTF-8, so the address is
// read back from its binary form.
impl Columns for Address {
    fn describe(_name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<String>("kind".to_owned(), false));
        out.push(Column::of::<String>("host".to_owned(), false));
        out.push(Column::of::<u16>("port".to_owned(), true));
        out.push(Column::of::<Bytes>("raw".to_owned(), false));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        row.push(Value::Text(self.kind().as_bytes()));
        row.push(Value::Text(shown_host(self).as_bytes()));
        self.port().write(row);
        row.encoded(self);
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        let (kind, host): (String, String) = (row.take()?, row.take()?);
        let port: Option<u16> = row.take_option()?;
        let raw: Bytes = row.take()?;
        let address = Address::from_bytes(raw);
        let address = address.map_err(|cause| row.damage(Misread::Blob(cause)))?;
        if kind != address.kind() || host != shown_host(&address) || port != address.port() {
            return Err(row.damage(Misread::Shown));
        }
        Ok(address)
    }
}

/// The host as text. No text of PostgreSQL has a NUL.
fn shown_host(address: &Address) -> String {
    address.host().replace('\0', "\u{fffd}")
}
