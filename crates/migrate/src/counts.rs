//! How much a store holds.

use serde::Serialize;

/// Records by kind, as `migrate inspect` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Channels that are not closed; pending and restored ones included.
    pub open_channels: u64,
    /// Close summaries.
    pub closed_channels: u64,
    /// Closed channels whose last state is kept.
    pub historical_channels: u64,
    /// Link nodes.
    pub link_nodes: u64,
    /// Forwarding packages.
    pub forwarding_packages: u64,
    /// Revoked states, those in deprecated logs included.
    pub revoked_states: u64,
    /// Final outcomes of HTLCs.
    pub final_htlcs: u64,
    /// Opening states.
    pub opening_states: u64,
    /// Initial forwarding policies.
    pub forwarding_policies: u64,
}
