//! The commands of `migrate`, without the command line.

mod activate;
mod archive;
mod begun;
mod check;
mod copy;
mod digest;
mod draft;
mod fill;
mod inspect;
mod phases;
mod preflight;
mod report;
mod side;
mod site;
mod unseal;
mod verify;

pub use activate::{ActivateOptions, ActivateReport, activate, activate_at};
pub use archive::{check as check_archive, copy_to as copy_to_archive};
pub use check::{CheckReport, check};
pub use copy::{CopyOptions, copy, copy_to};
pub use digest::{DigestOptions, DigestReport, digest};
pub use inspect::{ChannelLine, Inspection, inspect};
pub use phases::PhaseTime;
pub use preflight::{ChainCount, Check, Estimate, LeftOut, Preflight, Side, Verdict};
pub use report::CopyReport;
pub use site::{ArchiveSite, Site, UrlArchiveSite, UrlSite};
pub use unseal::{UnsealReport, unseal, unseal_at};
pub use verify::{ChannelDifferences, KindCount, VerifyReport, verify};

/// What a running command tells. Nothing of it is needed for the result.
pub trait Watch: Sync {
    /// A phase begins; `total` is the number of records if it is known.
    fn phase(&self, name: &str, total: Option<u64>) -> crate::progress::Progress;
    /// A finding.
    fn finding(&self, finding: &crate::finding::Finding);
    /// What was looked at before a copy, whether or not it goes on.
    fn preflight(&self, preflight: &Preflight) {
        let _ = preflight;
    }
}
