//! Steps through buckets. Entries of the wrong kind are damage wherever lnd keeps one kind only.

use bytes::Bytes;

use super::super::codec::LndError;
use super::super::path::Path;
use super::Checker;
use crate::finding::chain;
use crate::lnd::tree::{Bucket, Entry, ReadError};

/// What is reported of a value in place of a bucket.
pub(super) const NOT_A_BUCKET: &str = "is a value, a bucket belongs here";
/// What is reported of a bucket in place of a value.
pub(super) const NOT_A_VALUE: &str = "is a bucket, a value belongs here";

/// A path with one more name.
pub(super) fn join(path: &[Vec<u8>], name: &[u8]) -> Path {
    path.iter().cloned().chain([name.to_vec()]).collect()
}

impl<'a, 'r> Checker<'a, 'r> {
    /// A top-level bucket that is there and not refused.
    pub(super) fn top(&self, name: &[u8]) -> Result<Option<Bucket<'a>>, ReadError> {
        self.source.bucket(&[name], &self.checked.refused)
    }

    /// Hands the sub-buckets that are not refused to `visit`.
    pub(super) fn buckets(
        &mut self,
        bucket: &Bucket<'a>,
        mut visit: impl FnMut(&mut Self, Bucket<'a>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        for entry in bucket.entries() {
            match entry? {
                (_, Entry::Bucket(child)) if self.is_refused(&child.path()) => {}
                (_, Entry::Bucket(child)) => visit(self, child)?,
                (name, Entry::Value(_)) => self.damage(join(&bucket.path(), &name), NOT_A_BUCKET),
            }
        }
        Ok(())
    }

    /// Hands every value to `visit` with its key, and refuses those that do not decode.
    pub(super) fn values(
        &mut self,
        bucket: Option<Bucket<'a>>,
        mut visit: impl FnMut(&mut Self, &[u8], Bytes) -> Result<(), LndError>,
    ) -> Result<(), ReadError> {
        let Some(bucket) = bucket else { return Ok(()) };
        for entry in bucket.entries() {
            match entry? {
                (_, Entry::Bucket(child)) if self.is_refused(&child.path()) => {}
                (_, Entry::Bucket(child)) => self.damage(child.path(), NOT_A_VALUE),
                (key, Entry::Value(value)) => {
                    if let Err(error) = visit(self, &key, value.into()) {
                        self.damage(join(&bucket.path(), &key), chain(&error));
                    }
                    self.progress.add(1);
                }
            }
        }
        Ok(())
    }

    /// The key of a bucket, decoded. One that does not decode refuses the bucket.
    pub(super) fn name<T>(
        &mut self,
        bucket: &Bucket<'a>,
        decode: impl FnOnce(&[u8]) -> Result<T, LndError>,
    ) -> Option<T> {
        match decode(bucket.name()) {
            Ok(name) => Some(name),
            Err(error) => {
                self.damage(bucket.path(), chain(&error));
                None
            }
        }
    }
}
