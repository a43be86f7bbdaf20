//! What goes wrong.

use chanstate::StoreError;
use chanstate::message::MessageError;
use chanstate::shachain::ShachainFault;
use thiserror::Error;

/// Why a call of the core failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store did not take a change, or did not answer. Load the node again.
    #[error("store failed")]
    Store(#[from] StoreError),
    /// A message does not parse, or cannot be encoded.
    #[error("bad message")]
    Message(#[from] MessageError),
    /// A height is out of the range of revocation secrets.
    #[error("no revocation secret")]
    Secret(#[from] ShachainFault),
    /// The peer broke the protocol, or both sides disagree. The channel has to be closed.
    #[error("peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The peer proved that we lost state; the channel is marked.
    #[error("we lost state")]
    DataLoss,
    /// What the store gave back does not fit together.
    #[error("stored state has a gap: {0}")]
    Gap(&'static str),
    /// The channel cannot do that now. Nothing changed.
    #[error("refused: {0}")]
    Refused(&'static str),
}
