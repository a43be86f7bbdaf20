//! What is drawn: operations on a few channels and peers, most of which make sense most times.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::universe::{ADDRESSES, CHANNELS, ONCHAIN_IDS, OPENING_KEYS, PEERS, SCIDS};

/// One operation. Channels, peers and values go by small numbers, which `universe` gives a meaning.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    OpenChannel {
        channel: u8,
        peer: u8,
        opening: Opening,
    },
    RestoreShells {
        shells: Vec<(u8, u8)>,
        address_too_long: bool,
    },
    MarkFullyClosed {
        channel: u8,
    },
    AbandonChannel {
        channel: u8,
        height: u8,
    },
    PruneLinkNodes,
    LoseLinkNode {
        peer: u8,
    },
    RepairLinkNodes {
        now: u8,
    },
    SetConfirmationHeight {
        channel: u8,
        height: u8,
    },
    SetCloseConfirmationHeight {
        channel: u8,
        height: Option<u8>,
    },
    MarkOpen {
        channel: u8,
        scid: u8,
    },
    SetConfirmedScid {
        channel: u8,
        scid: u8,
    },
    SetScidAliasNegotiated {
        channel: u8,
    },
    ApplyStatus {
        channel: u8,
        bits: u8,
    },
    ClearStatus {
        channel: u8,
        bits: u8,
    },
    MarkBorked {
        channel: u8,
    },
    MarkDataLoss {
        channel: u8,
        point: u8,
    },
    StoreShutdownInfo {
        channel: u8,
        script: u8,
    },
    MarkCommitmentBroadcasted {
        channel: u8,
        tx: u8,
    },
    MarkCoopBroadcasted {
        channel: u8,
        tx: u8,
    },
    CloseChannel {
        channel: u8,
        statuses: u8,
        resolved: bool,
        summary_of: Option<u8>,
    },
    UpdateLocal {
        channel: u8,
        news: Vec<News>,
        fault: Option<Fault>,
    },
    /// The peer revokes what is pending; if nothing is, we sign.
    NextRemote {
        channel: u8,
        news: Vec<News>,
        adds: Vec<Ack>,
        ends: Vec<Ack>,
    },
    AppendRemote {
        channel: u8,
        news: Vec<News>,
        adds: Vec<Ack>,
        ends: Vec<Ack>,
        fault: Option<Fault>,
    },
    AppendRemoteAgain {
        channel: u8,
        adds: Vec<Ack>,
    },
    AdvanceTail {
        channel: u8,
        fault: Option<AdvanceFault>,
    },
    InsertNextRevocation {
        channel: u8,
        foreign: bool,
    },
    AckAdds {
        adds: Vec<Ack>,
    },
    AckSettleFails {
        ends: Vec<Ack>,
    },
    SetForwardFilter {
        channel: u8,
        package: u8,
        forwarded: bool,
        too_long: bool,
    },
    RemoveForwardingPackages {
        channel: u8,
        packages: Vec<u8>,
    },
    PutOnchainOutcome {
        scid: u8,
        id: u8,
        settled: bool,
    },
    SaveOpeningState {
        key: u8,
        value: u8,
    },
    DeleteOpeningState {
        key: u8,
    },
    SaveInitialPolicy {
        channel: u8,
        policy: u8,
    },
    DeleteInitialPolicy {
        channel: u8,
    },
    CreateLinkNode {
        peer: u8,
        address_too_long: bool,
    },
    AddLinkNodeAddress {
        peer: u8,
        address: u8,
    },
    SetLinkNodeAddresses {
        peer: u8,
        addresses: Vec<u8>,
    },
    SetLinkNodeLastSeen {
        peer: u8,
        seen: u8,
    },
    DeleteLinkNode {
        peer: u8,
    },
    Reopen {
        crash: bool,
        amounts: bool,
        finals: bool,
    },
}

/// How a channel is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Opening {
    Usual,
    Unconfirmed,
    WithoutNextPoint,
    OnOtherChain,
    ShortOnion,
    HeightTooLarge,
    AddressTooLong,
}

/// An update that one side sends before a signature.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    Add { amount: u32 },
    Settle(u8),
    Fail(u8),
    Malformed(u8),
    Fee,
}

/// What is wrong with a commitment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Height,
    IndexBack,
    SentBack,
    ReceivedBack,
    ShortOnion,
    HtlcTwice,
    HtlcIdTooLarge,
    StrayMessage,
}

/// What is wrong, or special, with a revocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AdvanceFault {
    ConfirmedSource,
    ForeignNextPoint,
    Secret,
    Height,
    Source,
    Filter,
    OutputIndex,
    AddAmongEnds,
    StrayMessage,
}

