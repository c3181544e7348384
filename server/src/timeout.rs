//! A timeout that costs nothing if its future is ready immediately.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;

/// Awaits `future` for up to `limit`. Most futures of a call are ready when they are polled first: only the others need a timer. It is
/// boxed, as otherwise the futures of all calls would be larger by its size.
///
/// # Errors
/// Returns an error if `limit` expires.
pub(crate) async fn timeout<F: Future>(limit: Duration, mut future: Pin<&mut F>) -> Result<F::Output, Elapsed> {
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Box::pin(tokio::time::timeout(limit, future)).await,
    }
}
