//! A store on a place, with what cases do to it again and again.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bitcoin::OutPoint;
use channelcoord::{Backend, Batch, ChangeSet, PeerChannelStore, Record, Seq, Store, StoreOptions};
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, ForwardingPackageStore, LifecycleStore, OpenChannelStore,
};
use chanstate::transition::Options;
use chanstate::{
    ChannelStatus, ForwardingPackage, HtlcId, NewChannel, Rejection, ShortChannelId, StoreError,
};

use crate::exchange::Exchange;
use crate::inspect::{self, Contents};
use crate::place::Place;
use crate::values;

/// A store that is open on a place.
///
/// Memory is compared with the backend after each commit.
pub struct Host<'a> {
    place: &'a dyn Place,
    options: StoreOptions,
    /// What the store stands on.
    pub backend: Arc<dyn Backend>,
    /// The store.
    pub store: Store,
}

/// What is stored, and at which sequence number.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    seq: Seq,
    contents: Contents,
}

impl std::ops::Deref for Host<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl<'a> Host<'a> {
    /// Opens a store without options.
    pub async fn new(place: &'a dyn Place) -> Host<'a> {
        Host::with(place, Options::default()).await
    }

    /// Opens a store with options of transitions.
    pub async fn with(place: &'a dyn Place, transitions: Options) -> Host<'a> {
        let options = StoreOptions { transitions, check_memory: true, ..StoreOptions::default() };
        Host::over(place, place.must_open(), options).await
    }

    /// Opens a store on `backend`, which stands on the place.
    pub async fn over(
        place: &'a dyn Place,
        backend: Arc<dyn Backend>,
        options: StoreOptions,
    ) -> Host<'a> {
        let store = Store::open_shared(Arc::clone(&backend), options).await;
        Host { place, options, backend, store: store.expect("the store opens") }
    }

    /// Closes the store and opens it again.
    pub async fn reopen(self) -> Host<'a> {
        let Host { place, options, backend, store } = self;
        store.close().await.expect("the store closes");
        drop((store, backend));
        Host::over(place, place.must_open(), options).await
    }

