//! State of channels that are being set up.

use bytes::Bytes;
use chanstate::facet::ChannelSetupStore;
use chanstate::{ChannelId, ForwardingPolicy, MilliSatoshi};

use crate::values::bytes;
use crate::{Host, Place};

/// Opening state is kept, replaced and deleted; empty values are values, empty keys are keys.
/// Obligations: `setup/any_bytes`, `setup/replaced`, `setup/absent`.
pub(crate) async fn opening_state_is_kept_replaced_and_deleted(place: &dyn Place) {
    let host = Host::new(place).await;
    let keys = [Bytes::new(), bytes("key", 1, 1), bytes("key", 1, 36), bytes("key", 1, 300)];
    for key in &keys {
        assert_eq!(host.opening_state(key.clone()).await.unwrap(), None);
        host.save_opening_state(key.clone(), bytes("old", 1, 9)).await.unwrap();
        host.save_opening_state(key.clone(), key.clone()).await.unwrap();
    }
    let host = host.reopen().await;
    for key in &keys {
        assert_eq!(host.opening_state(key.clone()).await.unwrap().as_ref(), Some(key));
        host.delete_opening_state(key.clone()).await.unwrap();
        host.delete_opening_state(key.clone()).await.unwrap();
    }
    let host = host.reopen().await;
    for key in &keys {
        assert_eq!(host.opening_state(key.clone()).await.unwrap(), None);
    }
}

/// A policy is kept for a channel that need not exist, and outlives its close.
/// Obligations: `setup/no_channel`, `setup/replaced`, `setup/absent`.
pub(crate) async fn a_policy_is_kept_replaced_and_deleted(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let id = ChannelId::from_outpoint(point);
    let policy = |amount| ForwardingPolicy {
        min_htlc: MilliSatoshi(amount),
        max_htlc: MilliSatoshi(u64::MAX - amount),
        base_fee: MilliSatoshi(amount),
        fee_rate: amount,
        time_lock_delta: amount as u32,
    };
    let nobody = ChannelId([0xff; 32]);
    assert_eq!(host.initial_policy(id).await.unwrap(), None);
    host.save_initial_policy(id, policy(40)).await.unwrap();
    host.save_initial_policy(id, policy(0)).await.unwrap();
    host.save_initial_policy(nobody, policy(u64::MAX)).await.unwrap();
    host.close_and_reclaim(1, point).await;
    let host = host.reopen().await;
    assert_eq!(host.initial_policy(id).await.unwrap(), Some(policy(0)));
    assert_eq!(host.initial_policy(nobody).await.unwrap(), Some(policy(u64::MAX)));
    host.delete_initial_policy(id).await.unwrap();
    host.delete_initial_policy(id).await.unwrap();
    assert_eq!(host.reopen().await.initial_policy(id).await.unwrap(), None);
}

/// Opening states and policies are kept apart, also under the same bytes, and a policy of zeros is
/// not an absent one.
/// Obligations: `setup/absent`, `setup/any_bytes`, `facet/read_back`.
pub(crate) async fn states_and_policies_are_kept_apart(place: &dyn Place) {
    let host = Host::new(place).await;
    let id = ChannelId([0; 32]);
    let key = Bytes::copy_from_slice(&id.0);
    let none = MilliSatoshi(0);
    let zero = ForwardingPolicy {
        min_htlc: none,
        max_htlc: none,
        base_fee: none,
        fee_rate: 0,
        time_lock_delta: 0,
    };
    host.save_initial_policy(id, zero).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.initial_policy(id).await.unwrap(), Some(zero));
    assert_eq!(host.opening_state(key.clone()).await.unwrap(), None);
    host.save_opening_state(key.clone(), Bytes::new()).await.unwrap();
    host.delete_initial_policy(id).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.initial_policy(id).await.unwrap(), None);
    assert_eq!(host.opening_state(key.clone()).await.unwrap(), Some(Bytes::new()));
    // A key that goes on with zeros is another key.
    assert_eq!(host.opening_state(Bytes::from(vec![0; 33])).await.unwrap(), None);
}
