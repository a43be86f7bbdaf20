//! Stores over key-value engines, and the one in a file of the embedded engine [redb].
//!
//! * [`kv`]: what any key-value engine needs to become a backend: claims, checksums, guards,
//!   change sets.
//! * `RedbBackend`: the backend in a file of redb. `Options` opens it with other than the default
//!   settings. Without the default feature `redb`, [`kv`] alone is built.
//!
//! [redb]: https://docs.rs/redb

pub mod kv;
#[cfg(feature = "redb")]
mod on_redb;

#[cfg(feature = "redb")]
pub use on_redb::{FORMAT_VERSION, Fault, OpenError, Options, Redb, RedbBackend, StorageBackend};
