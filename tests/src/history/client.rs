//! Asks a store about a peer.

use std::collections::BTreeMap;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint};
use bytes::Bytes;
use channelcoord::{PeerChannelStore, Store};
use chanstate::facet::{
    ChannelSetupStore, ClosedChannelStore, CommitmentStore, ForwardingPackageStore, LifecycleStore,
    OpenChannelStore, StatusStore,
};
use chanstate::shachain::derive_secret;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, Channel, ChannelStatus, CommitmentHeight, Filter, ForwardingPackage, Rejection,
    SettleFailRef, ShortChannelId, StoreError, Stored,
};
use linknode::{Address, LinkNode, LinkNodeStore};

use super::Outcome;
use super::peer::{Answer, CLOSE_BIT, Commitment, Node, Packages, Request, Snapshot, Why};
use crate::exchange::Exchange;
use crate::values;

/// Height of the package whose adds are acknowledged, and of the one whose ends are.
const ADDS_AT: CommitmentHeight = CommitmentHeight(1);
const ENDS_AT: CommitmentHeight = CommitmentHeight(2);

type Answered<R> = Result<Answer, StoreError<R>>;

/// What calls on the channels of one peer are made of.
#[derive(Debug)]
pub(crate) struct Asking {
    n: u64,
    node: PublicKey,
    /// Where the ends are that other channels acknowledge.
    ends: ShortChannelId,
    next: BTreeMap<u64, Next>,
}

/// The next steps of a channel's commitment protocol, but for heights and marks.
#[derive(Debug)]
struct Next {
    scid: ShortChannelId,
    update: UpdateLocal,
    append: AppendRemote,
}

impl Asking {
    /// About peer `n`, with whom these channels exchange commitments; ends are acknowledged in
    /// packages of the first.
    pub(crate) fn new(n: u64, exchanges: &BTreeMap<u64, Exchange>) -> Asking {
        let next = exchanges.iter().map(|(n, exchange)| {
            let (scid, update, append) = (exchange.scid, exchange.update(), exchange.append());
            (*n, Next { scid, update, append })
        });
        let ends = exchanges.values().next().map(|first| first.scid).unwrap_or_default();
        Asking { n, node: values::peer(n), ends, next: next.collect() }
    }

    /// Channels that exchange commitments.
    pub(crate) fn channels(&self) -> Vec<u64> {
        self.next.keys().copied().collect()
    }

    /// Makes one call.
    pub(crate) async fn ask(&self, store: &Store, request: &Request) -> Outcome<Answer> {
        use Request::*;
        match request {
            CreateNode | DeleteNode | SetLastSeen(_) | AddAddress(_) | ReadNode => {
                outcome(self.ask_about_node(store, request).await, why_not_node)
            }
            UpdateLocal(..) | Append(..) | Advance(..) | AckAdds(..) | AckEnds(_) => {
                outcome(self.ask_for_step(store, request).await, why_not)
            }
            ReadChannel(_) | Refresh(_) | ReadSummary(_) | ReadHeights(_) | ReadPackages(_)
            | ReadOpeningState | ListChannels => outcome(self.read(store, request).await, why_not),
            _ => outcome(self.change(store, request).await, why_not),
        }
    }

    /// What the pruning of link nodes says about the peer.
    pub(crate) fn pruned(&self, pruned: &Result<Vec<PublicKey>, StoreError>) -> Outcome<Answer> {
        let of_peer = pruned.clone().map(|nodes| Answer::Pruned(nodes.contains(&self.node)));
        outcome(of_peer, why_not)
    }

    async fn change(&self, store: &Store, request: &Request) -> Answered<Rejection> {
        use Request::*;
        let status = ChannelStatus::from_bits_retain;
        match request {
            Open(n) => {
                let channel = values::new_channel(*n, self.node);
                store.open_channel(channel, values::link_node(self.n)).await?;
            }
            Close(n) => {
                let summary = values::summary(*n, point(*n), self.node);
                store.close_channel(point(*n), summary, status(CLOSE_BIT)).await?;
            }
            Abandon(n) => store.abandon_channel(point(*n), 1).await?,
            FullyClose(n) => store.mark_fully_closed(point(*n)).await?,
            SetBits(n, bits) => {
                let result = store.apply_status(point(*n), status(*bits)).await?;
                return Ok(Answer::Bits(result.bits()));
            }
            ClearBits(n, bits) => {
                let result = store.clear_status(point(*n), status(*bits)).await?;
                return Ok(Answer::Bits(result.bits()));
            }
            Confirm(n, height) => store.set_confirmation_height(point(*n), *height).await?,
            RemovePackage(n, height) => {
                let heights = [CommitmentHeight(*height)];
                store.remove_forwarding_packages(point(*n), &heights).await?;
            }
            SaveOpeningState(value) => {
                let value = Bytes::copy_from_slice(&value.to_be_bytes());
                store.save_opening_state(self.key(), value).await?;
            }
            DeleteOpeningState => store.delete_opening_state(self.key()).await?,
            other => unreachable!("{other:?} is asked elsewhere"),
        }
        Ok(Answer::Done)
    }

