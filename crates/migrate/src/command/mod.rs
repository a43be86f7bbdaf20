//! The commands of `migrate`, without the command line.

mod activate;
mod begun;
mod check;
mod copy;
mod draft;
mod fill;
mod inspect;
mod side;
mod site;
mod unseal;
mod verify;

pub use activate::{ActivateOptions, ActivateReport, activate, activate_at};
pub use check::{CheckReport, check};
pub use copy::{CopyOptions, CopyReport, copy, copy_to};
pub use inspect::{ChannelLine, Inspection, inspect};
pub use site::{Site, UrlSite};
pub use unseal::{UnsealReport, unseal, unseal_at};
pub use verify::{VerifyReport, verify};

/// What a running command tells. Nothing of it is needed for the result.
pub trait Watch: Sync {
    /// A phase begins; `total` is the number of records if it is known.
    fn phase(&self, name: &str, total: Option<u64>) -> crate::progress::Progress;
    /// A finding.
    fn finding(&self, finding: &crate::finding::Finding);
}
