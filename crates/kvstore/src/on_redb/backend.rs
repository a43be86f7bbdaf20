//! The backend in a file of redb.

use std::path::Path;

use channelcoord::BackendError;

use super::engine::Redb;
use super::error::OpenError;
use super::open::Options;
use crate::kv::KvBackend;

/// A store in a file of [redb].
///
/// The file is locked for as long as the backend lives or until it is released, so a second
/// process, or a second backend in this one, is refused with [`OpenError::InUse`].
///
/// After a commit of unknown outcome the backend refuses every call with `Unavailable`: open the
/// store again and [`settle`](channelcoord::Backend::settle) the batch there.
///
/// ```
/// use channelcoord::{Backend, Batch, ChangeSet, MetaRecord, Record, Verdict, meta_key};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # pollster::block_on(async {
/// let dir = tempfile::tempdir()?;
/// let store = kvstore::RedbBackend::open(dir.path().join("channels.redb"))?;
/// let head = store.claim(None).await?;
///
/// let record = Record::Meta(MetaRecord { name: "network".into(), value: "signet".into() });
/// let sets = [ChangeSet { puts: vec![record.clone()], ..ChangeSet::default() }];
/// let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
/// let verdicts = store.commit(batch).await?;
///
/// assert!(matches!(verdicts[..], [Verdict::Applied]));
/// assert_eq!(store.read(&[meta_key("network")]).await?, [Some(record)]);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Durability
/// A commit is one redb transaction with `Durability::Immediate`: pages that are not in use are
/// written with their checksums, then a header that names them, then the file is synced once.
/// When the call returns, the change survives a power cut, as far as the disk keeps what it said
/// it synced. A power cut before that leaves either the whole batch or nothing: the header is kept
/// twice, and after a crash redb takes the newer copy whose checksums hold.
///
/// Two-phase commit is off. It costs a second sync for each commit and guards against someone who
/// chooses both the bytes to be stored and the moment and page order of a crash.
///
/// Quick repair is off. It would save the free-page map with each commit, which makes a small
/// commit take more than half as long again; without it the first opening after a crash reads the
/// whole file, at disk speed. After an orderly end, opening takes no time that depends on the size.
///
/// # Damage
/// Each value ends in a checksum over its key and itself. It is checked at every read, so that
/// damage is reported with the record's name. redb's structure around the values has checksums
/// of its own, which redb looks at after a crash only: damage there is reported without a name,
/// and in the worst case makes a record seem absent. [`check`](RedbBackend::check) looks at all of
/// them. Where redb panics over a damaged file, the panic is caught and reported as an error.
///
/// # Failures
/// redb goes on after a failed call that is no I/O error. After an I/O error it refuses everything
/// until the file is opened again: calls then fail with `Unavailable` or `NotStored`, never with a
/// wrong answer. If the I/O error struck the commit itself, the outcome is unknown, and the backend
/// closes. A full disk usually shows up there, since redb writes its pages when it commits.
///
/// [redb]: https://docs.rs/redb
pub type RedbBackend = KvBackend<Redb>;

impl RedbBackend {
    /// [`Options::open`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open(path)
    }

    /// [`Options::create`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn create(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().create(path)
    }

    /// [`Options::open_existing`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open_existing(path)
    }

    /// [`Options::open_read_only`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open_read_only(path)
    }

    /// Checks the checksum of every page of the file, which takes as long as reading it; other
    /// calls wait.
    ///
    /// Only this finds damage to the structure around the records, which can make a record seem
    /// absent. redb repairs what it can, and that may mean going back to an earlier commit, so
    /// after an error the backend refuses every call: open the store again and claim it with the
    /// last known sequence number.
    ///
    /// # Errors
    /// `Corrupt` if a page is damaged, repaired or not; `Unavailable`, also for a store that is
    /// open for reading only.
    pub fn check(&self) -> Result<(), BackendError> {
        self.examine(|engine| Ok(engine.check()?))
    }
}
