//! A call under way: answered in place while the client waits, and carried on by itself when it does not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use method_sdk::host::{CallState, StreamingResponse};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::codec::EncodedResponse;

/// The calls of a server that run without a connection waiting for their end.
#[derive(Debug, Default)]
pub(crate) struct DetachedCalls {
    tasks: TaskTracker,
    /// The server is about to stop: streams are to end.
    closing: CancellationToken,
}

impl DetachedCalls {
    /// Resolves `closed()` of every detached call, now and for those to come.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Waits until none is left, once closed.
    pub(crate) async fn ended(&self) {
        self.tasks.wait().await;
    }

    fn spawn(&self, call_state: Arc<CallState>, mut rest: CallFuture) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = &mut rest => {}
                () = closing.cancelled() => {
                    call_state.close();
                    rest.await;
                }
            }
        });
    }
}

type CallFuture = Pin<Box<dyn Future<Output = EncodedResponse> + Send>>;

/// What a connection gets of a call.
pub(crate) enum CallResponse {
    /// The whole answer.
    Full(EncodedResponse),
    /// An answer that is being written, by a call that is now detached.
    Streaming(StreamingResponse, DisconnectGuard),
}

/// A call whose client waits. Dropped before its end, the client has gone: the call is carried on, and `on_connection_close` runs.
pub(crate) struct InFlightCall {
    call_state: Arc<CallState>,
    rest: Option<CallFuture>,
    detached: Arc<DetachedCalls>,
}

impl InFlightCall {
    pub(crate) fn new(
        call_state: Arc<CallState>,
        call: impl Future<Output = EncodedResponse> + Send + 'static,
        detached: Arc<DetachedCalls>,
    ) -> Self {
        InFlightCall { call_state, rest: Some(Box::pin(call)), detached }
    }

    fn streaming(&self) -> Option<CallResponse> {
        let streaming = self.call_state.take_streaming()?;
        let guard =
            DisconnectGuard { call_state: self.call_state.clone(), detached: self.detached.clone(), has_ended: false };
        Some(CallResponse::Streaming(streaming, guard))
    }
}

impl Future for InFlightCall {
    type Output = CallResponse;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CallResponse> {
        let rest = self.rest.as_mut().expect("a future is not polled after its end");
        match rest.as_mut().poll(context) {
            Poll::Ready(response) => {
                self.rest = None;
                Poll::Ready(self.streaming().unwrap_or_else(|| {
                    self.call_state.finish();
                    CallResponse::Full(response)
                }))
            }
            Poll::Pending => match self.streaming() {
                Some(reply) => {
                    if let Some(rest) = self.rest.take() {
                        self.detached.spawn(self.call_state.clone(), rest);
                    }
                    Poll::Ready(reply)
                }
                None => Poll::Pending,
            },
        }
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            client_gone(&self.call_state, &self.detached);
            self.detached.spawn(self.call_state.clone(), rest);
        }
    }
}

/// Held by the body of a stream: when that is dropped before the end, the client has gone.
pub(crate) struct DisconnectGuard {
    call_state: Arc<CallState>,
    detached: Arc<DetachedCalls>,
    has_ended: bool,
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            client_gone(&self.call_state, &self.detached);
        }
    }
}

fn client_gone(call_state: &CallState, detached: &DetachedCalls) {
    if let Some(hook) = call_state.client_gone() {
        detached.tasks.spawn(hook);
    }
}

/// The body of an answer that a method writes by hand.
pub(crate) struct StreamBody {
    pub(crate) streaming: StreamingResponse,
    pub(crate) guard: DisconnectGuard,
}

impl Stream for StreamBody {
    type Item = Result<Bytes, IncompleteStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunk) = ready!(self.streaming.chunks.poll_recv(context)) else {
            // It is the method that has ended it, one way or the other, and not the client.
            self.guard.has_ended = true;
            return Poll::Ready((!self.guard.call_state.is_finished()).then_some(Err(IncompleteStream)));
        };
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// The method failed in mid-stream: the connection is cut, so that the client does not take what it has for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the method failed after it had begun to write its answer")]
pub(crate) struct IncompleteStream;