    /// A step of the commitment protocol, or acknowledgements.
    async fn ask_for_step(&self, store: &Store, request: &Request) -> Answered<Rejection> {
        match request {
            Request::UpdateLocal(n, commitment) => {
                let mut update = self.next[n].update.clone();
                mark(&mut update.commitment, *commitment);
                store.update_local(point(*n), update).await?;
            }
            Request::Append(n, commitment, adds, ends) => {
                let mut append = self.next[n].append.clone();
                mark(&mut append.pending.commitment, *commitment);
                (append.ack_adds, append.ack_settle_fails) = (refs(adds), self.ends(ends));
                store.append_remote(point(*n), append).await?;
            }
            Request::Advance(n, height) => {
                store.advance_tail(point(*n), self.advance(*n, *height)).await?;
            }
            Request::AckAdds(n, adds) => store.ack_adds(point(*n), &refs(adds)).await?,
            Request::AckEnds(ends) => store.ack_settle_fails(&self.ends(ends)).await?,
            other => unreachable!("{other:?} is no step"),
        }
        Ok(Answer::Done)
    }

    async fn read(&self, store: &Store, request: &Request) -> Answered<Rejection> {
        use Request::*;
        Ok(match request {
            ReadChannel(n) => Answer::Channel(shown(store.channel(point(*n)).await?)),
            Refresh(n) => Answer::Channel(shown(store.refresh(point(*n)).await?)),
            ReadSummary(n) => {
                let summary = store.closed_channel(point(*n)).await?;
                Answer::Summary { resolved: !summary.pending }
            }
            ReadHeights(n) => {
                let heights = store.heights(point(*n)).await?;
                let pending = heights.pending.map(|height| height.0);
                Answer::Heights(heights.local.0, heights.remote.0, pending)
            }
            ReadPackages(n) => {
                Answer::Packages(packages(&store.forwarding_packages(point(*n)).await?))
            }
            ReadOpeningState => {
                let value = store.opening_state(self.key()).await?;
                let number = |value: Bytes| value.as_ref().try_into().map(u64::from_be_bytes);
                Answer::OpeningState(value.map(|value| number(value).expect("eight bytes")))
            }
            ListChannels => {
                let channels = store.channels_of(&self.node).await?;
                let mut numbers: Vec<_> = channels.iter().map(number).collect();
                numbers.sort_unstable();
                Answer::Channels(numbers)
            }
            other => unreachable!("{other:?} is asked elsewhere"),
        })
    }

    async fn ask_about_node(
        &self,
        store: &Store,
        request: &Request,
    ) -> Answered<linknode::Rejection> {
        match request {
            Request::CreateNode => store.create_link_node(values::link_node(self.n)).await?,
            Request::DeleteNode => store.delete_link_node(&self.node).await?,
            Request::SetLastSeen(time) => {
                store.set_link_node_last_seen(&self.node, *time).await?;
            }
            Request::AddAddress(port) => {
                let address = Address::Ipv4 { ip: [127, 0, 0, 1].into(), port: *port };
                store.add_link_node_address(&self.node, address).await?;
            }
            _ => return Ok(Answer::Node(store.link_node(&self.node).await?.map(node))),
        }
        Ok(Answer::Done)
    }

    fn advance(&self, n: u64, height: u64) -> AdvanceTail {
        let secret = derive_secret(&values::peer_seed(n), height - 1);
        let (scid, height) = (self.next[&n].scid, CommitmentHeight(height));
        AdvanceTail {
            secret: secret.expect("the height is in range"),
            next_point: values::peer_point(n, height.0 + 1),
            package: ForwardingPackage::new(scid, height, Vec::new(), Vec::new()),
            remote_unsigned_local: Vec::new(),
            our_output_index: None,
            their_output_index: None,
        }
    }

