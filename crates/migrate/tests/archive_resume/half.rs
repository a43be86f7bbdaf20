//! What half an archive is good for: nothing but to go on with.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use migrate::archive::ArchiveWriter;
use migrate::command::{
    ArchiveSite, CopyOptions, Site, UrlArchiveSite, check_archive, copy_to_archive, verify,
};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;

use crate::command::Desk;
use crate::site::{Stops, Target, copy_as, copy_until};
use crate::stopping::{Silent, url};
use crate::stops::options;

/// A store, its archive, and the length of that.
fn archived(desk: &Desk) -> (StoreUrl, Vec<u8>) {
    let from = url(&desk.url("redb", "source"));
    crate::stops::store(desk, &from);
    let whole = Target::new(desk, "whole");
    copy_as(&from, &whole, options()).unwrap();
    (from, whole.bytes())
}

#[track_caller]
fn is_content<T>(result: Result<T, Failure>, why: &str) {
    match result {
        Err(Failure::Content(what)) => assert!(what.contains(why), "{what}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("half an archive was taken for a whole one"),
    }
}

#[test]
fn it_is_no_store() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    for eighths in 1..8 {
        copy_until(&from, &to, options(), Stops::Bytes(whole.len() as u64 * eighths / 8));
        let half = url(&format!("archive:{}", to.half().display()));
        is_content(opened::open(&half, false), "footer");
        let checked = check_archive(&half, &to.half(), &Silent).unwrap();
        assert_eq!(checked.damages, 1, "{eighths} eighths");
        // The directory that messages name is none either.
        let draft = url(&format!("archive:{}", to.draft.display()));
        assert!(matches!(opened::open(&draft, false), Err(Failure::Access(_))));
    }
}

#[test]
fn its_journal_is_no_store() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    copy_until(&from, &to, options(), Stops::Bytes(whole.len() as u64 / 2));
    let other = Target::new(&desk, "other");
    is_content(copy_as(&to.journal(), &other, CopyOptions::default()), "is only half a copy");
    let source = opened::open(&from, false).unwrap();
    let journal = opened::open(&to.journal(), false).unwrap();
    let verified = verify(&from, &source, &to.journal(), &journal, &Silent).unwrap();
    assert!(verified.differences > 0);
}

#[test]
fn an_archive_that_got_its_name_is_finished() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    copy_until(&from, &to, options(), Stops::Bytes(whole.len() as u64));
    // A run that is killed here has not removed the draft.
    fs::hard_link(to.half(), &to.path).unwrap();
    let report = copy_as(&from, &to, options()).unwrap();
    assert!(report.was_complete && report.leftovers.is_empty());
    assert!(to.bytes() == whole);
    desk.holds_no_drafts();
}

#[test]
fn a_draft_beside_another_archive_is_named_and_left() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    copy_until(&from, &to, options(), Stops::Bytes(whole.len() as u64 / 2));
    fs::write(&to.path, &whole).unwrap();
    let report = copy_as(&from, &to, options()).unwrap();
    assert!(report.was_complete);
    assert_eq!(report.leftovers, [to.draft.display().to_string()]);
    assert!(to.half().exists());
}

#[test]
fn what_cannot_be_gone_on_with_is_written_anew() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let half = &whole[..whole.len() / 2];
    let to = Target::new(&desk, "a");
    let mut lost = half.to_vec();
    lost[..64].fill(0);
    for left in [&lost[..], b"", b"text", &half[..7]] {
        copy_until(&from, &to, options(), Stops::Bytes(half.len() as u64));
        fs::write(to.half(), left).unwrap();
        copy_as(&from, &to, options()).unwrap();
        assert!(to.bytes() == whole);
        fs::remove_file(&to.path).unwrap();
    }
}

/// Puts something else into the file when all was written.
struct Swapping<'a> {
    place: &'a UrlArchiveSite,
    content: Vec<u8>,
}

struct Swapped {
    file: File,
    content: Vec<u8>,
}

impl ArchiveSite for Swapping<'_> {
    fn url(&self) -> &StoreUrl {
        self.place.url()
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn journal(&self) -> &dyn Site {
        self.place.journal()
    }

    fn out(&self, file: File) -> Box<dyn Write> {
        Box::new(Swapped { file, content: self.content.clone() })
    }
}

impl Write for Swapped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        self.file.set_len(self.content.len() as u64)?;
        self.file.write_all_at(&self.content, 0)
    }
}

/// Copies into an archive that has this content in the end.
fn copy_as_if_written(from: &StoreUrl, to: &Target, content: Vec<u8>) -> Failure {
    let source = opened::open(from, false).unwrap();
    let place = UrlArchiveSite::new(&to.url, &to.path);
    let site = Swapping { place: &place, content };
    copy_to_archive(from, &source, &site, options(), &Silent).unwrap_err()
}

#[test]
fn one_that_does_not_read_back_is_gone_on_with() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    let mut spoilt = whole.clone();
    spoilt[whole.len() / 2] ^= 1;
    match copy_as_if_written(&from, &to, spoilt) {
        Failure::Access(what) => assert!(
            what.contains("does not read back") && what.contains("--resume goes on"),
            "{what}"
        ),
        other => panic!("{other:?}"),
    }
    assert!(!to.path.exists());
    copy_as(&from, &to, options()).unwrap();
    assert!(to.bytes() == whole);
}

#[test]
fn one_that_differs_is_removed() {
    let desk = Desk::new();
    let (from, whole) = archived(&desk);
    let to = Target::new(&desk, "a");
    let (nothing, _) = ArchiveWriter::new(Vec::new()).unwrap().finish().unwrap();
    match copy_as_if_written(&from, &to, nothing) {
        Failure::Content(what) => assert!(
            what.contains("the copy differs from the source in") && what.contains("is removed"),
            "{what}"
        ),
        other => panic!("{other:?}"),
    }
    assert!(!to.path.exists());
    desk.holds_no_drafts();
    copy_as(&from, &to, CopyOptions { resume: false, ..options() }).unwrap();
    assert!(to.bytes() == whole);
}
