//! Who may write: claims, and the lease that keeps other instances out between them.
//!
//! The claim is what makes a commit safe: each one holds the store's row and checks the epoch in it.
//! The lease only says when another instance may take over without asking. It is measured by the
//! server's clock. Our own clock is for one thing: to tell whether we stood still for so long that
//! somebody may have taken our silence for an end. It goes on while the machine sleeps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channelcoord::{BackendError, ClaimError, Epoch, Head, Seq};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::batch::store_checksum;
use super::client::{Client, Session};
use super::clock::Instant;
use super::error::Fault;
use super::options::PostgresOptions;
use super::row::Parameters;
use super::server::Purpose;
use crate::fault::Exhausted;
use crate::row::checksum;
use crate::table::{self, EpochRow, StoreRow};

/// The lease of this instance.
pub(crate) struct Lease {
    instance: String,
    length: Duration,
    takeover: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The claim that the lease is for.
    epoch: Option<Epoch>,
    /// When we last were awake.
    beat: Option<Instant>,
    /// We stood still for longer than the lease.
    slept: bool,
    keeper: Option<AbortHandle>,
}

/// Whether a lease that has ended by the server's clock may be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It was renewed: the server was away, not we.
    Renewed,
    /// Not any more: we slept, or another claim was made.
    Over,
}

impl Lease {
    pub(crate) fn new(options: &PostgresOptions) -> Lease {
        Lease {
            instance: options.instance.clone(),
            length: options.lease,
            takeover: options.takeover,
            state: Mutex::default(),
        }
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with a claim that was made just now.
    fn begin(&self, epoch: Epoch, keeper: AbortHandle) {
        let begun = State {
            epoch: Some(epoch),
            beat: Some(Instant::now()),
            slept: false,
            keeper: Some(keeper),
        };
        let before = std::mem::replace(&mut *self.state(), begun);
        before.keeper.inspect(AbortHandle::abort);
    }

    /// Ends it, and says for which claim it was.
    pub(crate) fn end(&self) -> Option<Epoch> {
        let ended = std::mem::take(&mut *self.state());
        ended.keeper.inspect(AbortHandle::abort);
        ended.epoch
    }

    /// Notes that we are awake; false if we slept for longer than the lease of `epoch`, or it is over.
    fn awake(&self, epoch: Epoch) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let since = state.beat.map_or(Duration::MAX, |beat| now.since(beat));
        state.slept |= since > self.length;
        state.beat = Some(now);
        state.epoch == Some(epoch) && !state.slept
    }

    fn renewal(&self, epoch: Epoch) -> Parameters {
        Parameters::new().unsigned(epoch.0).text(&self.instance).int(millis(self.length))
    }
}

const RENEW: &str = "update lease set until = clock_timestamp() + $3 * interval '1 millisecond' \
                     where id = 1 and epoch = $1 and instance = $2 returning id";

/// Renews a lease that is found to have ended, if that is still right.
pub(crate) async fn revive(
    lease: &Lease,
    session: &mut Session<'_>,
    epoch: Epoch,
) -> Result<Renewal, Fault> {
    if !lease.awake(epoch) {
        return Ok(Renewal::Over);
    }
    let renewed = session.ask("renewing the lease", RENEW, lease.renewal(epoch)).await?;
    Ok(if renewed.is_empty() { Renewal::Over } else { Renewal::Renewed })
}

/// Renews the lease of a claim again and again, until it is over.
async fn keep(client: Arc<Client>, epoch: Epoch) {
    let lease = &client.lease;
    let period = lease.length / 3;
    let mut connection = None;
    loop {
        sleep(period).await;
        if !lease.awake(epoch) {
            tracing::error!(epoch = epoch.0, "stood still for longer than the lease");
            return;
        }
        match timeout(period, renew(&client, &mut connection, epoch)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                tracing::error!(epoch = epoch.0, "another claim was made");
                return;
            }
            Ok(Err(fault)) => {
                connection = None;
                tracing::warn!(error = &fault as &dyn std::error::Error, "lease not renewed");
            }
            Err(_) => {
                connection = None;
                tracing::warn!("lease not renewed: no answer within {period:?}");
            }
        }
    }
}

async fn renew(
    client: &Client,
    connection: &mut Option<PgConnection>,
    epoch: Epoch,
) -> Result<bool, Fault> {
    let server = &client.server;
    let connected = match connection.take() {
        Some(connected) => connected,
        None => server.connect(Purpose::Lease).await?,
    };
    let connected = connection.insert(connected);
    let parameters = client.lease.renewal(epoch);
    let renewed = server.ask(connected, "renewing the lease", RENEW.into(), parameters).await?;
    Ok(!renewed.is_empty())
}

/// Takes the store over, as soon as no other instance has it.
pub(crate) async fn claim(client: Arc<Client>, at_least: Option<Seq>) -> Result<Head, ClaimError> {
    let started = tokio::time::Instant::now();
    let mut patience = client.patience();
    loop {
        let mut session = client.session().await;
        let claimed = take_over(&client.lease, &mut session, at_least).await;
        if let Ok(Claimed::As(head)) = claimed {
            let keeper = tokio::spawn(keep(Arc::clone(&client), head.epoch));
            client.lease.begin(head.epoch, keeper.abort_handle());
        }
        // Not before: whoever releases the store waits for the session, then ends the lease.
        drop(session);
        match claimed {
            Ok(Claimed::As(head)) => return Ok(head),
            Ok(Claimed::Changed) => {}
            Ok(Claimed::TooOld { at_least, found }) => {
                return Err(ClaimError::TooOld { at_least, found });
            }
            Ok(Claimed::Held { by, remaining }) => {
                let left = client.lease.takeover.saturating_sub(started.elapsed());
                if left.is_zero() {
                    return Err(ClaimError::Held { by, remaining });
                }
                // The holder may give it back before its lease ends.
                let pause = sleep(remaining.min(left).min(Duration::from_millis(100)));
                client.unless_closed(pause).await.map_err(Fault::reading)?;
            }
            Ok(Claimed::Exhausted) => {
                return Err(BackendError::Unavailable(Arc::new(Exhausted)).into());
            }
            Err(fault) => patience.pause(fault).await.map_err(Fault::reading)?,
        }
    }
}