/// An update in one of a channel's packages; index 7 is beyond the package.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) channel: u8,
    pub(super) package: u8,
    pub(super) index: u8,
}

/// A sequence: some openings, so that there is something to work on, and anything.
pub(super) fn sequence(length: usize) -> impl Strategy<Value = Vec<Operation>> {
    let opening = prop_oneof![6 => Just(Opening::Usual), 1 => Just(Opening::WithoutNextPoint)];
    let opening = (channel(), peer(), opening)
        .prop_map(|(channel, peer, opening)| Operation::OpenChannel { channel, peer, opening });
    let openings = vec(option::weighted(0.9, opening), 8);
    (openings, vec(operation(), 0..length))
        .prop_map(|(openings, others)| openings.into_iter().flatten().chain(others).collect())
}

type Weighted = (u32, BoxedStrategy<Operation>);

fn operation() -> impl Strategy<Value = Operation> {
    let all = [commitments(), packages(), lifecycle(), closes(), peers(), beside()];
    Union::new_weighted(all.into_iter().flatten().collect())
}

/// Mostly the first ones, so that more happens to them.
fn channel() -> impl Strategy<Value = u8> {
    prop_oneof![8 => 0..3u8, 1 => 3..CHANNELS]
}

/// Each of them as often.
fn any_channel() -> std::ops::Range<u8> {
    0..CHANNELS
}

fn peer() -> std::ops::Range<u8> {
    0..PEERS
}

/// Often one that other channels run under too.
fn scid() -> impl Strategy<Value = u8> {
    prop_oneof![0..SCIDS, Just(SCIDS - 1)]
}

/// Makes an operation of what is drawn for its fields.
macro_rules! drawn {
    ($weight:literal, $name:ident { $($field:ident in $from:expr),* $(,)? }) => {
        ($weight, ($($from,)*).prop_map(|($($field,)*)| Operation::$name { $($field),* }).boxed())
    };
}

fn commitments() -> Vec<Weighted> {
    let news = || vec(news(), 0..3);
    let acks = || prop_oneof![3 => vec(ack(), 0..1), 1 => vec(ack(), 1..3)];
    let fault = || prop_oneof![9 => Just(None), 1 => fault().prop_map(Some)];
    let advance_fault = prop_oneof![1 => Just(None), 2 => advance_fault().prop_map(Some)];
    vec![
        drawn!(180, UpdateLocal { channel in channel(), news in news(), fault in fault() }),
        drawn!(300, NextRemote {
            channel in channel(),
            news in news(),
            adds in acks(),
            ends in acks(),
        }),
        drawn!(40, AppendRemote {
            channel in channel(),
            news in news(),
            adds in acks(),
            ends in acks(),
            fault in fault(),
        }),
        drawn!(20, AppendRemoteAgain { channel in channel(), adds in acks() }),
        drawn!(60, AdvanceTail { channel in channel(), fault in advance_fault }),
        drawn!(15, InsertNextRevocation {
            channel in channel(),
            foreign in prop::bool::weighted(0.3),
        }),
    ]
}

fn packages() -> Vec<Weighted> {
    vec![
        drawn!(20, AckAdds { adds in vec(ack(), 1..3) }),
        drawn!(20, AckSettleFails { ends in vec(ack(), 1..3) }),
        drawn!(25, SetForwardFilter {
            channel in channel(),
            package in 0..4u8,
            forwarded in any::<bool>(),
            too_long in prop::bool::weighted(0.1),
        }),
        drawn!(25, RemoveForwardingPackages {
            channel in channel(),
            packages in vec(0..4u8, 1..4),
        }),
    ]
}

fn lifecycle() -> Vec<Weighted> {
    vec![
        drawn!(8, SetConfirmationHeight { channel in channel(), height in 0..3u8 }),
        drawn!(8, SetCloseConfirmationHeight {
            channel in channel(),
            height in option::of(0..3u8),
        }),
        drawn!(25, MarkOpen { channel in channel(), scid in scid() }),
        drawn!(8, SetConfirmedScid { channel in channel(), scid in 0..SCIDS }),
        drawn!(6, SetScidAliasNegotiated { channel in channel() }),
        drawn!(8, ApplyStatus { channel in channel(), bits in any::<u8>() }),
        // All but the restored bit, most times: a channel with any bit takes no commitments.
        drawn!(60, ClearStatus {
            channel in channel(),
            bits in prop_oneof![4 => Just(0xf7), 1 => any::<u8>()],
        }),
        drawn!(4, MarkBorked { channel in channel() }),
        drawn!(5, MarkDataLoss { channel in channel(), point in 0..2u8 }),
        drawn!(8, StoreShutdownInfo { channel in channel(), script in 0..2u8 }),
        drawn!(5, MarkCommitmentBroadcasted { channel in channel(), tx in 0..4u8 }),
        drawn!(5, MarkCoopBroadcasted { channel in channel(), tx in 0..4u8 }),
    ]
}

