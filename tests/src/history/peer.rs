//! A peer, its link node and its channels, served one call after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Model;

/// What is asked. Channels go by their numbers, updates of a package by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Open(u64),
    Close(u64),
    Abandon(u64),
    FullyClose(u64),
    SetBits(u64, u64),
    ClearBits(u64, u64),
    Confirm(u64, u32),
    UpdateLocal(u64, Commitment),
    /// With acknowledgements of adds of the channel's own package and of ends in the first
    /// channel's.
    Append(u64, Commitment, Vec<u16>, Vec<u16>),
    Advance(u64, u64),
    AckAdds(u64, Vec<u16>),
    AckEnds(Vec<u16>),
    RemovePackage(u64, u64),
    SaveOpeningState(u64),
    DeleteOpeningState,
    CreateNode,
    DeleteNode,
    PruneNodes,
    SetLastSeen(u64),
    AddAddress(u16),
    ReadChannel(u64),
    Refresh(u64),
    ReadSummary(u64),
    ReadHeights(u64),
    ReadPackages(u64),
    ReadOpeningState,
    ReadNode,
    ListChannels,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Bits(u64),
    Pruned(bool),
    Channel(Snapshot),
    Summary { resolved: bool },
    Heights(u64, u64, Option<u64>),
    Packages(Packages),
    OpeningState(Option<u64>),
    Node(Option<Node>),
    Channels(Vec<u64>),
    Refused(Why),
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Unknown,
    Exists,
    Closed,
    NotClosed,
    NoSummary,
    NotActive(u64),
    Expected(u64),
    Pending(u64),
    NothingPending,
    WrongSecret,
    HasChannels(usize),
}

/// A commitment: its height, and a mark by which it is told from others of that height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Commitment {
    pub(crate) height: u64,
    pub(crate) mark: u64,
}

/// What a read of a channel shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) status: u64,
    pub(crate) confirmed_at: Option<u32>,
    pub(crate) local: Commitment,
    pub(crate) remote: Commitment,
}

/// Forwarding packages of a channel, and what is acknowledged in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Packages {
    pub(crate) heights: BTreeSet<u64>,
    pub(crate) adds: u128,
    pub(crate) ends: u128,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) last_seen: u64,
    pub(crate) ports: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    pub(crate) shown: Snapshot,
    pub(crate) pending: Option<Commitment>,
    pub(crate) packages: Packages,
    /// Whether the channel is closed, and then whether everything is resolved.
    pub(crate) closed: Option<bool>,
}

/// A peer with everything that calls on it can see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// What its link node is when it appears.
    pub(crate) new_node: Node,
    /// What a channel is when it is opened.
    pub(crate) new_channel: Channel,
    /// The channel in whose package ends are acknowledged.
    pub(crate) first: u64,
    pub(crate) node: Option<Node>,
    pub(crate) channels: BTreeMap<u64, Arc<Channel>>,
    pub(crate) opening_state: Option<u64>,
}

/// Status bit that every close brings along.
pub(crate) const CLOSE_BIT: u64 = chanstate::ChannelStatus::LOCAL_CLOSE_INITIATOR.bits();

type Served = Result<Answer, Why>;

impl Model for Peer {
    type Request = Request;
    type Answer = Answer;

    fn serve(&mut self, request: &Request) -> Answer {
        self.try_serve(request).unwrap_or_else(Answer::Refused)
    }
}

impl Peer {
    fn try_serve(&mut self, request: &Request) -> Served {
        use Request::*;
        match request {
            Open(n) => return self.open(*n),
            Close(n) => self.close(*n, false)?,
            Abandon(n) => return self.abandon(*n),
            FullyClose(n) => return self.fully_close(*n),
            SetBits(n, bits) => return self.status(*n, |status| status | bits),
            ClearBits(n, bits) => return self.status(*n, |status| status & !bits),
            Confirm(n, height) => self.opened(*n)?.shown.confirmed_at = Some(*height),
            UpdateLocal(n, commitment) => self.usable(*n)?.update_local(*commitment)?,
            Append(n, commitment, adds, ends) => {
                let channel = self.usable(*n)?;
                channel.append(*commitment)?;
                channel.packages.adds |= bits(adds);
                self.ack_ends(ends);
            }
            Advance(n, height) => self.usable(*n)?.advance(*height)?,
            AckAdds(n, adds) => self.opened(*n)?.packages.adds |= bits(adds),
            AckEnds(ends) => self.ack_ends(ends),
            RemovePackage(n, height) => {
                self.opened(*n)?.packages.heights.remove(height);
            }
            SaveOpeningState(value) => self.opening_state = Some(*value),
            DeleteOpeningState => self.opening_state = None,
            CreateNode => return self.create_node(),
            DeleteNode => return self.delete_node(),
            PruneNodes => return Ok(Answer::Pruned(self.prune())),
            SetLastSeen(time) => self.known_node()?.last_seen = *time,
            AddAddress(port) => {
                let ports = &mut self.known_node()?.ports;
                if !ports.contains(port) {
                    ports.push(*port);
                }
            }
            read => return self.read(read),
        }
        Ok(Answer::Done)
    }

