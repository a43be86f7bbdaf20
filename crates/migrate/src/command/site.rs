//! Where a command writes a store.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use channelcoord::{Backend, Transfer};

use super::draft::{Draft, archive};
use crate::opened::{self, Failure, Opened};
use crate::url::StoreUrl;

/// A place for a store of ours, as commands that write one see it.
pub trait Site {
    /// Its name.
    fn url(&self) -> &StoreUrl;

    /// Whether something is there.
    ///
    /// # Errors
    /// `Usage` for a place that no store can be at, `Access`.
    fn is_taken(&self) -> Result<bool, Failure>;

    /// Makes a store that holds its part in a transfer and nothing else, for its owner alone: at
    /// this place there is nothing before and all of it afterwards.
    ///
    /// # Errors
    /// `Usage` if something is there, `Access`.
    fn create(&self, transfer: &Transfer) -> Result<(), Failure>;

    /// Removes what was left behind when `create` was killed; names what may be of one that still
    /// runs.
    ///
    /// # Errors
    /// `Access`.
    fn remove_leftovers(&self) -> Result<Vec<String>, Failure>;

    /// Opens the store that is there for writing.
    ///
    /// # Errors
    /// `Access`, also if a node has it open.
    fn open(&self) -> Result<Box<dyn Backend>, Failure>;

    /// Opens the store that is there for reading.
    ///
    /// # Errors
    /// `Access`.
    fn open_to_read(&self) -> Result<Opened, Failure> {
        opened::open(self.url(), false)
    }
}

/// The place that a URL names.
#[derive(Clone, Copy, Debug)]
pub struct UrlSite<'a>(pub &'a StoreUrl);

impl Site for UrlSite<'_> {
    fn url(&self) -> &StoreUrl {
        self.0
    }

    fn is_taken(&self) -> Result<bool, Failure> {
        Draft::is_taken(self.0)
    }

    fn create(&self, transfer: &Transfer) -> Result<(), Failure> {
        let mut draft = Draft::new(self.0)?;
        draft.fill(transfer)?;
        draft.publish()
    }

    fn remove_leftovers(&self) -> Result<Vec<String>, Failure> {
        Draft::remove_leftovers(self.0)
    }

    fn open(&self) -> Result<Box<dyn Backend>, Failure> {
        opened::open_to_write(self.0)
    }
}

/// A place for an archive, as the copy that writes it sees it.
pub trait ArchiveSite {
    /// Its name.
    fn url(&self) -> &StoreUrl;

    /// The file.
    fn path(&self) -> &Path;

    /// The place in its draft for the journal, and for what is imported on the way.
    fn journal(&self) -> &dyn Site;

    /// What writes the file of the draft, from where it stands.
    fn out(&self, file: File) -> Box<dyn Write>;
}

/// The place of an archive that a URL names.
#[derive(Clone, Debug)]
pub struct UrlArchiveSite {
    url: StoreUrl,
    path: PathBuf,
    journal: JournalSite,
}

impl UrlArchiveSite {
    /// The place of an archive.
    pub fn new(url: &StoreUrl, path: &Path) -> UrlArchiveSite {
        let journal = JournalSite { shown: archive::shown(path), store: archive::journal(path) };
        UrlArchiveSite { url: url.clone(), path: path.to_owned(), journal }
    }
}

impl ArchiveSite for UrlArchiveSite {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn journal(&self) -> &dyn Site {
        &self.journal
    }

    fn out(&self, file: File) -> Box<dyn Write> {
        Box::new(file)
    }
}

/// A store in a draft. Messages name the draft, which is what can be deleted.
#[derive(Clone, Debug)]
struct JournalSite {
    shown: StoreUrl,
    store: StoreUrl,
}

impl Site for JournalSite {
    fn url(&self) -> &StoreUrl {
        &self.shown
    }

    fn is_taken(&self) -> Result<bool, Failure> {
        UrlSite(&self.store).is_taken()
    }

    fn create(&self, transfer: &Transfer) -> Result<(), Failure> {
        UrlSite(&self.store).create(transfer)
    }

    fn remove_leftovers(&self) -> Result<Vec<String>, Failure> {
        UrlSite(&self.store).remove_leftovers()
    }

    fn open(&self) -> Result<Box<dyn Backend>, Failure> {
        UrlSite(&self.store).open()
    }

    fn open_to_read(&self) -> Result<Opened, Failure> {
        UrlSite(&self.store).open_to_read()
    }
}