    /// Drops the store as a crash does, and opens it again.
    pub async fn crash(self) -> Host<'a> {
        let Host { place, options, backend, store } = self;
        drop((store, backend));
        Host::over(place, place.must_open(), options).await
    }

    /// Opens channel `n` with peer `n`.
    pub async fn open(&self, n: u64) -> OutPoint {
        self.open_with(n, n).await
    }

    /// Opens channel `n` with a peer.
    pub async fn open_with(&self, n: u64, peer: u64) -> OutPoint {
        self.open_as(values::new_channel(n, values::peer(peer)), peer).await
    }

    /// Opens a channel with a peer.
    pub async fn open_as(&self, channel: NewChannel, peer: u64) -> OutPoint {
        let point = channel.funding_outpoint;
        self.open_channel(channel, values::link_node(peer)).await.expect("the channel opens");
        point
    }

    /// Opens channel `n` with peer `n` and marks it open under a short channel id of its own.
    pub async fn exchange(&self, n: u64) -> Exchange {
        let scid = ShortChannelId(800_000 << 40 | n << 16);
        let point = self.open(n).await;
        self.mark_open(point, scid).await.expect("the channel gets its short channel id");
        Exchange::new(n, scid)
    }

    /// We sign the peer's next commitment.
    pub async fn sign(&self, exchange: &mut Exchange) {
        let append = exchange.append();
        self.append_remote(exchange.point, append.clone()).await.expect("append");
        exchange.stored_append(&append);
    }

    /// The peer revokes.
    pub async fn take_revocation(&self, exchange: &mut Exchange) {
        let advance = exchange.advance();
        self.advance_tail(exchange.point, advance.clone()).await.expect("advance");
        exchange.stored_advance(&advance);
    }

    /// The peer signs our next commitment, and we revoke.
    pub async fn revoke(&self, exchange: &mut Exchange) -> BTreeMap<HtlcId, bool> {
        let update = exchange.update();
        let finals = self.update_local(exchange.point, update.clone()).await.expect("update");
        assert_eq!(finals, exchange.stored_update(&update), "HTLCs that ended");
        finals
    }

    /// Both sides sign and revoke, us first.
    pub async fn round(&self, exchange: &mut Exchange) {
        self.sign(exchange).await;
        self.take_revocation(exchange).await;
        self.revoke(exchange).await;
    }

    /// Both sides sign and revoke `n` times.
    pub async fn rounds(&self, exchange: &mut Exchange, n: usize) {
        for _ in 0..n {
            self.round(exchange).await;
        }
    }

    /// Checks that the store holds what both sides of a channel expect, its HTLC records included.
    ///
    /// # Panics
    /// If it does not.
    pub async fn check(&self, exchange: &Exchange) {
        let point = exchange.point;
        let latest = self.latest_commitments(point).await.expect("commitments");
        assert_eq!((&latest.local, &latest.remote), (&exchange.local, &exchange.remote));
        assert_eq!(self.remote_tip(point).await.expect("a tip"), exchange.pending);
        let list = self.unsigned_acked_updates(point).await.expect("a list");
        assert_eq!(list, exchange.unsigned_acked);
        let list = self.remote_unsigned_local_updates(point).await.expect("a list");
        assert_eq!(list, exchange.remote_unsigned_local);
        let packages: Vec<_> = exchange.packages.values().cloned().collect();
        assert_eq!(self.packages(point).await, packages);
        let stored = inspect::stored_htlcs(self.backend.as_ref()).await;
        assert_eq!(stored.get(&point), Some(&exchange.referenced()));
    }

    /// Marks a channel open under a short channel id.
    pub async fn mark_scid(&self, point: OutPoint, scid: u64) {
        self.mark_open(point, ShortChannelId(scid)).await.expect("a short channel id");
    }

    /// Gives a channel its confirmed short channel id.
    pub async fn set_confirmed(&self, point: OutPoint, scid: u64) {
        self.set_confirmed_scid(point, ShortChannelId(scid)).await.expect("a confirmed one");
    }

    /// A channel's forwarding packages.
    pub async fn packages(&self, point: OutPoint) -> Vec<ForwardingPackage> {
        self.forwarding_packages(point).await.expect("packages")
    }

    /// Closes a channel with a summary of a cooperative close, unresolved, and lets everything of
    /// it be reclaimed.
    pub async fn close_and_reclaim(&self, n: u64, point: OutPoint) {
        let peer = self.channel(point).await.expect("an open channel").peer;
        let summary = values::summary(n, point, peer);
        self.close_channel(point, summary, ChannelStatus::empty()).await.expect("the close");
        self.reclaim_closed().await.expect("the reclaim");
    }

    /// Opens the store again after the link node of peer `n` was lost.
    pub async fn without_link_node(self, n: u64) -> Host<'a> {
        let addresses = linknode::addresses_of(&values::peer(n));
        let addresses = self.backend.scan(&addresses, 100).await.expect("addresses");
        let mut removes: Vec<_> = addresses.iter().map(Record::key).collect();
        removes.push(linknode::node_key(&values::peer(n)));
        self.rewritten(ChangeSet { removes, ..ChangeSet::default() }).await
    }

    /// Opens the store again after something else changed it.
    pub async fn rewritten(self, set: ChangeSet) -> Host<'a> {
        let Host { place, options, backend, store } = self;
        store.close().await.expect("the store closes");
        drop((store, backend));
        let backend = place.must_open();
        let head = backend.claim(None).await.expect("the backend is free");
        let sets = [set];
        let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
        backend.commit(batch).await.expect("the change is stored");
        backend.release().await.expect("the backend is given up");
        drop(backend);
        Host::over(place, place.must_open(), options).await
    }

    /// What is stored now.
    pub async fn standing(&self) -> Standing {
        let contents = inspect::contents(self.backend.as_ref()).await;
        Standing { seq: self.store.seq(), contents }
    }

    /// Awaits a call that must not store anything, and returns its result.
    ///
    /// # Panics
    /// If it does.
    pub async fn still<T>(&self, call: impl Future<Output = T>) -> T {
        let before = self.standing().await;
        let result = call.await;
        let after = self.standing().await;
        let differ = inspect::differences(&before.contents, &after.contents);
        assert!(
            before == after,
            "stored something: {:?} to {:?}, {differ:?}",
            before.seq,
            after.seq
        );
        result
    }

    /// Awaits a call that must be refused without storing anything, and returns the reason.
    pub async fn refused<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Rejection {
        rejection(self.still(call).await)
    }
}

/// Why a call was refused.
pub fn rejection<T, R: std::error::Error + 'static>(result: Result<T, StoreError<R>>) -> R {
    match result {
        Err(StoreError::Rejected(rejection)) => rejection,
        Err(error) => panic!("not a rejection: {error:?}"),
        Ok(_) => panic!("not refused"),
    }
}
