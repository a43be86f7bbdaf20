//! Channels and their peers over any storage engine.
//!
//! * [`ChangeSet`]: what one call wants written, across domains.
//! * [`Backend`]: what an engine has to provide.

mod backend;
mod change_set;
mod record;

pub use backend::{
    Backend, BackendError, Batch, ClaimError, CommitError, Epoch, Head, Seq, Settled, Verdict,
};
pub use change_set::{ChangeSet, Op, PackageAck, Subject};
pub use record::{LndRecord, MetaRecord, Record, RecordRef, meta_key};
