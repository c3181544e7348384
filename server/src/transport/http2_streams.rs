//! The streams of an HTTP/2 connection: each is reset if its client does not take its response.
//!
//! hyper does not poll a body while the client grants no window, so that the body cannot notice. The executor of a connection runs the
//! streams, and can.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};

use super::guard::RequestGuard;

/// Runs the streams of one connection as tasks.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    /// The request whose stream is passed next: hyper calls the service, and then the executor with the future of its response.
    next: Arc<Mutex<Option<Arc<RequestGuard>>>>,
    /// The time for the client to take a part of a response.
    idle_timeout: Duration,
}

impl StreamExecutor {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        StreamExecutor { next: Arc::default(), idle_timeout }
    }

    /// Announces the request whose stream is passed next.
    pub(super) fn announce(&self, request: Arc<RequestGuard>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        match self.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(request) => drop(tokio::spawn(drive(stream, request, self.idle_timeout))),
            None => drop(tokio::spawn(stream)),
        }
    }
}

/// Polls a stream to its end, or until its client has not taken a part of the response for `idle_timeout`, or not all of it within
/// `response_timeout`. Dropping the stream resets it.
async fn drive(stream: impl Future<Output = ()>, request: Arc<RequestGuard>, idle_timeout: Duration) {
    let mut stream = pin!(stream);
    let mut watch = StallWatch { idle_timeout, started: None, timer: None };
    poll_fn(|context| match stream.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => watch.poll(&request, context),
    })
    .await;
}

/// Waits until a client has stopped taking its response. It has no timer while the client keeps up.
struct StallWatch {
    idle_timeout: Duration,
    /// The time at which the client was first behind.
    started: Option<Instant>,
    /// The number of parts when the timer was set, and the timer. Boxed, because most streams never need it.
    timer: Option<(u32, std::pin::Pin<Box<Sleep>>)>,
}

impl StallWatch {
    fn poll(&mut self, request: &RequestGuard, context: &mut Context<'_>) -> Poll<()> {
        let Some(parts) = request.waits_for_client() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.as_ref().is_none_or(|(seen, _)| *seen != parts) {
            let now = Instant::now();
            let total = *self.started.get_or_insert(now) + request.response_timeout();
            let stalled = now + self.idle_timeout;
            let deadline = if request.is_streaming() { stalled } else { stalled.min(total) };
            self.timer = Some((parts, Box::pin(sleep_until(deadline))));
        }
        self.timer.as_mut().map_or(Poll::Pending, |(_, timer)| timer.as_mut().poll(context))
    }
}
