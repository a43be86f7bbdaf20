//! What the node core refuses from its peer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use channelcoord::{MemoryBackend, PeerChannelStore, Store, StoreOptions};
use chanstate::facet::{LifecycleStore, StatusStore};
use chanstate::message::{DataLoss, Message, MessageKind, ParsedMessage};
use chanstate::shachain::derive_secret;
use chanstate::{ChannelId, ChannelStatus, HtlcTerms, MilliSatoshi, NewChannel};
use conformance::sweep::{new_channel, scid};
use conformance::values::{link_node, outpoint};
use node_core::{Error, Facets, Node, Offer, Outcome, Payments, commitment_point, onion};
use pollster::block_on;

const PREIMAGE: [u8; 32] = [7; 32];

/// Amount of every invoice.
const ASKED: MilliSatoshi = MilliSatoshi(5_000_000);

struct Invoice;

impl Payments for Invoice {
    fn preimage(&self, htlc: &HtlcTerms) -> Option<[u8; 32]> {
        (htlc.amount >= ASKED).then_some(PREIMAGE)
    }

    fn ended(&self, _payment: u64, _outcome: Outcome) {}
}

/// Two nodes with channel 0 between them, which node 0 opened.
struct Nodes {
    stores: [Store; 2],
    nodes: [Node; 2],
}

impl Nodes {
    fn new() -> Nodes {
        Nodes::with(|who| new_channel(0, who))
    }

    fn with(channel: fn(usize) -> NewChannel) -> Nodes {
        let stores = [0, 1].map(|who| {
            let options = StoreOptions { check_memory: true, ..StoreOptions::default() };
            let store = block_on(Store::open(MemoryBackend::default(), options)).unwrap();
            block_on(store.open_channel(channel(who), link_node(0))).unwrap();
            block_on(store.mark_open(outpoint(0), scid(0))).unwrap();
            store
        });
        let nodes = [0, 1].map(|who: usize| {
            let facets: Arc<dyn Facets> = Arc::new(stores[who].clone());
            block_on(Node::load(facets, Arc::new(Invoice), &[outpoint(0)])).unwrap()
        });
        Nodes { stores, nodes }
    }

    fn connected() -> Nodes {
        let mut nodes = Nodes::new();
        nodes.connect();
        nodes
    }

    fn connect(&mut self) {
        self.nodes.iter_mut().for_each(|node| block_on(node.connect()).unwrap());
        self.pass(0, &|message| message);
        self.pass(1, &|message| message);
    }

    /// Takes the messages of a node, changed on the way, to the other one.
    fn try_pass(&mut self, from: usize, way: &dyn Fn(Message) -> Message) -> Result<(), Error> {
        let messages: Vec<_> = self.nodes[from].take_messages().collect();
        let mut messages = messages.into_iter();
        messages.try_for_each(|message| block_on(self.nodes[1 - from].receive(way(message))))
    }

    fn pass(&mut self, from: usize, way: &dyn Fn(Message) -> Message) {
        self.try_pass(from, way).unwrap();
    }

    fn sign(&mut self, who: usize) {
        assert!(block_on(self.nodes[who].sign(scid(0))).unwrap());
    }

    /// A node offers the other one an HTLC.
    fn pay(&mut self, who: usize, payment: u64, amount: u64) -> Result<(), Error> {
        let offer = Offer {
            amount: MilliSatoshi(amount),
            payment_hash: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
            cltv_expiry: 800_000,
            onion: onion(&[], 1),
        };
        self.nodes[who].pay(scid(0), payment, offer)
    }

