//! The cases, by what they are about.

pub(crate) mod backend;
pub(crate) mod closed;
pub(crate) mod commitment;
pub(crate) mod concurrency;
pub(crate) mod coordinator;
pub(crate) mod damage;
pub(crate) mod durability;
pub(crate) mod failures;
pub(crate) mod final_htlc;
pub(crate) mod htlc;
pub(crate) mod lifecycle;
pub(crate) mod link_node;
pub(crate) mod open;
pub(crate) mod package;
pub(crate) mod revocation_log;
pub(crate) mod setup;
pub(crate) mod shutdown;
pub(crate) mod status;
