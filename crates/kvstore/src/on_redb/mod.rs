//! The engine redb.

mod backend;
mod engine;
mod error;
mod format;
mod open;
mod tables;

pub use backend::RedbBackend;
pub use engine::Redb;
pub use error::{Fault, OpenError};
pub use format::NEWEST as FORMAT_VERSION;
pub use open::Options;
pub use redb::StorageBackend;
