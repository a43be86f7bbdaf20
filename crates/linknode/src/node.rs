//! A link node, and the rules for changing it.

use bitcoin::secp256k1::PublicKey;
use thiserror::Error;

use crate::address::{Address, AddressError};

/// A peer that we share channels with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNode {
    /// Its node id.
    pub node_id: PublicKey,
    /// Network it was met on.
    pub network: Network,
    /// Unix time in seconds when it was last seen.
    pub last_seen: u64,
    /// Addresses, in the order to try them.
    pub addresses: Vec<Address>,
}

impl LinkNode {
    /// Checks every address.
    ///
    /// # Errors
    /// `Address`.
    pub fn check(&self) -> Result<(), Rejection> {
        self.addresses.iter().try_for_each(|address| address.check().map_err(Rejection::Address))
    }

    /// Adds an address unless it is there. Tells whether it was added.
    pub fn add_address(&mut self, address: Address) -> bool {
        let new = !self.addresses.contains(&address);
        if new {
            self.addresses.push(address);
        }
        new
    }
}

/// A bitcoin network: the P2P magic as btcd's `BitcoinNet` number, for mainnet 0xd9b4bef9; on the
/// wire its bytes are reversed. Numbers without a name are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(pub u32);

impl Network {
    /// Bitcoin.
    pub const MAINNET: Network = Network(0xd9b4_bef9);
    /// Testnet 3.
    pub const TESTNET: Network = Network(0x0709_110b);
    /// Testnet 4.
    pub const TESTNET4: Network = Network(0x283f_161c);
    /// Regtest.
    pub const REGTEST: Network = Network(0xdab5_bffa);
    /// Simnet, known to btcd only.
    pub const SIMNET: Network = Network(0x1214_1c16);
    /// Signet.
    pub const SIGNET: Network = Network(0x40cf_030a);

    /// Its usual name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Network::MAINNET => "mainnet",
            Network::TESTNET => "testnet",
            Network::TESTNET4 => "testnet4",
            Network::REGTEST => "regtest",
            Network::SIMNET => "simnet",
            Network::SIGNET => "signet",
            _ => return None,
        })
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

/// A rule that a request breaks. Nothing was stored.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// No link node with this id.
    #[error("unknown link node {0}")]
    Unknown(PublicKey),
    /// The link node exists already.
    #[error("link node {0} already exists")]
    AlreadyExists(PublicKey),
    /// We still have a channel with the node.
    #[error("link node {node} has {channels} open channels")]
    HasChannels {
        /// The node.
        node: PublicKey,
        /// Channels not closed, pending ones included.
        channels: usize,
    },
    /// An address cannot be stored.
    #[error("address cannot be stored")]
    Address(#[source] AddressError),
}
