//! Requests of the commitment protocol, right ones and wrong ones.

use chanstate::message::Message;
use chanstate::transition::{AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, Commitment, CommitmentHeight, Direction, Filter, HtlcId, LogIndex, LogUpdate,
    MilliSatoshi, SettleFailRef, ShortChannelId,
};

use super::call::Call;
use super::operation::{AdvanceFault, Fault, News};
use super::state::Model;
use super::universe::{self, number, point};
use crate::{End, Exchange, values};

/// The peer sends news and signs our next commitment.
pub(super) fn update_local(
    model: &mut Model,
    channel: u8,
    news: &[News],
    fault: Option<Fault>,
) -> Call {
    let totals = model.channels.get(&point(channel)).map(|known| &known.view);
    let totals = totals.map(|view| (view.total_sent, view.total_received)).unwrap_or_default();
    let mut update = with_exchange(model, channel, |exchange| {
        news.iter().for_each(|news| they_send(exchange, news));
        let mut update = exchange.update();
        if let Some(fault) = fault {
            spoil(&mut update.commitment, &exchange.local, fault);
        }
        update
    });
    let UpdateLocal { unsigned_acked, total_sent, total_received, commitment } = &mut update;
    let before = |total: MilliSatoshi| MilliSatoshi(total.0.saturating_sub(1));
    match fault {
        Some(Fault::SentBack) => *total_sent = before(totals.0),
        Some(Fault::ReceivedBack) => *total_received = before(totals.1),
        Some(Fault::StrayMessage) => unsigned_acked.push(stray(commitment)),
        _ => {}
    }
    Call::UpdateLocal(point(channel), Box::new(update))
}

/// We send news and sign the peer's next commitment.
pub(super) fn append_remote(
    model: &mut Model,
    channel: u8,
    news: &[News],
    fault: Option<Fault>,
    ack_adds: Vec<AddRef>,
    ack_settle_fails: Vec<SettleFailRef>,
) -> Call {
    let mut pending = with_exchange(model, channel, |exchange| {
        news.iter().for_each(|news| we_send(exchange, news));
        let mut append = exchange.append();
        if let Some(fault) = fault {
            spoil(&mut append.pending.commitment, &exchange.remote, fault);
        }
        append.pending
    });
    if fault == Some(Fault::StrayMessage) {
        pending.updates.push(stray(&pending.commitment));
    }
    let append = AppendRemote { pending, ack_adds, ack_settle_fails };
    Call::AppendRemote(point(channel), Box::new(append))
}

/// We sign what is pending once more.
pub(super) fn append_remote_again(model: &mut Model, channel: u8, ack_adds: Vec<AddRef>) -> Call {
    let append = with_exchange(model, channel, |exchange| {
        let again = exchange.pending.clone();
        let append = exchange.append();
        let pending = again.unwrap_or(append.pending);
        AppendRemote { pending, ack_adds, ..append }
    });
    Call::AppendRemote(point(channel), Box::new(append))
}

/// The peer revokes, with the secret that fits its point.
pub(super) fn advance_tail(model: &mut Model, channel: u8, fault: Option<AdvanceFault>) -> Call {
    let known = model.channels.get(&point(channel)).map(|known| &known.view);
    let current = known.map(|view| view.revocation.current_point);
    let confirmed = known.and_then(|view| view.confirmed_scid);
    let mut advance = with_exchange(model, channel, |exchange| {
        let mut exchange = exchange.clone();
        exchange.pending.get_or_insert(exchange.append().pending);
        exchange.advance()
    });
    let foreign = values::bytes32(FOREIGN, number(channel));
    if current == Some(values::point_of(foreign)) {
        advance.secret = foreign;
    }
    let package = &mut advance.package;
    match fault {
        None => {}
        Some(AdvanceFault::ConfirmedSource) => {
            package.source = confirmed.unwrap_or(package.source);
        }
        Some(AdvanceFault::ForeignNextPoint) => advance.next_point = values::point_of(foreign),
        Some(AdvanceFault::Secret) => advance.secret[0] ^= 1,
        Some(AdvanceFault::Height) => package.height.0 += 1,
        Some(AdvanceFault::Source) => package.source = ShortChannelId(13),
        Some(AdvanceFault::Filter) => package.ack_filter = Filter::empty(99),
        Some(AdvanceFault::OutputIndex) => advance.their_output_index = Some(0xffff),
        Some(AdvanceFault::AddAmongEnds) => {
            package.settle_fails.clone_from(&package.adds);
            package.settle_fail_filter = package.ack_filter.clone();
        }
        Some(AdvanceFault::StrayMessage) => {
            let message = values::commit_sig(chanstate::ChannelId([0; 32]), 0, 0);
            advance.remote_unsigned_local.push(LogUpdate { log_index: LogIndex(0), message });
        }
    }
    Call::AdvanceTail(point(channel), Box::new(advance))
}

