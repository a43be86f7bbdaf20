//! Every kind of record a store holds, with its binary form.

use bytes::Bytes;
use chanstate::Version;
use chanstate::codec::{Codec, DecodeError, Reader};
use chanstate::codec_struct;
use chanstate::key::{Kind, RecordKey};

/// A named value of the store itself: schema of an import, network, node id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaRecord {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Bytes,
}

impl Codec for MetaRecord {
    fn encode_to(&self, out: &mut Vec<u8>) {
        Bytes::copy_from_slice(self.name.as_bytes()).encode_to(out);
        self.value.encode_to(out);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        let name = Bytes::decode_from(reader)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| reader.invalid("name"))?;
        Ok(MetaRecord { name, value: Codec::decode_from(reader)? })
    }
}

/// What an imported lnd database holds at `path` beyond what our records say. Written and
/// understood by `migrate` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LndRecord {
    /// Path in the lnd database, in a form that sorts like the walk order.
    pub path: Bytes,
    /// What differs there.
    pub residue: Bytes,
}
codec_struct!(LndRecord { path, residue });

/// A stored record of any domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all records are of channels")]
pub enum Record {
    /// Of a channel.
    Channel(chanstate::Record),
    /// Of a link node.
    LinkNode(linknode::Record),
    /// Of the store.
    Meta(MetaRecord),
    /// Of an import.
    Lnd(LndRecord),
}

/// A borrowed [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRef<'a> {
    /// Of a channel.
    Channel(&'a chanstate::Record),
    /// Of a link node.
    LinkNode(&'a linknode::Record),
    /// Of the store.
    Meta(&'a MetaRecord),
    /// Of an import.
    Lnd(&'a LndRecord),
}

/// Version byte that every encoded record starts with.
const RECORD_VERSION: u8 = 1;

impl Record {
    /// Borrows the record.
    pub fn as_ref(&self) -> RecordRef<'_> {
        match self {
            Record::Channel(record) => RecordRef::Channel(record),
            Record::LinkNode(record) => RecordRef::LinkNode(record),
            Record::Meta(record) => RecordRef::Meta(record),
            Record::Lnd(record) => RecordRef::Lnd(record),
        }
    }

    /// The key that names the record.
    pub fn key(&self) -> RecordKey {
        self.as_ref().key()
    }

    /// The version of the record, for a channel or a link node.
    pub fn version(&self) -> Option<Version> {
        match self {
            Record::Channel(chanstate::Record::Channel(row)) => Some(row.version),
            Record::LinkNode(linknode::Record::LinkNode(row)) => Some(row.version),
            _ => None,
        }
    }

    /// Reads a record of `kind` from its binary form.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(kind: Kind, bytes: Bytes) -> Result<Record, DecodeError> {
        let mut reader = Reader::new(bytes);
        match u8::decode_from(&mut reader)? {
            RECORD_VERSION => {}
            found => return Err(DecodeError::Version { found, newest: RECORD_VERSION }),
        }
        let record = match kind {
            Kind::LinkNode | Kind::LinkAddress => {
                linknode::Record::decode_from(kind, &mut reader).map(Record::LinkNode)
            }
            Kind::Meta => Codec::decode_from(&mut reader).map(Record::Meta),
            Kind::Lnd => Codec::decode_from(&mut reader).map(Record::Lnd),
            _ => chanstate::Record::decode_from(kind, &mut reader).map(Record::Channel),
        }?;
        reader.finish()?;
        Ok(record)
    }
}

/// The version of an encoded channel or link node, without decoding the rest.
///
/// # Errors
/// Any [`DecodeError`]; `Invalid` for a kind that has no version.
pub fn encoded_version(kind: Kind, bytes: Bytes) -> Result<Version, DecodeError> {
    let mut reader = Reader::new(bytes);
    match u8::decode_from(&mut reader)? {
        RECORD_VERSION => {}
        found => return Err(DecodeError::Version { found, newest: RECORD_VERSION }),
    }
    // Both records start with their key, the version follows.
    match kind {
        Kind::Channel => u64::decode_from(&mut reader).map(drop)?,
        Kind::LinkNode => reader.bytes(33).map(drop)?,
        _ => return Err(reader.invalid("kind with a version")),
    }
    Version::decode_from(&mut reader)
}

impl RecordRef<'_> {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            RecordRef::Channel(record) => record.kind(),
            RecordRef::LinkNode(record) => record.kind(),
            RecordRef::Meta(_) => Kind::Meta,
            RecordRef::Lnd(_) => Kind::Lnd,
        }
    }

    /// The key that names the record.
    pub fn key(&self) -> RecordKey {
        match self {
            RecordRef::Channel(record) => record.key(),
            RecordRef::LinkNode(record) => record.key(),
            RecordRef::Meta(record) => meta_key(&record.name),
            RecordRef::Lnd(record) => RecordKey::of_bytes(Kind::Lnd, record.path.clone()),
        }
    }

    /// The binary form: a version byte, then the fields, key included.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// Appends the binary form.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        out.push(RECORD_VERSION);
        match self {
            RecordRef::Channel(record) => record.encode_to(out),
            RecordRef::LinkNode(record) => record.encode_to(out),
            RecordRef::Meta(record) => record.encode_to(out),
            RecordRef::Lnd(record) => record.encode_to(out),
        }
    }

    /// A copy of its own.
    pub fn to_owned(self) -> Record {
        match self {
            RecordRef::Channel(record) => Record::Channel(record.clone()),
            RecordRef::LinkNode(record) => Record::LinkNode(record.clone()),
            RecordRef::Meta(record) => Record::Meta(record.clone()),
            RecordRef::Lnd(record) => Record::Lnd(record.clone()),
        }
    }
}

/// The key of a value of the store.
pub fn meta_key(name: &str) -> RecordKey {
    RecordKey::of_bytes(Kind::Meta, name.as_bytes().to_vec())
}