enum Claimed {
    As(Head),
    TooOld { at_least: Seq, found: Seq },
    Held { by: String, remaining: Duration },
    Changed,
    Exhausted,
}

/// One statement, which changes nothing if the store is not as it was found.
pub(crate) const CLAIM: &str = "\
    with gate as (update store set epoch = $3, checksum = $5 \
        where id = 1 and epoch = $1 and seq = $2 and checksum = $4 and not exists \
        (select from lease where instance <> $7 and until > clock_timestamp()) returning id), \
    began as (insert into epoch (epoch, began_at, checksum) select $3, $2, $6 from gate), \
    held as (insert into lease (id, instance, epoch, until) \
        select 1, $7, $3, clock_timestamp() + $8 * interval '1 millisecond' from gate \
        on conflict (id) do update set \
        instance = excluded.instance, epoch = excluded.epoch, until = excluded.until) \
    select id from gate";

async fn take_over(
    lease: &Lease,
    session: &mut Session<'_>,
    at_least: Option<Seq>,
) -> Result<Claimed, Fault> {
    let row = session.store().await?;
    if let Some(at_least) = at_least.filter(|at_least| row.seq < at_least.0) {
        return Ok(Claimed::TooOld { at_least, found: Seq(row.seq) });
    }
    let other = Parameters::new().text(&lease.instance);
    if let Some((by, remaining)) = holder(&session.ask("reading the lease", HOLDER, other).await?)?
    {
        return Ok(Claimed::Held { by, remaining });
    }
    let Some((head, parameters)) = claiming(&row, &lease.instance, lease.length) else {
        return Ok(Claimed::Exhausted);
    };
    session.durable().await?;
    let claimed = session.ask("claiming the store", CLAIM, parameters).await?;
    Ok(if claimed.is_empty() { Claimed::Changed } else { Claimed::As(head) })
}

/// The next claim of a store, and the parameters of [`CLAIM`]; none if no epoch is left.
pub(crate) fn claiming(
    found: &StoreRow,
    instance: &str,
    length: Duration,
) -> Option<(Head, Parameters)> {
    let next = found.epoch.checked_add(1)?;
    let (epoch, seq) = (Epoch(next), Seq(found.seq));
    let began = EpochRow { epoch: next, began_at: found.seq };
    let parameters = Parameters::new()
        .unsigned(found.epoch)
        .unsigned(found.seq)
        .unsigned(next)
        .int(store_checksum(Epoch(found.epoch), seq))
        .int(store_checksum(epoch, seq))
        .int(checksum(table::epoch(), &began))
        .text(instance)
        .int(millis(length));
    Some((Head { epoch, seq }, parameters))
}

/// Asks for another instance whose lease runs.
pub(crate) const HOLDER: &str = "\
    select instance, ceil(extract(epoch from until - clock_timestamp()) * 1000)::int8 \
    from lease where instance <> $1 and until > clock_timestamp()";

/// Its name, and for how long its lease runs, by the answer to [`HOLDER`].
pub(crate) fn holder(rows: &[PgRow]) -> Result<Option<(String, Duration)>, Fault> {
    let Some(row) = rows.first() else { return Ok(None) };
    let read = |index| row.try_get::<i64, _>(index);
    let by = row.try_get::<String, _>(0).map_err(Fault::doing("reading the lease"))?;
    let remaining = read(1).map_err(Fault::doing("reading the lease"))?;
    Ok(Some((by, Duration::from_millis(remaining.try_into().unwrap_or_default()))))
}

/// Gives the lease of a claim back, so that the next instance need not wait.
pub(crate) async fn give_back(
    lease: &Lease,
    session: &mut Session<'_>,
    epoch: Epoch,
) -> Result<(), Fault> {
    let text = "update lease set until = null where id = 1 and epoch = $1 and instance = $2";
    let parameters = Parameters::new().unsigned(epoch.0).text(&lease.instance);
    let given = session.ask("giving the lease back", text, parameters.clone()).await;
    match given {
        // The connection may have been broken for long.
        Err(_) => session.ask("giving the lease back", text, parameters).await.map(drop),
        Ok(_) => Ok(()),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(length: Duration) -> Lease {
        let options = PostgresOptions::new("postgres://host/nodes").unwrap();
        Lease::new(&options.lease(length))
    }

    fn begun(length: Duration, beat: Instant) -> Lease {
        let lease = lease(length);
        *lease.state() = State { epoch: Some(Epoch(2)), beat: Some(beat), ..State::default() };
        lease
    }

    #[test]
    fn who_slept_for_longer_than_the_lease_does_not_wake_again() {
        let length = Duration::from_secs(10);
        let long_ago = Instant::now().before(length * 2);
        let lease = begun(length, long_ago);
        assert!(!lease.awake(Epoch(2)));
        assert!(!lease.awake(Epoch(2)));
    }

    #[test]
    fn a_lease_is_for_one_claim() {
        let lease = begun(Duration::from_secs(10), Instant::now());
        assert!(lease.awake(Epoch(2)) && lease.awake(Epoch(2)));
        assert!(!lease.awake(Epoch(1)) && !lease.awake(Epoch(3)));
        assert_eq!(lease.end(), Some(Epoch(2)));
        assert!(!lease.awake(Epoch(2)));
    }
}