    fn ends(&self, ends: &[u16]) -> Vec<SettleFailRef> {
        let source = self.ends;
        ends.iter().map(|index| SettleFailRef { source, height: ENDS_AT, index: *index }).collect()
    }

    fn key(&self) -> Bytes {
        Bytes::copy_from_slice(&self.n.to_be_bytes())
    }
}

fn point(n: u64) -> OutPoint {
    values::outpoint(n)
}

/// Gives a commitment its height and the mark by which reads tell it from others.
fn mark(commitment: &mut chanstate::Commitment, Commitment { height, mark }: Commitment) {
    commitment.height = CommitmentHeight(height);
    commitment.commit_fee = Amount::from_sat(mark);
}

fn marked(commitment: Option<chanstate::Commitment>) -> Commitment {
    let commitment = commitment.expect("no channel is a shell");
    Commitment { height: commitment.height.0, mark: commitment.commit_fee.to_sat() }
}

fn refs(adds: &[u16]) -> Vec<AddRef> {
    adds.iter().map(|index| AddRef { height: ADDS_AT, index: *index }).collect()
}

fn shown(channel: Channel) -> Snapshot {
    Snapshot {
        status: channel.status.bits(),
        confirmed_at: channel.confirmation_height,
        local: marked(channel.local_commitment),
        remote: marked(channel.remote_commitment),
    }
}

/// The number that a channel was opened under.
fn number(channel: &Channel) -> u64 {
    let memo = channel.terms.memo.as_ref().and_then(|memo| std::str::from_utf8(memo).ok());
    let number = memo.and_then(|memo| memo.strip_prefix("channel "));
    number.and_then(|number| number.parse().ok()).expect("the memo of a channel has its number")
}

fn packages(packages: &[ForwardingPackage]) -> Packages {
    let at = |height| packages.iter().find(move |package| package.height == height);
    let bits = |filter: &Filter| {
        let set = (0..filter.count()).filter(|index| filter.contains(*index));
        set.fold(0, |bits: u128, index| bits | 1 << index)
    };
    Packages {
        heights: packages.iter().map(|package| package.height.0).collect(),
        adds: at(ADDS_AT).map_or(0, |package| bits(&package.ack_filter)),
        ends: at(ENDS_AT).map_or(0, |package| bits(&package.settle_fail_filter)),
    }
}

fn node(node: LinkNode) -> Node {
    let ports = node.addresses.iter().map(|address| match address {
        Address::Ipv4 { port, .. } | Address::Ipv6 { port, .. } | Address::TorV3 { port, .. } => {
            *port
        }
        other => panic!("nobody stored {other:?}"),
    });
    Node { last_seen: node.last_seen, ports: ports.collect() }
}

/// What a call's result says about what is stored.
fn outcome<R: std::error::Error + 'static>(
    result: Answered<R>,
    why: impl Fn(R) -> Why,
) -> Outcome<Answer> {
    match result {
        Ok(answer) => Outcome::Answered(answer),
        Err(StoreError::Rejected(rejection)) => Outcome::Answered(Answer::Refused(why(rejection))),
        Err(StoreError::Fenced) => Outcome::Fenced,
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Unstorable { .. })) => {
            panic!("nothing was done that leads to this: {error:?}")
        }
        Err(error) => match error.stored() {
            Stored::No => Outcome::NotStored,
            Stored::Unknown => Outcome::Unknown,
        },
    }
}

fn why_not(rejection: Rejection) -> Why {
    match rejection {
        Rejection::UnknownChannel(_) => Why::Unknown,
        Rejection::AlreadyExists(_) => Why::Exists,
        Rejection::AlreadyClosed(_) => Why::Closed,
        Rejection::NotClosed(_) => Why::NotClosed,
        Rejection::NoSummary(_) => Why::NoSummary,
        Rejection::NotActive { status } => Why::NotActive(status.bits()),
        Rejection::Height { expected, .. } => Why::Expected(expected.0),
        Rejection::PendingCommitment { height } => Why::Pending(height.0),
        Rejection::NoPendingCommitment => Why::NothingPending,
        Rejection::WrongSecret => Why::WrongSecret,
        other => panic!("nothing was asked that is refused so: {other:?}"),
    }
}

fn why_not_node(rejection: linknode::Rejection) -> Why {
    match rejection {
        linknode::Rejection::AlreadyExists(_) => Why::Exists,
        linknode::Rejection::Unknown(_) => Why::Unknown,
        linknode::Rejection::HasChannels { channels, .. } => Why::HasChannels(channels),
        other => panic!("nothing was asked that is refused so: {other:?}"),
    }
}