/// The peer's next point, or one that is not of its seed.
pub(super) fn insert_next_revocation(model: &mut Model, channel: u8, foreign: bool) -> Call {
    let height = with_exchange(model, channel, |exchange| exchange.remote.height.0);
    let next = match foreign {
        true => values::key(FOREIGN, number(channel)),
        false => values::peer_point(number(channel), height + 1),
    };
    Call::InsertNextRevocation(point(channel), next)
}

/// Names a secret that is not of the peer's seed.
const FOREIGN: &str = "foreign secret";

/// Works on both sides of a channel; on a new one if the channel does not exist.
fn with_exchange<T>(model: &mut Model, channel: u8, work: impl FnOnce(&mut Exchange) -> T) -> T {
    match model.channels.get_mut(&point(channel)) {
        Some(channel) => work(&mut channel.exchange),
        None => work(&mut universe::exchange(point(channel), universe::scid(channel, 0))),
    }
}

fn we_send(exchange: &mut Exchange, news: &News) {
    match (ending(news, &exchange.ours_to_end()), news) {
        (Some((id, end)), _) => exchange.we_end(id, end),
        (None, News::Add { amount }) => drop(exchange.we_add((*amount).into())),
        (None, News::Fee) => exchange.we_set_fee(),
        (None, _) => {}
    }
}

fn they_send(exchange: &mut Exchange, news: &News) {
    match (ending(news, &exchange.theirs_to_end()), news) {
        (Some((id, end)), _) => exchange.they_end(id, end),
        (None, News::Add { amount }) => drop(exchange.they_add((*amount).into())),
        (None, _) => {}
    }
}

/// The HTLC that news end, one of `open`.
fn ending(news: &News, open: &[HtlcId]) -> Option<(HtlcId, End)> {
    let (pick, end) = match news {
        News::Settle(pick) => (pick, End::Settle),
        News::Fail(pick) => (pick, End::Fail),
        News::Malformed(pick) => (pick, End::Malformed),
        News::Add { .. } | News::Fee => return None,
    };
    let index = usize::from(*pick).checked_rem(open.len())?;
    Some((open[index], end))
}

/// Makes a commitment wrong that comes after `before`.
fn spoil(commitment: &mut Commitment, before: &Commitment, fault: Fault) {
    let mut bogus = values::htlc(Direction::Outgoing, 9999, 2, values::htlc_terms(9999, 1_000_000));
    match fault {
        Fault::Height => commitment.height = CommitmentHeight(before.height.0 + 2),
        Fault::IndexBack => {
            if let Some(index) = before.local_log_index.0.checked_sub(1) {
                commitment.local_log_index.0 = index;
            }
        }
        Fault::HtlcTwice => commitment.htlcs.extend([bogus.clone(), bogus]),
        Fault::HtlcIdTooLarge => {
            bogus.id = HtlcId(1 << 63);
            commitment.htlcs.push(bogus);
        }
        Fault::ShortOnion => {
            bogus.terms.onion.truncate(5);
            commitment.htlcs.push(bogus);
        }
        Fault::SentBack | Fault::ReceivedBack | Fault::StrayMessage => {}
    }
}

/// A message that is no update.
fn stray(commitment: &Commitment) -> LogUpdate {
    let id = chanstate::ChannelId([0; 32]);
    let message: Message = values::commit_sig(id, commitment.height.0, 0);
    LogUpdate { log_index: commitment.local_log_index, message }
}