    /// What a node may not offer in the state that both are in.
    fn refused(&mut self, who: usize, amount: u64) -> &'static str {
        match self.pay(who, 99, amount) {
            Err(Error::Refused(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Node 0 offers node 1 an HTLC, and both sides lock it in.
    fn lock_in(&mut self, amount: u64) {
        self.pay(0, 1, amount).unwrap();
        for who in [0, 1] {
            self.sign(who);
            self.pass(who, &|message| message);
            self.pass(1 - who, &|message| message);
        }
    }
}

/// Replaces messages of one kind.
fn edit(kind: MessageKind, edit: fn(&mut ParsedMessage)) -> impl Fn(Message) -> Message {
    move |message| {
        let mut parsed = message.parse().unwrap();
        if message.kind() == kind {
            edit(&mut parsed);
        }
        parsed.encode().unwrap()
    }
}

fn fee(feerate_per_kw: u32) -> Message {
    let channel_id = ChannelId::from_outpoint(outpoint(0)).0;
    let extra = Default::default();
    ParsedMessage::UpdateFee { channel_id, feerate_per_kw, extra }.encode().unwrap()
}

fn add(id: u64, amount_msat: u64, cltv_expiry: u32) -> Message {
    let add = ParsedMessage::UpdateAddHtlc {
        channel_id: ChannelId::from_outpoint(outpoint(0)).0,
        id,
        amount_msat,
        payment_hash: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
        cltv_expiry,
        onion: onion(&[], 1),
        extra: Default::default(),
    };
    add.encode().unwrap()
}

fn broken(result: Result<(), Error>) -> &'static str {
    match result {
        Err(Error::Protocol(what)) => what,
        other => panic!("not a break of the protocol: {other:?}"),
    }
}

#[test]
fn a_settle_with_a_wrong_preimage_is_refused() {
    let mut nodes = Nodes::connected();
    nodes.lock_in(ASKED.0);
    block_on(nodes.nodes[1].work()).unwrap();
    let way = edit(MessageKind::UpdateFulfillHtlc, |message| {
        let ParsedMessage::UpdateFulfillHtlc { preimage, .. } = message else { unreachable!() };
        preimage[31] ^= 1;
    });
    assert_eq!(broken(nodes.try_pass(1, &way)), "wrong preimage");
}

#[test]
fn an_htlc_of_less_than_the_invoice_asks_for_is_failed() {
    for (amount, end) in
        [(ASKED.0, MessageKind::UpdateFulfillHtlc), (ASKED.0 - 1, MessageKind::UpdateFailHtlc)]
    {
        let mut nodes = Nodes::connected();
        nodes.lock_in(amount);
        block_on(nodes.nodes[1].work()).unwrap();
        let kinds: Vec<_> = nodes.nodes[1].take_messages().map(|message| message.kind()).collect();
        assert_eq!(kinds, [end]);
    }
}

#[test]
fn each_side_offers_as_many_htlcs_as_it_may() {
    for (who, most) in [(0, 4), (1, 6)] {
        let mut nodes = Nodes::connected();
        (1..=most).for_each(|payment| nodes.pay(who, payment, 10).unwrap());
        assert_eq!(nodes.refused(who, 10), "too many HTLCs");
        nodes.pass(who, &|message| message);
        let one_more = add(most, 10, 800_000);
        assert_eq!(broken(block_on(nodes.nodes[1 - who].receive(one_more))), "too many HTLCs");
    }
}

#[test]
fn each_side_has_as_much_in_flight_as_it_may() {
    for (who, most) in [(0, 130_000_000), (1, 200_000_000)] {
        let mut nodes = Nodes::connected();
        nodes.pay(who, 1, most - 10).unwrap();
        assert_eq!(nodes.refused(who, 11), "too much in flight");
        nodes.pay(who, 2, 10).unwrap();
        let [first, _] = nodes.nodes[who].take_messages().collect::<Vec<_>>().try_into().unwrap();
        block_on(nodes.nodes[1 - who].receive(first)).unwrap();
        let refused = block_on(nodes.nodes[1 - who].receive(add(1, 11, 800_000)));
        assert_eq!(broken(refused), "too much in flight");
    }
}

#[test]
fn each_side_offers_no_less_than_it_may() {
    for (who, least) in [(0, 10), (1, 1)] {
        let mut nodes = Nodes::connected();
        let why = if least == 1 { "an HTLC of nothing" } else { "an HTLC below the minimum" };
        assert_eq!(nodes.refused(who, least - 1), why);
        let refused = block_on(nodes.nodes[1 - who].receive(add(0, least - 1, 800_000)));
        assert_eq!(broken(refused), why);
        nodes.pay(who, 1, least).unwrap();
        nodes.pass(who, &|message| message);
    }
}

#[test]
fn each_side_keeps_its_reserve() {
    for (who, reserve) in [(0, 100_000_000), (1, 150_000_000)] {
        let mut nodes = Nodes::with(|who| {
            let mut channel = new_channel(0, who);
            let most = MilliSatoshi(u64::MAX);
            channel.terms.local_config.max_pending_amount = most;
            channel.terms.remote_config.max_pending_amount = most;
            channel
        });
        nodes.connect();
        let channel = nodes.nodes[who].channel(scid(0)).unwrap();
        // The opener, node 0, pays for the output of the HTLC: 172 weight units at 500 sat.
        let fee = if who == 0 { 86_000 } else { 0 };
        let most = channel.local().local_balance.0 - reserve - fee;
        assert_eq!(nodes.refused(who, most + 1), "less than the reserve is left");
        nodes.pay(who, 1, most).unwrap();
        let more = edit(MessageKind::UpdateAddHtlc, |message| {
            let ParsedMessage::UpdateAddHtlc { amount_msat, .. } = message else { unreachable!() };
            *amount_msat += 1;
        });
        assert_eq!(broken(nodes.try_pass(who, &more)), "less than the reserve is left");
    }
}

#[test]
fn an_expiry_is_a_block_height() {
    let mut nodes = Nodes::connected();
    let refused = block_on(nodes.nodes[1].receive(add(0, 1_000, 500_000_000)));
    assert_eq!(broken(refused), "an expiry that is no block height");
    block_on(nodes.nodes[1].receive(add(0, 1_000, 499_999_999))).unwrap();
}

#[test]
fn ids_of_htlcs_follow_each_other() {
    let mut nodes = Nodes::connected();
    let refused = block_on(nodes.nodes[1].receive(add(1, 1_000, 800_000)));
    assert_eq!(broken(refused), "HTLC id out of order");
}

#[test]
fn the_opener_can_pay_the_fee_that_it_sets() {
    let mut nodes = Nodes::connected();
    let refused = nodes.nodes[0].set_fee(scid(0), 6_800_000);
    assert!(matches!(refused, Err(Error::Refused("less than the reserve is left"))));
    let refused = block_on(nodes.nodes[1].receive(fee(6_800_000)));
    assert_eq!(broken(refused), "less than the reserve is left");
}

#[test]
fn a_signature_of_another_commitment_is_refused() {
    let mut nodes = Nodes::connected();
    nodes.nodes[0].set_fee(scid(0), 1_000).unwrap();
    nodes.sign(0);
    let way = edit(MessageKind::UpdateFee, |message| {
        let ParsedMessage::UpdateFee { feerate_per_kw, .. } = message else { unreachable!() };
        *feerate_per_kw += 1;
    });
    assert_eq!(broken(nodes.try_pass(0, &way)), "both sides disagree on a commitment");
}

#[test]
fn an_end_before_the_htlc_is_locked_in_is_refused() {
    let mut nodes = Nodes::connected();
    let fail = ParsedMessage::UpdateFailHtlc {
        channel_id: ChannelId::from_outpoint(outpoint(0)).0,
        id: 0,
        reason: Default::default(),
        extra: Default::default(),
    };
    let refused = block_on(nodes.nodes[0].receive(fail.encode().unwrap()));
    assert_eq!(broken(refused), "end of an HTLC that is not locked in");
}

#[test]
fn only_the_opener_sets_the_fee() {
    let mut nodes = Nodes::connected();
    let refused = nodes.nodes[1].set_fee(scid(0), 1_000);
    assert!(matches!(refused, Err(Error::Refused("the peer pays the fee"))));
    let refused = block_on(nodes.nodes[0].receive(fee(1_000)));
    assert_eq!(broken(refused), "fee set by the side that does not pay it");
}

#[test]
fn nothing_comes_before_reestablish() {
    let mut nodes = Nodes::new();
    let refused = block_on(nodes.nodes[1].receive(fee(1_000)));
    assert_eq!(broken(refused), "a message before channel_reestablish");
}

#[test]
fn a_peer_that_knows_a_later_secret_proves_a_lost_state() {
    let mut nodes = Nodes::new();
    let root = new_channel(0, 0).terms.revocation_root;
    let commit_point = commitment_point(&[1; 32], 3).unwrap();
    let ahead = |last_secret| ParsedMessage::ChannelReestablish {
        channel_id: ChannelId::from_outpoint(outpoint(0)).0,
        next_commitment_number: 3,
        next_revocation_number: 2,
        data_loss: Some(DataLoss { last_secret, commit_point }),
        extra: Default::default(),
    };
    let lie = ahead([9; 32]).encode().unwrap();
    assert_eq!(broken(block_on(nodes.nodes[0].receive(lie))), "a secret that is not ours");
    let status = |store: &Store| block_on(store.refresh(outpoint(0))).unwrap().status;
    assert!(status(&nodes.stores[0]).is_empty());

    let proof = ahead(derive_secret(&root, 1).unwrap()).encode().unwrap();
    assert!(matches!(block_on(nodes.nodes[0].receive(proof)), Err(Error::DataLoss)));
    assert_eq!(status(&nodes.stores[0]), ChannelStatus::LOCAL_DATA_LOSS);
    let point = block_on(nodes.stores[0].data_loss_point(outpoint(0))).unwrap();
    assert_eq!(point, Some(commit_point));
}