    fn read(&self, request: &Request) -> Served {
        use Request::*;
        Ok(match request {
            ReadChannel(n) => Answer::Channel(self.still_open(*n)?.shown.clone()),
            Refresh(n) => Answer::Channel(self.known(*n)?.shown.clone()),
            ReadSummary(n) => {
                let resolved = self.known(*n)?.closed.ok_or(Why::NoSummary)?;
                Answer::Summary { resolved }
            }
            ReadHeights(n) => {
                let Channel { shown, pending, .. } = self.still_open(*n)?;
                let pending = pending.map(|pending| pending.height);
                Answer::Heights(shown.local.height, shown.remote.height, pending)
            }
            ReadPackages(n) => Answer::Packages(self.still_open(*n)?.packages.clone()),
            ReadOpeningState => Answer::OpeningState(self.opening_state),
            ReadNode => Answer::Node(self.node.clone()),
            ListChannels => Answer::Channels(self.open_channels().collect()),
            change => unreachable!("{change:?} is no read"),
        })
    }

    fn open(&mut self, n: u64) -> Served {
        if self.channels.contains_key(&n) {
            return Err(Why::Exists);
        }
        self.channels.insert(n, Arc::new(self.new_channel.clone()));
        self.node.get_or_insert_with(|| self.new_node.clone());
        Ok(Answer::Done)
    }

    fn close(&mut self, n: u64, resolved: bool) -> Result<(), Why> {
        let channel = self.opened(n)?;
        channel.closed = Some(resolved);
        channel.shown.status |= CLOSE_BIT;
        Ok(())
    }

    fn abandon(&mut self, n: u64) -> Served {
        match self.close(n, true) {
            Ok(()) => drop(self.prune()),
            Err(Why::Closed) => {}
            Err(why) => return Err(why),
        }
        Ok(Answer::Done)
    }

    fn fully_close(&mut self, n: u64) -> Served {
        if self.known(n)?.closed.is_none() {
            return Err(Why::NotClosed);
        }
        self.any(n)?.closed = Some(true);
        self.prune();
        Ok(Answer::Done)
    }

    fn status(&mut self, n: u64, change: impl Fn(u64) -> u64) -> Served {
        let shown = &mut self.opened(n)?.shown;
        shown.status = change(shown.status);
        Ok(Answer::Bits(shown.status))
    }

    /// Acknowledgements in a package that is gone pass.
    fn ack_ends(&mut self, ends: &[u16]) {
        if let Ok(channel) = self.opened(self.first) {
            channel.packages.ends |= bits(ends);
        }
    }

    fn create_node(&mut self) -> Served {
        match self.node.replace(self.new_node.clone()) {
            None => Ok(Answer::Done),
            stored => {
                self.node = stored;
                Err(Why::Exists)
            }
        }
    }

    fn delete_node(&mut self) -> Served {
        match self.open_channels().count() {
            channels if self.node.is_some() && channels > 0 => Err(Why::HasChannels(channels)),
            _ => {
                self.node = None;
                Ok(Answer::Done)
            }
        }
    }

    /// Removes the link node if no channel is open; tells whether it did.
    fn prune(&mut self) -> bool {
        self.open_channels().next().is_none() && self.node.take().is_some()
    }

    fn open_channels(&self) -> impl Iterator<Item = u64> {
        let open = self.channels.iter().filter(|(_, channel)| channel.closed.is_none());
        open.map(|(n, _)| *n)
    }

    fn known(&self, n: u64) -> Result<&Channel, Why> {
        self.channels.get(&n).map(Arc::as_ref).ok_or(Why::Unknown)
    }

    fn still_open(&self, n: u64) -> Result<&Channel, Why> {
        Some(self.known(n)?).filter(|channel| channel.closed.is_none()).ok_or(Why::Closed)
    }

    fn any(&mut self, n: u64) -> Result<&mut Channel, Why> {
        self.channels.get_mut(&n).map(Arc::make_mut).ok_or(Why::Unknown)
    }

    fn opened(&mut self, n: u64) -> Result<&mut Channel, Why> {
        self.still_open(n)?;
        self.any(n)
    }

    fn usable(&mut self, n: u64) -> Result<&mut Channel, Why> {
        match self.opened(n)? {
            channel if channel.shown.status == 0 => Ok(channel),
            channel => Err(Why::NotActive(channel.shown.status)),
        }
    }

    fn known_node(&mut self) -> Result<&mut Node, Why> {
        self.node.as_mut().ok_or(Why::Unknown)
    }
}

impl Channel {
    fn update_local(&mut self, commitment: Commitment) -> Result<(), Why> {
        require_next(self.shown.local, commitment)?;
        self.shown.local = commitment;
        Ok(())
    }

    fn append(&mut self, commitment: Commitment) -> Result<(), Why> {
        match self.pending {
            Some(pending) if pending == commitment => return Ok(()),
            Some(pending) => return Err(Why::Pending(pending.height)),
            None => require_next(self.shown.remote, commitment)?,
        }
        self.pending = Some(commitment);
        Ok(())
    }

    /// The peer reveals the secret of the commitment below `height`.
    fn advance(&mut self, height: u64) -> Result<(), Why> {
        let pending = self.pending.ok_or(Why::NothingPending)?;
        if pending.height != height {
            return Err(Why::WrongSecret);
        }
        self.shown.remote = pending;
        self.pending = None;
        self.packages.heights.insert(height);
        Ok(())
    }
}

fn require_next(current: Commitment, next: Commitment) -> Result<(), Why> {
    let expected = current.height + 1;
    if next.height == expected { Ok(()) } else { Err(Why::Expected(expected)) }
}

/// The positions as bits.
pub(crate) fn bits(positions: &[u16]) -> u128 {
    positions.iter().fold(0, |bits, position| bits | 1 << position)
}
