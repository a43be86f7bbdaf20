//! One lock for each thing that a call reads before it decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bitcoin::secp256k1::PublicKey;
use chanstate::{ChannelId, ChannelNo, ShortChannelId};
use tokio::sync::OwnedMutexGuard;

/// What can be locked, in the order in which several are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lockable {
    /// A channel id, and with it every funding outpoint that would have it.
    Id(ChannelId),
    /// A peer: whether its link node exists.
    Peer(PublicKey),
    /// A channel.
    Channel(ChannelNo),
    /// A source of packages: which channel files under it.
    Source(ShortChannelId),
}

/// A lock that is held until the guard is dropped.
pub(crate) type Guard = OwnedMutexGuard<()>;

/// Locks by name. Waiters are served in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    by_name: Mutex<HashMap<Lockable, Weak<tokio::sync::Mutex<()>>>>,
}

/// Names kept beyond which those nobody holds are dropped.
const KEEP: usize = 1024;

impl Locks {
    /// Locks all of `names`, in one global order, so that no two callers wait for each other.
    pub(crate) async fn lock(&self, names: impl IntoIterator<Item = Lockable>) -> Vec<Guard> {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut guards = Vec::with_capacity(names.len());
        for name in names {
            guards.push(self.named(name).lock_owned().await);
        }
        guards
    }

    fn named(&self, name: Lockable) -> Arc<tokio::sync::Mutex<()>> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = by_name.get(&name).and_then(Weak::upgrade) {
            return lock;
        }
        if by_name.len() >= KEEP {
            by_name.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::default();
        by_name.insert(name, Arc::downgrade(&lock));
        lock
    }
}
