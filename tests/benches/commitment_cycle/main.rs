//! One turn of the commitment protocol, durable at each step, beside raw writes of as many bytes.
//!
//! A cycle is three calls: the peer's next commitment with two updates is appended, its
//! revocation advances the tail and brings a forwarding package, our next commitment is stored.
//! Each returns when its change is durable. `H` is the number of HTLCs in flight, `N` the number
//! of channels that run cycles at the same time.
//!
//! The raw line writes the bytes that the store wrote for a cycle (`wchar` of `/proc/self/io`) in
//! three pieces, each followed by `fdatasync`, into a file that does not grow. The last lines put
//! both in relation: compare within one run only.

#![allow(clippy::expect_used, reason = "a benchmark that fails has nothing to report")]

#[path = "../shared/mod.rs"]
mod shared;
mod workload;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use channelcoord::{Backend, Store, StoreOptions};
use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};

use crate::workload::Link;

/// HTLCs in flight.
const IN_FLIGHT: [usize; 3] = [0, 30, 300];

/// Channels at work.
const CHANNELS: [usize; 2] = [1, 64];

/// Cycles that each channel runs before anything is measured.
const WARM_UP: u64 = 3;

type Open = fn(&Path) -> Arc<dyn Backend>;

const BACKENDS: [(&str, Open); 2] = [
    ("redb", |dir| Arc::new(kvstore::RedbBackend::open(dir.join("redb")).expect("redb opens"))),
    ("sqlite", |dir| {
        Arc::new(sqlstore::SqliteBackend::open(dir.join("sqlite")).expect("SQLite opens"))
    }),
];

fn main() {
    let mut criterion = shared::criterion();
    let mut lines = Vec::new();
    let mut group = criterion.benchmark_group("commitment_cycle");
    for in_flight in IN_FLIGHT {
        for channels in CHANNELS {
            for (backend, open) in BACKENDS {
                let name = format!("{backend}/H={in_flight}/N={channels}");
                let store = measure_store(&mut group, &name, open, in_flight, channels);
                let raw = measure_raw(&mut group, &name, store.bytes);
                if let (Some(store_time), Some(raw_time)) = (store.time, raw) {
                    lines.push(format!(
                        "{name}: {:.0} cycles/s, {} bytes/cycle, {:.2} x raw",
                        1.0 / store_time.as_secs_f64(),
                        store.bytes,
                        raw_time.as_secs_f64() / store_time.as_secs_f64(),
                    ));
                }
            }
        }
    }
    group.finish();
    for line in lines {
        println!("{line}");
    }
    criterion.final_summary();
}

/// Time and bytes of one cycle, over everything that was measured.
#[derive(Default)]
struct Measured {
    time: Option<Duration>,
    bytes: u64,
}

#[derive(Default)]
struct Totals {
    cycles: u64,
    bytes: u64,
    time: Duration,
}

impl Totals {
    fn mean(&self) -> Measured {
        match u32::try_from(self.cycles) {
            Ok(cycles) if cycles > 0 => {
                Measured { time: Some(self.time / cycles), bytes: self.bytes / self.cycles }
            }
            _ => Measured::default(),
        }
    }
}

fn measure_store(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    open: Open,
    in_flight: usize,
    channels: usize,
) -> Measured {
    let dir = shared::directory();
    let runtime = shared::runtime();
    let open_store = || {
        runtime
            .block_on(Store::open_shared(open(dir.path()), StoreOptions::default()))
            .expect("store opens")
    };
    let store = open_store();
    let mut links: Vec<Link> = (0..channels).map(|n| Link::new(n as u64, in_flight)).collect();
    for link in &mut links {
        runtime.block_on(link.open(&store));
        for _ in 0..WARM_UP {
            runtime.block_on(link.cycle(&store));
        }
    }
    // Measured is a store that was opened, not one that has just been filled.
    runtime.block_on(store.close()).expect("store closes");
    drop(store);
    let store = open_store();

    let mut totals = Totals::default();
    group.bench_function(BenchmarkId::new("store", name), |bencher| {
        bencher.iter_custom(|iterations| {
            let each = iterations.div_ceil(links.len() as u64);
            for link in &mut links {
                link.prepare(each);
            }
            let before = written_bytes();
            let start = Instant::now();
            links = shared::at_once(&runtime, std::mem::take(&mut links), |link| {
                run(link, store.clone(), each)
            });
            let time = start.elapsed();
            let cycles = each * links.len() as u64;
            totals.cycles += cycles;
            totals.bytes += written_bytes() - before;
            totals.time += time;
            time.mul_f64(iterations as f64 / cycles as f64)
        });
    });
    totals.mean()
}

/// Runs cycles, one after the other.
async fn run(mut link: Link, store: Store, cycles: u64) -> Link {
    for _ in 0..cycles {
        link.cycle(&store).await;
    }
    link
}

fn measure_raw(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    bytes: u64,
) -> Option<Duration> {
    let dir = shared::directory();
    let file = raw_file(&dir.path().join("raw"), bytes);
    let piece = vec![0x5a; (bytes as usize).div_ceil(3)];
    let mut totals = Totals::default();
    group.bench_function(BenchmarkId::new("raw", name), |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                for part in 0..3 {
                    file.write_all_at(&piece, part * piece.len() as u64).expect("write");
                    file.sync_data().expect("sync");
                }
            }
            let time = start.elapsed();
            totals.cycles += iterations;
            totals.time += time;
            time
        });
    });
    totals.mean().time
}

/// A file of its final size, so that no write grows it.
fn raw_file(path: &Path, bytes: u64) -> File {
    let file = OpenOptions::new().create_new(true).write(true).open(path).expect("raw file");
    file.write_all_at(&vec![0; bytes as usize + 3], 0).expect("write");
    file.sync_all().expect("sync");
    file
}

/// Bytes that this process handed to write calls; 0 where the system does not tell.
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let wchar = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    wchar.and_then(|value| value.parse().ok()).unwrap_or(0)
}
