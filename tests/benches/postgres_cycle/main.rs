//! What one statement for a batch brings, on the server that `CHANSTORE_POSTGRES_URL` names.
//!
//! The cycle is that of the benchmark `commitment_cycle`. Rounds of three stores take turns: one
//! channel, 64 channels, and 64 channels whose change sets are committed as a transaction of single
//! statements each. The last lines are medians of ratios within a round, and what the server counted
//! and took, if it has `pg_stat_statements`.
//!
//! Before each round the server makes a checkpoint, if the role may ask for one: a server that runs
//! for long writes over its old log files, where a fresh one has to fill new ones with zeros.

#![allow(clippy::expect_used, reason = "a benchmark that fails has nothing to report")]

#[path = "../commitment_cycle/workload.rs"]
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use channelcoord::{Backend, Store, StoreOptions};
use sqlstore::{PostgresOptions, SingleStatements};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::runtime::Runtime;

use crate::workload::Link;

/// Rounds that are measured.
const ROUNDS: usize = 7;

/// How long each store works in a round.
const TURN: Duration = Duration::from_secs(1);

/// Cycles that a store is prepared for in a turn, over all its channels.
const PREPARED: u64 = 32_000;

/// HTLCs in flight.
const IN_FLIGHT: [usize; 2] = [0, 30];

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    for in_flight in IN_FLIGHT {
        runtime.block_on(measure(in_flight));
    }
}

async fn measure(in_flight: usize) {
    let mut one = Node::new("one", 1, in_flight, false).await;
    let mut many = Node::new("many", 64, in_flight, false).await;
    let mut single = Node::new("single", 64, in_flight, true).await;
    let (mut to_one, mut to_single, mut cycles) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        checkpoint().await;
        let (a, b, c) = (one.turn().await, many.turn().await, single.turn().await);
        to_one.push(b / a);
        to_single.push(b / c);
        cycles.push(format!("{a:.0} {b:.0} {c:.0}"));
    }
    println!("{in_flight} HTLCs in flight, cycles/s (1 channel, 64, 64 by single statements):");
    cycles.iter().skip(1).for_each(|line| println!("    {line}"));
    // The first round warmed up.
    println!("64 channels to 1: {:.1}", median(&mut to_one[1..]));
    println!("64 channels to 64 by single statements: {:.1}", median(&mut to_single[1..]));
    let before = Counted::now().await;
    let sets = 3.0 * many.turn().await * TURN.as_secs_f64();
    if let (Some(before), Some(after)) = (before, Counted::now().await) {
        let batches = after.batches - before.batches;
        println!(
            "the server counted {batches} batches, {:.2} ms each, and {} other statements for \
             {sets:.0} change sets",
            (after.millis - before.millis) / batches as f64,
            after.others - before.others,
        );
    }
    for node in [one, many, single] {
        node.end().await;
    }
}

fn median(ratios: &mut [f64]) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A store and the channels that work on it.
struct Node {
    options: PostgresOptions,
    store: Store,
    links: Vec<Link>,
}

impl Node {
    async fn new(name: &str, channels: u64, in_flight: usize, single: bool) -> Node {
        let schema = format!("bench_{name}_{}", std::process::id());
        let options = PostgresOptions::new(&url()).and_then(|options| options.schema(schema));
        let options = options.expect("the URL can be used");
        let backend = options.clone().create().expect("the store is created");
        let backend: Arc<dyn Backend> =
            if single { Arc::new(SingleStatements(backend)) } else { Arc::new(backend) };
        let store = Store::open_shared(backend, StoreOptions::default()).await;
        let store = store.expect("the store opens");
        let links: Vec<_> = (0..channels).map(|n| Link::new(n, in_flight)).collect();
        for link in &links {
            link.open(&store).await;
        }
        Node { options, store, links }
    }

    /// Lets every channel work for a while; cycles in a second.
    async fn turn(&mut self) -> f64 {
        // Enough secrets, which are not the store's work.
        let cycles = PREPARED / self.links.len() as u64;
        self.links.iter_mut().for_each(|link| link.prepare(cycles));
        let start = Instant::now();
        let work = |mut link: Link| {
            let store = self.store.clone();
            tokio::spawn(async move {
                let mut cycles = 0;
                while start.elapsed() < TURN {
                    link.cycle(&store).await;
                    cycles += 1;
                }
                (link, cycles)
            })
        };
        let tasks: Vec<_> = std::mem::take(&mut self.links).into_iter().map(work).collect();
        let mut all = 0;
        for task in tasks {
            let (link, cycles) = task.await.expect("cycles succeed");
            self.links.push(link);
            all += cycles;
        }
        f64::from(all) / start.elapsed().as_secs_f64()
    }

    async fn end(self) {
        self.store.close().await.expect("the store closes");
        self.options.drop_store().expect("the store is dropped");
    }
}

fn url() -> String {
    std::env::var("CHANSTORE_POSTGRES_URL").expect("CHANSTORE_POSTGRES_URL names a server")
}

/// Without the right to it, the server does as it did.
async fn checkpoint() {
    let options: Result<PgConnectOptions, _> = url().parse();
    if let Ok(options) = options
        && let Ok(mut shell) = options.connect().await
    {
        drop(sqlx::raw_sql("checkpoint").execute(&mut shell).await);
    }
}

/// Statements that the server ran so far.
struct Counted {
    batches: i64,
    /// What batches took, without waiting for the disk at their end.
    millis: f64,
    others: i64,
}

impl Counted {
    async fn now() -> Option<Counted> {
        let options: PgConnectOptions = url().parse().ok()?;
        let mut shell = options.connect().await.ok()?;
        sqlx::raw_sql("create extension if not exists pg_stat_statements")
            .execute(&mut shell)
            .await
            .ok()?;
        let text = "select (sum(calls) filter (where query like 'with gate as%'))::int8, \
                    sum(total_exec_time) filter (where query like 'with gate as%'), \
                    (sum(calls) filter (where query not like 'with gate as%' \
                    and query not like '%pg_stat_statements%'))::int8 from pg_stat_statements";
        let row = sqlx::query(text).fetch_one(&mut shell).await.ok()?;
        let [batches, others] = [0, 2].map(|index| row.try_get(index).ok());
        Some(Counted { batches: batches?, millis: row.try_get(1).ok()?, others: others? })
    }
}
