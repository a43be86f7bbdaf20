//! A runtime of the store's own, so that it makes progress whatever its callers run on.

use std::future::Future;
use std::io;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Threads that talk to the server.
const THREADS: usize = 2;

/// Runs futures on threads of its own.
#[derive(Debug)]
pub(crate) struct Worker {
    // Taken when dropped.
    runtime: Option<Runtime>,
}

/// A future did not come to its end.
#[derive(Debug, Error)]
#[error("the threads of the store stopped")]
pub(crate) struct Stopped;

impl Worker {
    /// Starts the threads.
    pub(crate) fn start() -> io::Result<Worker> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("chanstore-postgres").enable_all();
        Ok(Worker { runtime: Some(builder.build()?) })
    }

    /// Runs `work` to its end, also if the caller goes away; its answer can be awaited anywhere.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stopped> {
        self.spawn(work)?.await.map_err(|_| Stopped)
    }

    /// Starts `work`.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>, Stopped> {
        self.runtime.as_ref().map(|runtime| runtime.spawn(work)).ok_or(Stopped)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed on a thread of another runtime, where the last
        // owner may well be.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
