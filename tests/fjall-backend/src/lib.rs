//! A channel store on the engine [fjall], written as a third party would.
//!
//! fjall is an ordered map on a log-structured tree. [`FjallBackend`] puts every row into one of
//! its keyspaces; [`kvstore::kv`] does the rest.
//!
//! ```
//! use channelcoord::{Store, StoreOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let backend = fjall_backend::open(dir.path().join("channels"))?;
//! let store = pollster::block_on(Store::open(backend, StoreOptions::default()))?;
//! pollster::block_on(store.close())?;
//! # Ok(())
//! # }
//! ```
//!
//! # Durability
//! A commit is one batch in fjall's journal with `PersistMode::SyncAll`: items with a checksum
//! behind them, then `fsync`, then the batch becomes visible to reads. The rest, tables and their
//! compaction, happens in the background and changes no content. After a crash fjall replays the
//! journal, and drops a batch at its end that is not whole.
//!
//! # Failures
//! * The work of a transaction fails: nothing was written; `NotStored`.
//! * A write to the journal or its sync fails: fjall gives an I/O error, shows the batch to no
//!   read, and refuses every later commit. The journal may hold the batch or not, and what fjall
//!   still buffers is written when it is closed: `Unknown`. The backend closes; open the store
//!   again and settle.
//! * A flush or compaction in the background failed earlier: fjall says `Poisoned` before it
//!   writes anything; `NotStored`, and so on until the store is opened again.
//!
//! After a failed sync, opening finds what the system's cache holds. fjall syncs the journal again
//! before it replays it, but a kernel that dropped the pages of the failed sync says yes to that
//! and loses them with the next power cut. This is so for every engine that reads its files
//! through the cache: a disk that failed to sync is one to replace.
//!
//! # Damage
//! Every value has a checksum over its key and itself, blocks of tables one of fjall's, which is
//! looked at when a block is loaded. A journal that is damaged in the middle of a batch is refused
//! at opening. Damage that looks like the end of the journal cannot be told from a crash: what
//! follows is dropped, which `at_least` of [`claim`](channelcoord::Backend::claim) finds.
//!
//! # Limits
//! A key has at most 65,535 bytes, a value less than 4 GiB; a set with a larger record is refused.
//! A new store takes 64 MiB of address in its journal, of which the file system fills what is used.
//!
//! [fjall]: https://docs.rs/fjall

mod engine;
mod open;

use kvstore::kv::KvBackend;

pub use engine::{Fjall, TooLong};
pub use open::{OpenError, open};

/// A store in a directory of fjall.
pub type FjallBackend = KvBackend<Fjall>;
