//! Two nodes with one channel between them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin::hashes::{Hash, sha256};
use channelcoord::{PeerChannelStore, Store};
use chanstate::facet::LifecycleStore;
use chanstate::{HtlcTerms, MilliSatoshi, ShortChannelId};
use conformance::sweep::{new_channel, scid};
use conformance::values::{bytes32, link_node};
use node_core::{Facets, Node, Offer, Outcome, Payments, onion};

/// Payments after which both nodes remove what is done.
const TIDY_AFTER: u64 = 16;

/// Small enough that one side can pay for long.
const AMOUNT: MilliSatoshi = MilliSatoshi(1_000_000);

/// The only invoice, and the last payment that ended.
#[derive(Default)]
struct Wallet {
    preimage: Mutex<[u8; 32]>,
    ended: AtomicU64,
}

impl Payments for Wallet {
    fn preimage(&self, _htlc: &HtlcTerms) -> Option<[u8; 32]> {
        Some(*self.preimage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ended(&self, payment: u64, outcome: Outcome) {
        assert!(matches!(outcome, Outcome::Settled(_)), "payment {payment}: {outcome:?}");
        self.ended.store(payment, Ordering::Relaxed);
    }
}

/// Two nodes with one channel between them. They pay each other in turns.
pub(crate) struct Pair {
    nodes: [Node; 2],
    wallet: Arc<Wallet>,
    scid: ShortChannelId,
    paid: u64,
}

impl Pair {
    /// Opens channel `n` in both stores, and connects.
    pub(crate) async fn open(stores: &[Store; 2], n: u64) -> Pair {
        let wallet = Arc::new(Wallet::default());
        let [mut a, mut b] =
            [load(&stores[0], n, 0, &wallet).await, load(&stores[1], n, 1, &wallet).await];
        a.connect().await.expect("a connection");
        b.connect().await.expect("a connection");
        Pair { nodes: [a, b], wallet, scid: scid(n), paid: 0 }
    }

    /// Makes one payment, up to the point where its payer knows of its end.
    pub(crate) async fn pay(&mut self) {
        let payment = self.paid + 1;
        let preimage = bytes32("payment", payment);
        *self.wallet.preimage.lock().unwrap_or_else(PoisonError::into_inner) = preimage;
        while !self.nodes.iter().all(|node| node.channels().all(|channel| channel.ready())) {
            self.round().await;
        }
        let offer = Offer {
            amount: AMOUNT,
            payment_hash: sha256::Hash::hash(&preimage).to_byte_array(),
            cltv_expiry: 800_000,
            onion: onion(&[], payment),
        };
        let payer = &mut self.nodes[(payment % 2) as usize];
        payer.pay(self.scid, payment, offer).expect("the channel carries it");
        while self.wallet.ended.load(Ordering::Relaxed) != payment {
            self.round().await;
        }
        self.paid = payment;
        if payment.is_multiple_of(TIDY_AFTER) {
            for node in &mut self.nodes {
                node.tidy().await.expect("what is done goes");
            }
        }
    }

    /// Each node signs if it has to, and the other one takes its messages.
    async fn round(&mut self) {
        for who in 0..2 {
            self.nodes[who].sign(self.scid).await.expect("a signature");
            let messages: Vec<_> = self.nodes[who].take_messages().collect();
            let other = &mut self.nodes[1 - who];
            for message in messages {
                other.receive(message).await.expect("a message that is in order");
            }
            other.work().await.expect("work");
        }
    }
}

async fn load(store: &Store, n: u64, who: usize, wallet: &Arc<Wallet>) -> Node {
    let channel = new_channel(n, who);
    let point = channel.funding_outpoint;
    store.open_channel(channel, link_node(n)).await.expect("channel opens");
    store.mark_open(point, scid(n)).await.expect("channel is marked open");
    let facets: Arc<dyn Facets> = Arc::new(store.clone());
    let payments = Arc::clone(wallet) as Arc<dyn Payments>;
    Node::load(facets, payments, &[point]).await.expect("a new channel loads")
}
