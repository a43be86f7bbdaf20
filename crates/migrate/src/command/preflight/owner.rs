//! Whether the source is of the node and network that the operator means.

use std::collections::BTreeMap;

use bitcoin::Network;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use serde::Serialize;

use super::check::{Check, Class};
use super::sides::Side;
use crate::text::counted;

const NETWORKS: [Network; 5] =
    [Network::Bitcoin, Network::Testnet, Network::Testnet4, Network::Signet, Network::Regtest];

/// Channels on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainCount {
    /// Its network, or its genesis block if that is of no network known here.
    pub network: String,
    /// Channels, closed ones included.
    pub channels: u64,
}

/// Counts channels by network.
pub(super) fn chain_counts(chains: &BTreeMap<ChainHash, u64>) -> Vec<ChainCount> {
    let name = |chain: &ChainHash| match network_of(*chain) {
        Some(network) => network.to_string(),
        None => format!("chain {chain}"),
    };
    chains
        .iter()
        .map(|(chain, channels)| ChainCount { network: name(chain), channels: *channels })
        .collect()
}

fn network_of(chain: ChainHash) -> Option<Network> {
    NETWORKS.into_iter().find(|network| ChainHash::using_genesis_block(*network) == chain)
}

/// Whether every channel, and the source itself, is on the network asked for.
pub(super) fn network(asked: Option<Network>, source: &Side, chains: &[ChainCount]) -> Check {
    const NAME: &str = "network";
    let found: Vec<_> = chains
        .iter()
        .map(|chain| format!("{} on {}", counted(chain.channels, "channel"), chain.network))
        .collect();
    let found = if found.is_empty() { "no channels".to_owned() } else { found.join(", ") };
    let Some(asked) = asked.map(|network| network.to_string()) else {
        return match chains {
            [_, _, ..] => Check::note(NAME, format!("{found}: several chains in one database"))
                .advise("all of them are copied; --network refuses what is on another one"),
            _ => Check::ok(NAME, found),
        };
    };
    let says_other = source.network.as_ref().filter(|network| **network != asked);
    if let Some(other) = says_other {
        let what = format!("the source says that it is on {other}, not on {asked}");
        return refused(NAME, what, "network");
    }
    match chains.iter().any(|chain| chain.network != asked) {
        true => refused(NAME, format!("{found}, not all on {asked}"), "network"),
        false => Check::ok(NAME, format!("{found}, as asked")),
    }
}

/// Whether the source is of the node asked for.
pub(super) fn node(asked: Option<PublicKey>, source: &Side, own_peer: u64) -> Check {
    const NAME: &str = "node";
    let Some(asked) = asked else {
        let found = source.node.as_deref();
        return Check::ok(NAME, found.map_or("the source does not say".into(), str::to_owned));
    };
    match &source.node {
        Some(found) if *found != asked.to_string() => {
            refused(NAME, format!("the source is of node {found}, not of {asked}"), "node")
        }
        Some(found) => Check::ok(NAME, format!("{found}, as asked")),
        None if own_peer > 0 => {
            let what = format!("{asked} is the peer of {}", counted(own_peer, "channel"));
            refused(NAME, what, "node")
        }
        None => Check::note(NAME, format!("the source does not say whether it is of {asked}")),
    }
}

fn refused(name: &'static str, what: String, option: &str) -> Check {
    let advice = format!("name the store that belongs to it, or mend --{option}");
    Check::refused(name, Class::Content, what, advice)
}

#[cfg(test)]
mod tests {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};

    use super::super::check::Verdict;
    use super::*;

    fn chains(networks: &[Network]) -> Vec<ChainCount> {
        let chains = networks.iter().map(|network| (ChainHash::using_genesis_block(*network), 2));
        chain_counts(&chains.collect())
    }

    #[test]
    fn channels_of_another_network_are_refused() {
        let (side, both) = (Side::default(), chains(&[Network::Bitcoin, Network::Signet]));
        let verdict = |asked, chains: &[ChainCount]| network(asked, &side, chains).verdict;
        assert_eq!(verdict(Some(Network::Bitcoin), &both[..]), Verdict::Refused);
        assert_eq!(verdict(None, &both), Verdict::Note);
        let one = chains(&[Network::Signet]);
        assert_eq!(verdict(Some(Network::Bitcoin), &one), Verdict::Refused);
        assert_eq!(verdict(Some(Network::Signet), &one), Verdict::Ok);
        assert_eq!(verdict(None, &one), Verdict::Ok);
        assert_eq!(verdict(Some(Network::Signet), &[]), Verdict::Ok);
    }

    #[test]
    fn a_chain_that_is_no_network_is_named_by_its_genesis_block() {
        let unknown = BTreeMap::from([(ChainHash::from([7; 32]), 1)]);
        let named = chain_counts(&unknown);
        assert!(named[0].network.starts_with("chain 0707"), "{named:?}");
        let check = network(Some(Network::Bitcoin), &Side::default(), &named);
        assert_eq!(check.verdict, Verdict::Refused);
    }

    #[test]
    fn a_source_of_another_node_is_refused() {
        let key =
            |byte: u8| SecretKey::from_slice(&[byte; 32]).unwrap().public_key(&Secp256k1::new());
        let (ours, theirs) = (key(1), key(2));
        let of = |node: Option<PublicKey>| Side {
            node: node.map(|node| node.to_string()),
            ..Side::default()
        };
        let verdict = |asked, side: &Side, own_peer| node(asked, side, own_peer).verdict;
        assert_eq!(verdict(Some(ours), &of(Some(theirs)), 0), Verdict::Refused);
        assert_eq!(verdict(Some(ours), &of(Some(ours)), 0), Verdict::Ok);
        // Nobody has a channel with itself.
        assert_eq!(verdict(Some(ours), &of(None), 1), Verdict::Refused);
        assert_eq!(verdict(Some(ours), &of(None), 0), Verdict::Note);
        assert_eq!(verdict(None, &of(Some(theirs)), 1), Verdict::Ok);
    }
}
