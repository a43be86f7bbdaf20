//! What tells a source from any other store, and from itself at another time.

use std::path::Path;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use channelcoord::{Backend, BackendError, Seq};
use chanstate::codec_struct;
use chanstate::key::{KeyRange, Kind};

use crate::archive::{ArchiveBackend, ArchiveError};
use crate::lnd::path::to_sort_key;
use crate::lnd::source::{Content, LndEntry, LndSource, Walk};
use crate::lnd::tree::{ReadError, Tree};
use crate::opened::{self, Failure, Opened};
use crate::records::Records;
use crate::url::StoreUrl;

/// A source as of one moment, whatever it is called and wherever it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Sequence number of a store; number of the last transaction of an lnd database.
    pub seq: u64,
    /// Digest of what sequence numbers do not tell apart.
    pub digest: [u8; 32],
}
codec_struct!(Identity { seq, digest });

impl Identity {
    /// The identity of a source that nobody writes.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read.
    pub fn of(url: &StoreUrl, source: &Opened) -> Result<Identity, Failure> {
        match source {
            Opened::Lnd(lnd) => Identity::of_lnd(url, lnd),
            Opened::Store(store) => match url.archive() {
                Some(path) => Identity::of_archive(url, path),
                None => Identity::of_store(store.as_ref(), opened::head(url)?.seq)
                    .map_err(|error| Failure::of_backend(url, &error)),
            },
        }
    }

    /// The identity of an lnd database.
    ///
    /// # Errors
    /// `Access` if it cannot be read.
    pub fn of_lnd(url: &StoreUrl, source: &LndSource) -> Result<Identity, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::access(url, error);
        match source.tree() {
            Tree::Bolt(file) => {
                let digest = file.fingerprint().map_err(|error| failed(&error))?;
                Ok(Identity { seq: file.info().meta().txid, digest })
            }
            // Nothing in a table tells its states apart but its rows.
            Tree::Sql(_) => {
                Identity::of_walk(source.walk(&source.damaged())).map_err(|error| failed(&error))
            }
        }
    }

    /// The identity of an lnd database that has nothing but its entries to be told by.
    pub(crate) fn of_walk(walk: Walk<'_>) -> Result<Identity, ReadError> {
        let mut engine = sha256::Hash::engine();
        for entry in walk {
            let LndEntry { path, content } = entry?;
            engine.input(&to_sort_key(&path));
            match content {
                Content::Bucket(sequence) => engine.input(&sequence.to_le_bytes()),
                Content::Value(value) => {
                    engine.input(&(value.len() as u64).to_le_bytes());
                    engine.input(&value);
                }
            }
        }
        let digest = sha256::Hash::from_engine(engine).to_byte_array();
        Ok(Identity { seq: 0, digest })
    }

    /// The identity of an archive: it has no sequence numbers, but a digest of everything in it.
    fn of_archive(url: &StoreUrl, path: &Path) -> Result<Identity, Failure> {
        let archive = ArchiveBackend::open(path).map_err(|error| match error {
            ArchiveError::Read(_) => Failure::access(url, &error),
            _ => Failure::content(url, &error),
        })?;
        Ok(Identity { seq: 0, digest: archive.contents().sha256.to_byte_array() })
    }

    /// The identity of a store of ours that stands at `seq`: its channels and peers tell it from
    /// others, since each carries the sequence number of its last change.
    ///
    /// # Errors
    /// As for [`Backend::scan`].
    pub fn of_store(store: &dyn Backend, seq: Seq) -> Result<Identity, BackendError> {
        let mut engine = sha256::Hash::engine();
        for kind in [Kind::Channel, Kind::LinkNode] {
            for record in Records::new(store, KeyRange::all(kind)) {
                engine.input(&record?.as_ref().encode());
            }
        }
        let digest = sha256::Hash::from_engine(engine).to_byte_array();
        Ok(Identity { seq: seq.0, digest })
    }
}
