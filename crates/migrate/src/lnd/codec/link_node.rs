//! Link nodes and their addresses (lnd `channeldb`, `graph/db`).

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use linknode::{Address, LinkNode, Network};

use super::cursor::Cursor;
use super::error::{EncodeError, EncodeFault, LndError, LndFault};
use super::writer::Writer;

const RECORD: &str = "link node";

const TCP4: u8 = 0;
const TCP6: u8 = 1;
const TOR_V2: u8 = 2;
const TOR_V3: u8 = 3;
const OPAQUE: u8 = 4;
const DNS: u8 = 5;

/// A link node as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLinkNode {
    /// The node, under the id that is its key.
    pub node: LinkNode,
    /// The identity key inside the value, which should be the same.
    pub identity_key: PublicKey,
}

/// Reads a value of the bucket `nib`; `node_id` is its key.
///
/// # Errors
///
/// [`LndError`], see there.
pub fn decode(node_id: PublicKey, bytes: Bytes) -> Result<StoredLinkNode, LndError> {
    Cursor::whole(RECORD, bytes, |cursor| {
        let network = Network(cursor.u32("network")?);
        let identity_key = cursor.point("identity key")?;
        let last_seen = cursor.u64("last seen")?;
        let count = cursor.u32("number of addresses")?;
        // No reservation: the count may be damaged.
        let mut addresses = Vec::new();
        for _ in 0..count {
            addresses.push(read_address(cursor)?);
        }
        Ok(StoredLinkNode {
            node: LinkNode { node_id, network, last_seen, addresses },
            identity_key,
        })
    })
}

/// Returns the canonical encoding of a link node: its identity key is its id.
///
/// # Errors
///
/// [`EncodeFault::TooLong`] for an address that [`LinkNode::check`] refuses, and for more than
/// 2^32 - 1 addresses.
pub fn encode(node: &LinkNode) -> Result<Vec<u8>, EncodeError> {
    let mut out = Writer::new(RECORD);
    out.u32(node.network.0);
    out.bytes(&node.node_id.serialize());
    out.u64(node.last_seen);
    let found = node.addresses.len();
    let count = u32::try_from(found).map_err(|_| {
        out.error("number of addresses", EncodeFault::TooLong { max: u32::MAX as usize, found })
    })?;
    out.u32(count);
    node.addresses.iter().try_for_each(|address| write_address(&mut out, address))?;
    Ok(out.finish())
}

fn read_address(cursor: &mut Cursor) -> Result<Address, LndError> {
    const FIELD: &str = "address";
    let offset = cursor.offset();
    Ok(match cursor.u8(FIELD)? {
        TCP4 => Address::Ipv4 { ip: cursor.array::<4>(FIELD)?.into(), port: cursor.u16(FIELD)? },
        TCP6 => Address::Ipv6 { ip: cursor.array::<16>(FIELD)?.into(), port: cursor.u16(FIELD)? },
        TOR_V2 => Address::TorV2 { service: cursor.array(FIELD)?, port: cursor.u16(FIELD)? },
        TOR_V3 => Address::TorV3 { service: cursor.array(FIELD)?, port: cursor.u16(FIELD)? },
        OPAQUE => {
            let len = cursor.u16(FIELD)?;
            Address::Opaque(cursor.take(FIELD, len.into())?)
        }
        DNS => {
            let len = cursor.u8(FIELD)?;
            Address::Dns { host: cursor.take(FIELD, len.into())?, port: cursor.u16(FIELD)? }
        }
        found => return Err(cursor.error(FIELD, offset, LndFault::UnknownKind { found })),
    })
}

fn write_address(out: &mut Writer, address: &Address) -> Result<(), EncodeError> {
    match address {
        Address::Ipv4 { ip, port } => write_host(out, TCP4, &ip.octets(), *port),
        Address::Ipv6 { ip, port } => write_host(out, TCP6, &ip.octets(), *port),
        Address::TorV2 { service, port } => write_host(out, TOR_V2, service, *port),
        Address::TorV3 { service, port } => write_host(out, TOR_V3, service, *port),
        Address::Opaque(descriptors) => {
            out.u8(OPAQUE);
            out.count("opaque address", descriptors.len())?;
            out.bytes(descriptors);
        }
        Address::Dns { host, port } => {
            let max = usize::from(u8::MAX);
            let len = u8::try_from(host.len()).map_err(|_| {
                out.error("host name", EncodeFault::TooLong { max, found: host.len() })
            })?;
            out.u8(DNS);
            out.u8(len);
            out.bytes(host);
            out.u16(*port);
        }
    }
    Ok(())
}

fn write_host(out: &mut Writer, kind: u8, host: &[u8], port: u16) {
    out.u8(kind);
    out.bytes(host);
    out.u16(port);
}
