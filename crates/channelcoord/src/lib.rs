//! Channels and their peers over any storage engine.
//!
//! * [`Store`] serves every facet of `chanstate` and `linknode`, and [`PeerChannelStore`] what
//!   spans both, over any [`Backend`].
//! * [`ChangeSet`] is what one call wants written, across domains: applied whole or not at all.
//! * [`Transfer`] says whether a store is for a node to open while its content is moved.
//! * [`Backend`] is what an engine has to provide; [`MemoryBackend`] is the shortest one.

mod backend;
mod change_set;
mod committer;
mod directory;
mod footprint;
mod locks;
mod memory;
mod reclaim;
mod record;
mod scan;
mod store;
mod transfer;

pub use backend::{
    Backend, BackendError, Batch, ClaimError, CommitError, Epoch, Head, Seq, Settled, Verdict,
};
pub use change_set::{ChangeSet, Op, PackageAck, Subject};
pub use memory::MemoryBackend;
pub use record::{LndRecord, MetaRecord, Record, RecordRef, encoded_version, meta_key};
pub use scan::scan_all;
pub use store::{OpenError, PeerChannelStore, RestoredShell, Store, StoreOptions};
pub use transfer::{NotReady, Stage, Transfer, TransferId};
