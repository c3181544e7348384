//! Calls in flight: polled by their connection while the client waits, and as tasks of their own after that.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use method_sdk::generated::HookFuture;
use method_sdk::host::{BoxFuture, CallState, StreamingResponse};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::codec::EncodedResponse;

/// The calls of a server that run as tasks, because they stream or because their client has disconnected.
#[derive(Debug)]
pub(crate) struct DetachedCalls {
    tasks: TaskTracker,
    closing: CancellationToken,
    /// The timeout of `on_connection_close`; `None` is no limit.
    hook_timeout: Option<Duration>,
}

impl DetachedCalls {
    pub(crate) fn new(hook_timeout: Option<Duration>) -> Self {
        DetachedCalls { tasks: TaskTracker::new(), closing: CancellationToken::new(), hook_timeout }
    }

    /// Resolves `closed()` of all detached calls, including later ones, so that streams end.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Waits until all detached calls have ended, once [`close`](DetachedCalls::close) has been called.
    pub(crate) async fn wait(&self) {
        self.tasks.wait().await;
    }

    fn spawn(&self, call_state: Arc<CallState>, mut call: CallFuture) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = &mut call => {}
                () = closing.cancelled() => {
                    call_state.close();
                    call.await;
                }
            }
        });
    }

    /// Records that the client of a call has disconnected, and runs its `on_connection_close`, which holds `guard`.
    fn disconnect(&self, call_state: &CallState, guard: impl Send + 'static) {
        if let Some(hook) = call_state.disconnect() {
            let limit = self.hook_timeout;
            self.tasks.spawn(async move {
                run_hook(hook, limit).await;
                drop(guard);
            });
        }
    }
}

/// Runs `on_connection_close` for up to `limit`. A panic ends it.
pub(super) async fn run_hook(hook: HookFuture, limit: Option<Duration>) {
    let hook = AssertUnwindSafe(hook).catch_unwind();
    let Some(limit) = limit else {
        let _ = hook.await;
        return;
    };
    if timeout(limit, hook).await.is_err() {
        tracing::warn!("`on_connection_close` exceeded `request_timeout` and was dropped");
    }
}

/// A call, to be polled by its connection or by a task.
type CallFuture = BoxFuture<'static, EncodedResponse>;

/// The response of a call.
pub(crate) enum CallResponse {
    Full(EncodedResponse),
    /// The method streams its response, and the call has been detached.
    Streaming(StreamingResponse, DisconnectGuard),
}

/// A call whose client waits for its response.
///
/// If it is dropped before the call has ended, the client has disconnected: the call is detached, and `on_connection_close` runs.
pub(crate) struct InFlightCall<'a, G: Clone + Send + Sync + 'static> {
    call_state: Arc<CallState>,
    /// `None` after the call has ended or been detached.
    call: Option<CallFuture>,
    detached_calls: Arc<DetachedCalls>,
    /// The guard of the request, for `on_connection_close`.
    guard: &'a G,
}

impl<'a, G: Clone + Send + Sync + 'static> InFlightCall<'a, G> {
    pub(crate) fn new(
        call_state: Arc<CallState>,
        call: impl Future<Output = EncodedResponse> + Send + 'static,
        detached_calls: Arc<DetachedCalls>,
        guard: &'a G,
    ) -> Self {
        InFlightCall { call_state, call: Some(Box::pin(call)), detached_calls, guard }
    }

    fn take_streaming(&self) -> Option<CallResponse> {
        let streaming = self.call_state.take_streaming()?;
        let disconnect_guard = DisconnectGuard {
            call_state: self.call_state.clone(),
            detached_calls: self.detached_calls.clone(),
            guard: Some(Box::new(self.guard.clone())),
        };
        Some(CallResponse::Streaming(streaming, disconnect_guard))
    }
}

impl<G: Clone + Send + Sync + 'static> Future for InFlightCall<'_, G> {
    type Output = CallResponse;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CallResponse> {
        let call = self.call.as_mut().expect("a future is not polled after it is ready");
        match call.as_mut().poll(context) {
            Poll::Ready(response) => {
                self.call = None;
                Poll::Ready(self.take_streaming().unwrap_or_else(|| {
                    self.call_state.complete();
                    CallResponse::Full(response)
                }))
            }
            Poll::Pending => match self.take_streaming() {
                Some(streaming) => {
                    if let Some(call) = self.call.take() {
                        self.detached_calls.spawn(self.call_state.clone(), call);
                    }
                    Poll::Ready(streaming)
                }
                None => Poll::Pending,
            },
        }
    }
}

impl<G: Clone + Send + Sync + 'static> Drop for InFlightCall<'_, G> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.detached_calls.disconnect(&self.call_state, self.guard.clone());
            self.detached_calls.spawn(self.call_state.clone(), call);
        }
    }
}

/// Held by the body of a streamed response: dropping it before the response is complete means that the client has disconnected.
pub(crate) struct DisconnectGuard {
    call_state: Arc<CallState>,
    detached_calls: Arc<DetachedCalls>,
    /// The guard of the request, for `on_connection_close`.
    guard: Option<Box<dyn Send + Sync>>,
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        self.detached_calls.disconnect(&self.call_state, self.guard.take());
    }
}

/// The body of a streamed response.
pub(crate) struct StreamBody {
    streaming: StreamingResponse,
    guard: DisconnectGuard,
}

impl StreamBody {
    pub(crate) fn new(streaming: StreamingResponse, guard: DisconnectGuard) -> Self {
        StreamBody { streaming, guard }
    }
}

impl Stream for StreamBody {
    type Item = Result<Bytes, IncompleteStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(chunk) = ready!(self.streaming.chunks.poll_recv(context)) {
            return Poll::Ready(Some(Ok(chunk)));
        }
        // The method has ended the response. If it failed, the client gets an error, and the guard has no disconnect to report.
        let call_state = &self.guard.call_state;
        let is_complete = call_state.is_complete();
        call_state.complete();
        Poll::Ready((!is_complete).then_some(Err(IncompleteStream)))
    }
}

/// The error of a streamed response whose method failed: the connection is aborted, so that the client does not take the chunks it has
/// for the whole response.
#[derive(Debug, thiserror::Error)]
#[error("the method failed after it had begun to stream its response")]
pub(crate) struct IncompleteStream;