fn closes() -> Vec<Weighted> {
    vec![
        drawn!(5, CloseChannel {
            channel in channel(),
            statuses in any::<u8>(),
            resolved in any::<bool>(),
            summary_of in prop_oneof![3 => Just(None), 1 => channel().prop_map(Some)],
        }),
        drawn!(8, MarkFullyClosed { channel in channel() }),
        drawn!(2, AbandonChannel { channel in channel(), height in 0..3u8 }),
    ]
}

fn peers() -> Vec<Weighted> {
    let opening = prop_oneof![
        5 => Just(Opening::Usual),
        1 => Just(Opening::Unconfirmed),
        2 => Just(Opening::WithoutNextPoint),
        1 => Just(Opening::OnOtherChain),
        1 => Just(Opening::ShortOnion),
        1 => Just(Opening::HeightTooLarge),
        1 => Just(Opening::AddressTooLong),
    ];
    let too_long = || prop::bool::weighted(0.2);
    vec![
        drawn!(30, OpenChannel { channel in any_channel(), peer in peer(), opening in opening }),
        drawn!(6, RestoreShells {
            shells in vec((any_channel(), peer()), 1..3),
            address_too_long in too_long(),
        }),
        (8, Just(Operation::PruneLinkNodes).boxed()),
        drawn!(5, LoseLinkNode { peer in peer() }),
        drawn!(8, RepairLinkNodes { now in 0..3u8 }),
        drawn!(8, CreateLinkNode { peer in peer(), address_too_long in too_long() }),
        drawn!(8, AddLinkNodeAddress { peer in peer(), address in 0..ADDRESSES }),
        drawn!(8, SetLinkNodeAddresses { peer in peer(), addresses in vec(0..ADDRESSES, 0..4) }),
        drawn!(6, SetLinkNodeLastSeen { peer in peer(), seen in 0..3u8 }),
        drawn!(10, DeleteLinkNode { peer in peer() }),
    ]
}

fn beside() -> Vec<Weighted> {
    vec![
        drawn!(10, PutOnchainOutcome {
            scid in 0..SCIDS,
            id in 0..ONCHAIN_IDS,
            settled in any::<bool>(),
        }),
        drawn!(5, SaveOpeningState { key in 0..OPENING_KEYS, value in 0..3u8 }),
        drawn!(5, DeleteOpeningState { key in 0..OPENING_KEYS }),
        drawn!(5, SaveInitialPolicy { channel in channel(), policy in 0..3u8 }),
        drawn!(5, DeleteInitialPolicy { channel in channel() }),
        drawn!(15, Reopen {
            crash in any::<bool>(),
            amounts in any::<bool>(),
            finals in any::<bool>(),
        }),
    ]
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        4 => (1..3_000_000u32).prop_map(|amount| News::Add { amount }),
        2 => any::<u8>().prop_map(News::Settle),
        1 => any::<u8>().prop_map(News::Fail),
        1 => any::<u8>().prop_map(News::Malformed),
        1 => Just(News::Fee),
    ]
}

fn ack() -> impl Strategy<Value = Ack> {
    let all = (channel(), 0..4u8, prop_oneof![9 => 0..7u8, 1 => Just(7u8)]);
    all.prop_map(|(channel, package, index)| Ack { channel, package, index })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Height,
        Fault::IndexBack,
        Fault::SentBack,
        Fault::ReceivedBack,
        Fault::ShortOnion,
        Fault::HtlcTwice,
        Fault::HtlcIdTooLarge,
        Fault::StrayMessage,
    ])
}

fn advance_fault() -> impl Strategy<Value = AdvanceFault> {
    prop::sample::select(vec![
        AdvanceFault::ConfirmedSource,
        AdvanceFault::ForeignNextPoint,
        AdvanceFault::Secret,
        AdvanceFault::Height,
        AdvanceFault::Source,
        AdvanceFault::Filter,
        AdvanceFault::OutputIndex,
        AdvanceFault::AddAmongEnds,
        AdvanceFault::StrayMessage,
    ])
}
