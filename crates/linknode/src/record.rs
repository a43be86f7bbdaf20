//! What a backend stores of a link node: a row for the node, a row for each address.

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::Version;
use chanstate::codec::{Codec, DecodeError, Reader};
use chanstate::codec_struct;
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};

use crate::address::Address;
use crate::node::{LinkNode, Network};

/// A link node without its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNodeRecord {
    /// Its node id.
    pub node_id: PublicKey,
    /// Sequence number of the last change.
    pub version: Version,
    /// Network.
    pub network: u32,
    /// Unix time in seconds.
    pub last_seen: u64,
}
codec_struct!(LinkNodeRecord { node_id, version, network, last_seen });

/// An address of a link node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAddressRecord {
    /// The node.
    pub node_id: PublicKey,
    /// Position in its list, from 0.
    pub position: u32,
    /// The address.
    pub address: Address,
}
codec_struct!(LinkAddressRecord { node_id, position, address });

/// A stored record of the link node domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A node.
    LinkNode(LinkNodeRecord),
    /// One of its addresses.
    LinkAddress(LinkAddressRecord),
}

impl Record {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Record::LinkNode(_) => Kind::LinkNode,
            Record::LinkAddress(_) => Kind::LinkAddress,
        }
    }

    /// The key that names the record.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::LinkNode(record) => node_key(&record.node_id),
            Record::LinkAddress(record) => address_key(&record.node_id, record.position),
        }
    }

    /// Appends the record's fields, key included.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Record::LinkNode(record) => record.encode_to(out),
            Record::LinkAddress(record) => record.encode_to(out),
        }
    }

    /// Reads the fields of a record of `kind`.
    ///
    /// # Errors
    /// `Truncated` or `Invalid`; `Invalid` also for a kind of another domain.
    pub fn decode_from(kind: Kind, reader: &mut Reader) -> Result<Record, DecodeError> {
        match kind {
            Kind::LinkNode => Codec::decode_from(reader).map(Record::LinkNode),
            Kind::LinkAddress => Codec::decode_from(reader).map(Record::LinkAddress),
            _ => Err(reader.invalid("kind of a link node record")),
        }
    }
}

/// The key of a node.
pub fn node_key(node: &PublicKey) -> RecordKey {
    RecordKey::of_bytes(Kind::LinkNode, node.serialize().to_vec())
}

/// The keys of a node's addresses.
pub fn addresses_of(node: &PublicKey) -> KeyRange {
    let prefix = vec![KeyPart::Bytes(Bytes::copy_from_slice(&node.serialize()))];
    KeyRange { kind: Kind::LinkAddress, prefix, after: None }
}

fn address_key(node: &PublicKey, position: u32) -> RecordKey {
    let mut parts = addresses_of(node).prefix;
    parts.push(KeyPart::Int(position.into()));
    RecordKey { kind: Kind::LinkAddress, parts }
}

/// One link node's part of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNodeChange {
    node_id: PublicKey,
    expect: Version,
    puts: Vec<Record>,
    removes: Vec<RecordKey>,
}

impl LinkNodeChange {
    /// Stores `node` in place of `before`, whose version was `expect`.
    pub fn put(node: &LinkNode, before: Option<&LinkNode>, expect: Version) -> LinkNodeChange {
        let mut change = LinkNodeChange::touch(node, expect);
        let kept = before.map_or(&[][..], |before| &before.addresses);
        for (position, address) in (0u32..).zip(&node.addresses) {
            if kept.get(position as usize) != Some(address) {
                change.puts.push(Record::LinkAddress(LinkAddressRecord {
                    node_id: node.node_id,
                    position,
                    address: address.clone(),
                }));
            }
        }
        let surplus = node.addresses.len() as u32..kept.len() as u32;
        change.removes.extend(surplus.map(|position| address_key(&node.node_id, position)));
        change
    }

    /// Raises the version of `node` and changes nothing else.
    pub fn touch(node: &LinkNode, expect: Version) -> LinkNodeChange {
        LinkNodeChange {
            node_id: node.node_id,
            expect,
            puts: vec![Record::LinkNode(LinkNodeRecord {
                node_id: node.node_id,
                version: expect,
                network: node.network.0,
                last_seen: node.last_seen,
            })],
            removes: Vec::new(),
        }
    }

    /// Removes `node`.
    pub fn remove(node: &LinkNode, expect: Version) -> LinkNodeChange {
        let positions = 0..node.addresses.len() as u32;
        let mut removes: Vec<_> =
            positions.map(|position| address_key(&node.node_id, position)).collect();
        removes.push(node_key(&node.node_id));
        LinkNodeChange { node_id: node.node_id, expect, puts: Vec::new(), removes }
    }

    /// The node.
    pub fn node_id(&self) -> &PublicKey {
        &self.node_id
    }

    /// The version it was computed from.
    pub fn expect(&self) -> Version {
        self.expect
    }

    /// Records to write.
    pub fn puts(&self) -> &[Record] {
        &self.puts
    }

    /// Records to remove.
    pub fn removes(&self) -> &[RecordKey] {
        &self.removes
    }

    /// Gives the node its new version.
    pub fn stamp(&mut self, version: Version) {
        for record in &mut self.puts {
            if let Record::LinkNode(row) = record {
                row.version = version;
            }
        }
    }
}

impl LinkNodeRecord {
    /// Joins the row with its addresses, which must be in order of position.
    pub fn assemble(&self, addresses: Vec<Address>) -> LinkNode {
        LinkNode {
            node_id: self.node_id,
            network: Network(self.network),
            last_seen: self.last_seen,
            addresses,
        }
    }
}
