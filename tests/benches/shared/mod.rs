//! What the benchmarks of cycles and of payments share.

use std::future::Future;
use std::time::Duration;

use criterion::Criterion;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Few and short measurements: each of them commits thousands of times.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args()
}

/// Runs what waits for stores.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().expect("runtime starts")
}

/// A directory on the disk of the build.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory")
}

/// Lets everyone work at the same time, and gives them back in their order.
pub(crate) fn at_once<T, F>(runtime: &Runtime, all: Vec<T>, work: impl Fn(T) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = all.into_iter().map(|one| runtime.spawn(work(one))).collect();
    let done = tasks.into_iter().map(|task| runtime.block_on(task).expect("the work succeeds"));
    done.collect()
}
