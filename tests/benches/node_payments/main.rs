//! Payments per second between two nodes that keep everything in stores of one kind, a store each.
//!
//! A payment is offered, locked in, settled, and locked in again: each node signs and revokes
//! twice, passes the package on, and keeps and forgets a circuit. A channel makes one payment at a
//! time; `N` is the number of channels that do so at the same time. Both nodes run in this process,
//! so a payment waits for the commits of both one after the other.

#![allow(clippy::expect_used, reason = "a benchmark that fails has nothing to report")]

mod pair;
#[path = "../shared/mod.rs"]
mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use channelcoord::{Backend, MemoryBackend, Store, StoreOptions};
use criterion::{BenchmarkGroup, measurement::WallTime};
use kvstore::RedbBackend;
use sqlstore::SqliteBackend;

use crate::pair::Pair;

/// Channels at work.
const CHANNELS: [u64; 2] = [1, 64];

type Open = fn(&Path) -> Arc<dyn Backend>;

const BACKENDS: [(&str, Open); 3] = [
    ("memory", |_| Arc::new(MemoryBackend::default())),
    ("redb", |dir| Arc::new(RedbBackend::open(dir.join("redb")).expect("redb opens"))),
    ("sqlite", |dir| Arc::new(SqliteBackend::open(dir.join("sqlite")).expect("SQLite opens"))),
];

fn main() {
    let mut criterion = shared::criterion();
    let mut lines = Vec::new();
    let mut group = criterion.benchmark_group("node_payments");
    for channels in CHANNELS {
        for (backend, open) in BACKENDS {
            let name = format!("{backend}/N={channels}");
            if let Some(rate) = measure(&mut group, &name, open, channels) {
                lines.push(format!("{name}: {rate:.0} payments/s"));
            }
        }
    }
    group.finish();
    for line in lines {
        println!("{line}");
    }
    criterion.final_summary();
}

/// Payments per second over everything that was measured; `None` if nothing was.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    open: Open,
    channels: u64,
) -> Option<f64> {
    let runtime = shared::runtime();
    let dirs = [(); 2].map(|()| shared::directory());
    let stores = [0, 1].map(|who: usize| {
        let store = Store::open_shared(open(dirs[who].path()), StoreOptions::default());
        runtime.block_on(store).expect("store opens")
    });
    let mut pairs: Vec<Pair> =
        (0..channels).map(|n| runtime.block_on(Pair::open(&stores, n))).collect();
    let (mut payments, mut spent) = (0, Duration::ZERO);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let each = iterations.div_ceil(channels);
            let start = Instant::now();
            pairs = shared::at_once(&runtime, std::mem::take(&mut pairs), |pair| pay(pair, each));
            let time = start.elapsed();
            payments += each * channels;
            spent += time;
            time.mul_f64(iterations as f64 / (each * channels) as f64)
        });
    });
    (payments > 0).then(|| payments as f64 / spent.as_secs_f64())
}

/// Makes payments, one after the other.
async fn pay(mut pair: Pair, payments: u64) -> Pair {
    for _ in 0..payments {
        pair.pay().await;
    }
    pair
}
