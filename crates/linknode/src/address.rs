//! Network addresses of a peer.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use chanstate::codec::{Codec, DecodeError, Reader};
use thiserror::Error;

/// Where a peer can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP over IPv4.
    Ipv4 {
        /// Address.
        ip: Ipv4Addr,
        /// Port.
        port: u16,
    },
    /// TCP over IPv6.
    Ipv6 {
        /// Address.
        ip: Ipv6Addr,
        /// Port.
        port: u16,
    },
    /// Tor v2 onion service, decoded.
    TorV2 {
        /// Service id.
        service: [u8; 10],
        /// Port.
        port: u16,
    },
    /// Tor v3 onion service, decoded, with checksum and version.
    TorV3 {
        /// Service id.
        service: [u8; 35],
        /// Port.
        port: u16,
    },
    /// DNS host name, at most 255 bytes.
    Dns {
        /// Name.
        host: Bytes,
        /// Port.
        port: u16,
    },
    /// Address descriptors of a kind unknown here, as gossip brought them (BOLT 7).
    Opaque(Bytes),
}

/// Why an address cannot be stored.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// A host name is longer than its length byte can say.
    #[error("host name of {0} bytes, at most 255")]
    HostTooLong(usize),
    /// Opaque descriptors are longer than their length field can say.
    #[error("opaque address of {0} bytes, at most 65535")]
    OpaqueTooLong(usize),
}

impl Address {
    /// Checks the lengths.
    ///
    /// # Errors
    /// `HostTooLong`, `OpaqueTooLong`.
    pub fn check(&self) -> Result<(), AddressError> {
        match self {
            Address::Dns { host, .. } if host.len() > 255 => {
                Err(AddressError::HostTooLong(host.len()))
            }
            Address::Opaque(bytes) if bytes.len() > 0xffff => {
                Err(AddressError::OpaqueTooLong(bytes.len()))
            }
            _ => Ok(()),
        }
    }

    /// Short name of the kind: `ipv4`, `ipv6`, `torv2`, `torv3`, `dns` or `opaque`.
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Ipv4 { .. } => "ipv4",
            Address::Ipv6 { .. } => "ipv6",
            Address::TorV2 { .. } => "torv2",
            Address::TorV3 { .. } => "torv3",
            Address::Dns { .. } => "dns",
            Address::Opaque(_) => "opaque",
        }
    }

    /// Port; `None` for opaque addresses.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Ipv4 { port, .. }
            | Address::Ipv6 { port, .. }
            | Address::TorV2 { port, .. }
            | Address::TorV3 { port, .. }
            | Address::Dns { port, .. } => Some(*port),
            Address::Opaque(_) => None,
        }
    }

    /// Host in text form: an IP address, `....onion`, a host name, or hex for opaque addresses.
    pub fn host(&self) -> String {
        match self {
            Address::Ipv4 { ip, .. } => ip.to_string(),
            Address::Ipv6 { ip, .. } => ip.to_string(),
            Address::TorV2 { service, .. } => format!("{}.onion", base32(service)),
            Address::TorV3 { service, .. } => format!("{}.onion", base32(service)),
            Address::Dns { host, .. } => String::from_utf8_lossy(host).into_owned(),
            Address::Opaque(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ipv6 { ip, port } => write!(f, "[{ip}]:{port}"),
            Address::Opaque(_) => write!(f, "opaque:{}", self.host()),
            other => write!(f, "{}:{}", other.host(), other.port().unwrap_or(0)),
        }
    }
}

impl Codec for Address {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Address::Ipv4 { ip, port } => (0u8, ip.octets(), port).put(out),
            Address::Ipv6 { ip, port } => (1u8, ip.octets(), port).put(out),
            Address::TorV2 { service, port } => (2u8, *service, port).put(out),
            Address::TorV3 { service, port } => (3u8, *service, port).put(out),
            Address::Opaque(bytes) => {
                out.push(4);
                bytes.encode_to(out);
            }
            Address::Dns { host, port } => {
                out.push(5);
                host.encode_to(out);
                port.encode_to(out);
            }
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match u8::decode_from(reader)? {
            0 => Address::Ipv4 {
                ip: <[u8; 4]>::decode_from(reader)?.into(),
                port: Codec::decode_from(reader)?,
            },
            1 => Address::Ipv6 {
                ip: <[u8; 16]>::decode_from(reader)?.into(),
                port: Codec::decode_from(reader)?,
            },
            2 => Address::TorV2 {
                service: Codec::decode_from(reader)?,
                port: Codec::decode_from(reader)?,
            },
            3 => Address::TorV3 {
                service: Codec::decode_from(reader)?,
                port: Codec::decode_from(reader)?,
            },
            4 => Address::Opaque(Codec::decode_from(reader)?),
            5 => Address::Dns {
                host: Codec::decode_from(reader)?,
                port: Codec::decode_from(reader)?,
            },
            _ => return Err(reader.invalid("address kind")),
        })
    }
}

/// A kind byte, a fixed-length host and a port.
trait Put {
    fn put(self, out: &mut Vec<u8>);
}

impl<const N: usize> Put for (u8, [u8; N], &u16) {
    fn put(self, out: &mut Vec<u8>) {
        self.0.encode_to(out);
        self.1.encode_to(out);
        self.2.encode_to(out);
    }
}

/// Base 32 of RFC 4648 in lower case without padding, as onion services use it.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onion_services_have_their_usual_text() {
        let service = [0xd9, 0xb5, 0x47, 0xaf, 0x8f, 0x87, 0x95, 0x42, 0x8b, 0x8c];
        let address = Address::TorV2 { service, port: 9735 };
        assert_eq!(address.to_string(), "3g2upl4pq6kufc4m.onion:9735");
    }

    #[test]
    fn every_kind_round_trips() {
        let addresses = [
            Address::Ipv4 { ip: Ipv4Addr::LOCALHOST, port: 9735 },
            Address::Ipv6 { ip: Ipv6Addr::LOCALHOST, port: 0 },
            Address::TorV2 { service: [7; 10], port: 1 },
            Address::TorV3 { service: [8; 35], port: 65535 },
            Address::Dns { host: Bytes::from_static(b"example.com"), port: 443 },
            Address::Opaque(Bytes::new()),
        ];
        for address in addresses {
            assert_eq!(Address::from_bytes(address.to_bytes().into()).as_ref(), Ok(&address));
        }
    }

    #[test]
    fn a_host_name_over_255_bytes_is_refused() {
        let host = |len: usize| Address::Dns { host: vec![b'a'; len].into(), port: 1 };
        assert_eq!(host(255).check(), Ok(()));
        assert_eq!(host(256).check(), Err(AddressError::HostTooLong(256)));
    }
}
