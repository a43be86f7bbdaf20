//! Futures advanced by hand, so that the order of calls is the same in every run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A call on its way.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Polls a call once: up to its place in the commit queue, or to a lock that is taken.
///
/// # Panics
/// If the call ends at once.
pub fn poll_once<'a, T>(call: impl Future<Output = T> + Send + 'a) -> Call<'a, T> {
    let mut call: Call<'a, T> = Box::pin(call);
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => call,
        Poll::Ready(_) => panic!("the call did not wait"),
    }
}

/// Awaits calls one after the other.
pub async fn finish<T>(calls: Vec<Call<'_, T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(calls.len());
    for call in calls {
        results.push(call.await);
    }
    results
}
