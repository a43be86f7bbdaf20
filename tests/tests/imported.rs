//! A store that was filled from lnd's database serves a node core like any other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use channelcoord::{PeerChannelStore, Store, StoreOptions};
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, ForwardingPackageStore, HistoricalStore, LifecycleStore,
    OpenChannelStore, RevocationLogStore, StatusStore,
};
use chanstate::{ChannelStatus, CommitmentHeight, PreviousState};
use linknode::LinkNodeStore;
use migrate::lnd::source::{LndSource, Refused};
use migrate::lnd::{diff, import};
use migrate::progress::Progress;
use migrate::writer::Writer;
use pollster::block_on;
use sqlstore::SqliteBackend;
use tempfile::TempDir;

/// A SQLite store with the content of an lnd database.
fn imported(name: &str) -> (TempDir, SqliteBackend) {
    let dir = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::create(dir.path().join("store")).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lnd").join(name);
    let (source, refused) = (LndSource::open(&fixture, false).unwrap(), Refused::default());
    let mut writer = Writer::claim(&backend).unwrap();
    import::import(&source, &refused, &mut writer, &Progress::silent()).unwrap();
    diff::store_residue(&source, &refused, &backend, &mut writer, &Progress::silent()).unwrap();
    (dir, backend)
}

fn open(backend: SqliteBackend) -> Store {
    let options = StoreOptions { check_memory: true, ..StoreOptions::default() };
    block_on(Store::open(backend, options)).unwrap()
}

#[test]
fn lists_hold_every_channel_and_peer() {
    let (_dir, backend) = imported("node.db");
    let store = open(backend);
    block_on(async {
        assert_eq!(store.all_channels().await.unwrap().len(), 28);
        assert_eq!(store.pending_channels().await.unwrap().len(), 2);
        assert_eq!(store.closed_channels(false).await.unwrap().len(), 12);
        assert_eq!(store.closed_channels(true).await.unwrap().len(), 5);
        assert_eq!(store.link_nodes().await.unwrap().len(), 16);
        for summary in store.closed_channels(false).await.unwrap() {
            store.historical_channel(summary.channel_point).await.unwrap();
        }
    });
}

#[test]
fn every_revoked_state_opens_with_its_secret() {
    let (_dir, backend) = imported("node.db");
    let store = open(backend);
    block_on(async {
        let mut states = 0;
        for channel in store.all_channels().await.unwrap() {
            let Some(remote) = &channel.remote_commitment else { continue };
            for height in 0..remote.height.0 {
                let point = channel.funding_outpoint;
                let state = store.previous_state(point, CommitmentHeight(height)).await.unwrap();
                assert!(matches!(state, PreviousState::State(state) if state.height.0 == height));
                assert!(channel.revocation.secrets.lookup(height).is_some());
                states += 1;
            }
        }
        assert_eq!(states, 651);
    });
}

#[test]
fn the_deprecated_log_is_read_too() {
    let (_dir, backend) = imported("legacy.db");
    let store = open(backend);
    block_on(async {
        let mut deprecated = 0;
        for channel in store.all_channels().await.unwrap() {
            let Some(remote) = &channel.remote_commitment else { continue };
            for height in 0..remote.height.0 {
                let state = store.previous_state(channel.funding_outpoint, height.into()).await;
                if let PreviousState::Commitment(commitment) = state.unwrap() {
                    assert_eq!(commitment.height.0, height);
                    deprecated += 1;
                }
            }
        }
        assert_eq!(deprecated, 60);
    });
}

#[test]
fn packages_and_pending_commitments_come_back_whole() {
    let (_dir, backend) = imported("node.db");
    let store = open(backend);
    block_on(async {
        let (mut packages, mut pending) = (0, 0);
        for channel in store.all_channels().await.unwrap() {
            let point = channel.funding_outpoint;
            packages += store.forwarding_packages(point).await.unwrap().len();
            pending += usize::from(store.remote_tip(point).await.unwrap().is_some());
        }
        assert_eq!((packages, pending), (33, 2));
    });
}

#[test]
fn channels_change_and_close_as_our_own_do() {
    let (dir, backend) = imported("node.db");
    let store = open(backend);
    let point = block_on(async {
        let channels = store.open_channels().await.unwrap();
        let point = channels[0].funding_outpoint;
        store.apply_status(point, ChannelStatus::BORKED).await.unwrap();
        store.abandon_channel(channels[1].funding_outpoint, 900_000).await.unwrap();
        store.close().await.unwrap();
        point
    });
    drop(store);
    let store = open(SqliteBackend::open_existing(dir.path().join("store")).unwrap());
    block_on(async {
        assert_eq!(store.refresh(point).await.unwrap().status, ChannelStatus::BORKED);
        assert_eq!(store.all_channels().await.unwrap().len(), 27);
    });
}
