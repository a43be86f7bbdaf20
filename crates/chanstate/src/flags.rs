//! Bit sets of a channel. Bits without a name are kept as they are.

use bitflags::bitflags;

bitflags! {
    /// Features fixed when a channel was opened. Values are those of lnd (`channeldb`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct ChannelType: u64 {
        /// Both sides funded the channel.
        const DUAL_FUNDER = 1 << 0;
        /// `option_static_remotekey`.
        const STATIC_REMOTE_KEY = 1 << 1;
        /// The funding transaction is not kept.
        const NO_FUNDING_TX = 1 << 2;
        /// Anchor outputs.
        const ANCHORS = 1 << 3;
        /// Only the responder may close cooperatively before the thaw height.
        const FROZEN = 1 << 4;
        /// Second-level transactions pay no fee (`option_anchors`).
        const ZERO_HTLC_TX_FEE = 1 << 5;
        /// The initiator's outputs are locked until the lease ends.
        const LEASE = 1 << 6;
        /// `option_zeroconf`.
        const ZERO_CONF = 1 << 7;
        /// The alias channel type was negotiated.
        const SCID_ALIAS = 1 << 8;
        /// The alias feature bit was negotiated.
        const SCID_ALIAS_FEATURE = 1 << 9;
        /// MuSig2 funding output.
        const TAPROOT = 1 << 10;
        /// The funding output commits to a tapscript root.
        const TAPSCRIPT_ROOT = 1 << 11;
        /// Taproot in its final form.
        const TAPROOT_FINAL = 1 << 12;

        const _ = !0;
    }
}

bitflags! {
    /// Why a channel is not usable; no bit set means usable. Values are lnd's.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct ChannelStatus: u64 {
        /// Storage or protocol failed; no more commitments.
        const BORKED = 1 << 0;
        /// A commitment transaction was broadcast.
        const COMMITMENT_BROADCASTED = 1 << 1;
        /// We lost state; the peer must close.
        const LOCAL_DATA_LOSS = 1 << 2;
        /// A shell from a static backup: no commitments.
        const RESTORED = 1 << 3;
        /// A cooperative closing transaction was broadcast.
        const COOP_BROADCASTED = 1 << 4;
        /// We started the close.
        const LOCAL_CLOSE_INITIATOR = 1 << 5;
        /// The peer started the close.
        const REMOTE_CLOSE_INITIATOR = 1 << 6;

        const _ = !0;
    }
}

impl ChannelType {
    /// Whether a channel of this type has a thaw height.
    pub fn has_thaw_height(self) -> bool {
        self.intersects(ChannelType::FROZEN | ChannelType::LEASE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_survive() {
        let status = ChannelStatus::from_bits_retain(1 << 40) | ChannelStatus::BORKED;
        assert_eq!(status.bits(), (1 << 40) | 1);
    }
}
