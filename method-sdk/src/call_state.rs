//! The state of one call, shared by the method's handler and the client's connection.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::account_api::BoxFuture;
use crate::{DatabaseHandle, Request, Session};

/// The future of an `on_connection_close`.
pub type HookFuture = BoxFuture<'static, ()>;

/// Chunks that a stream buffers before `write` waits for the client.
const BUFFERED_CHUNKS: usize = 16;

/// The argument of `on_connection_close`: a view of the call whose client has disconnected.
#[derive(Debug, Clone)]
pub struct ClosedCall {
    pub(crate) request: Request,
    pub(crate) session: Option<Box<Session>>,
    pub(crate) connection: DatabaseHandle,
}

impl ClosedCall {
    /// Returns the request whose response the client did not wait for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the session that was current when the client disconnected.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// Returns the server's database.
    pub fn connection(&self) -> &DatabaseHandle {
        &self.connection
    }
}

/// The error of [`Handler::write`](crate::Handler::write) after the client has disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDisconnected;

/// The state of one call: `Waiting`, perhaps `Streaming`, and at the end `Complete` or `Disconnected`.
///
/// The handler moves it forward when the method streams its response, and the server when it has sent the response or the client
/// disconnects.
#[derive(Default)]
pub struct CallState {
    progress: Mutex<Progress>,
    /// Created by the first call of [`closed`](CallState::closed) or [`close`](CallState::close): most calls need none.
    closed: OnceLock<CancellationToken>,
}

/// Everything under one lock, so that a client that disconnects while the handler is being created is noticed by exactly one side.
#[derive(Default)]
struct Progress {
    phase: Phase,
    /// A response that the method has begun to stream and the connection has not taken yet.
    response: Option<StreamingResponse>,
    hook: Option<Box<PendingHook>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// Nothing has been sent.
    #[default]
    Waiting,
    /// The method streams its response.
    Streaming,
    /// The response is complete, or will not continue: the client misses nothing by disconnecting.
    Complete,
    /// The client disconnected before the response was complete.
    Disconnected {
        /// The method had begun to stream, or has tried to since.
        is_streaming: bool,
    },
}

/// `on_connection_close` and its argument.
type PendingHook = (fn(ClosedCall) -> HookFuture, ClosedCall);

/// A streamed response: its head, and the chunks as the method writes them.
pub struct StreamingResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
    /// The chunks of the body. The body ends cleanly only if [`CallState::is_complete`] returns `true` at its end.
    pub chunks: mpsc::Receiver<Bytes>,
}

impl CallState {
    /// Takes the response that the method has begun to stream; returns it once.
    pub fn take_streaming(&self) -> Option<StreamingResponse> {
        self.progress().response.take()
    }

    /// Returns `true` if the method has begun to stream its response, or the response is complete.
    pub fn is_streamed(&self) -> bool {
        matches!(self.progress().phase, Phase::Streaming | Phase::Complete | Phase::Disconnected { is_streaming: true })
    }

    /// Returns `true` if the response is complete.
    pub fn is_complete(&self) -> bool {
        self.progress().phase == Phase::Complete
    }

    /// Marks the response as complete: from now on a disconnect of the client has no effect.
    pub fn complete(&self) {
        self.progress().phase = Phase::Complete;
    }

    /// Resolves [`closed`](CallState::closed), because the client has disconnected, the timeout has expired or the server is stopping.
    pub fn close(&self) {
        self.closed_token().cancel();
    }

    /// Records that the client has disconnected, and resolves [`closed`](CallState::closed).
    ///
    /// Returns the future of `on_connection_close`, once. Does nothing if the response is complete.
    pub fn disconnect(&self) -> Option<HookFuture> {
        let mut progress = self.progress();
        progress.phase = match progress.phase {
            Phase::Complete => return None,
            Phase::Waiting => Phase::Disconnected { is_streaming: false },
            Phase::Streaming => Phase::Disconnected { is_streaming: true },
            disconnected @ Phase::Disconnected { .. } => disconnected,
        };
        progress.response = None; // so that writes fail instead of waiting for the connection
        let hook = progress.hook.take();
        drop(progress);
        self.close();
        hook.map(|hook| (hook.0)(hook.1))
    }

    /// Returns the future of `on_connection_close` if the client disconnected before the handler existed.
    pub fn take_pending_hook(&self) -> Option<HookFuture> {
        let mut progress = self.progress();
        let is_disconnected = matches!(progress.phase, Phase::Disconnected { .. });
        let hook = if is_disconnected { progress.hook.take() } else { None };
        drop(progress);
        hook.map(|hook| (hook.0)(hook.1))
    }

    /// Waits until the client has disconnected, the timeout has expired, or the server stops.
    pub async fn closed(&self) {
        self.closed_token().cancelled().await;
    }

    pub(crate) fn set_hook(&self, hook: fn(ClosedCall) -> HookFuture, closed_call: ClosedCall) {
        self.progress().hook = Some(Box::new((hook, closed_call)));
    }

    pub(crate) fn set_session(&self, session: Option<&Session>) {
        if let Some(hook) = &mut self.progress().hook {
            hook.1.session = session.cloned().map(Box::new);
        }
    }

    /// Begins to stream; the connection takes the response at its next poll. After a disconnect, or after the response is complete, the
    /// first chunk already fails.
    pub(crate) fn start_streaming(&self, status: StatusCode, headers: HeaderMap) -> mpsc::Sender<Bytes> {
        let (sender, chunks) = mpsc::channel(BUFFERED_CHUNKS);
        let mut progress = self.progress();
        progress.phase = match progress.phase {
            Phase::Disconnected { .. } => Phase::Disconnected { is_streaming: true },
            Phase::Waiting => {
                progress.response = Some(StreamingResponse { status, headers, chunks });
                Phase::Streaming
            }
            phase @ (Phase::Streaming | Phase::Complete) => phase,
        };
        sender
    }

    fn closed_token(&self) -> &CancellationToken {
        self.closed.get_or_init(CancellationToken::new)
    }

    /// The value behind the lock is consistent at all times, so a panic elsewhere does not invalidate it.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallState").field("phase", &self.progress().phase).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Display for ClientDisconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has disconnected")
    }
}

impl std::error::Error for ClientDisconnected {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_client_that_disconnects_before_the_handler_exists_runs_the_hook_once() {
        let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:").expect("the URL is valid");
        let (head, ()) = http::Request::new(()).into_parts();
        let info = crate::host::RequestInfo::new("id".to_owned(), [127, 0, 0, 1].into(), head);
        let closed_call = ClosedCall {
            request: Request::new(Arc::new(info), "demo.wait", Bytes::new()),
            session: None,
            connection: DatabaseHandle::new(crate::Database::Sqlite(pool)),
        };
        let state = CallState::default();
        assert!(state.take_pending_hook().is_none());
        assert!(state.disconnect().is_none(), "there is no hook yet");
        state.set_hook(|_| Box::pin(std::future::ready(())), closed_call);
        assert!(state.take_pending_hook().is_some());
        assert!(state.take_pending_hook().is_none() && state.disconnect().is_none(), "only once");
    }

    #[tokio::test]
    async fn a_stream_that_begins_after_the_response_is_complete_fails_at_its_first_chunk() {
        let state = CallState::default();
        state.complete();
        let chunks = state.start_streaming(StatusCode::OK, HeaderMap::new());
        assert!(chunks.send(Bytes::from_static(b"late")).await.is_err() && state.is_complete());
    }

    #[tokio::test]
    async fn a_stream_that_begins_after_the_client_has_disconnected_fails_at_its_first_chunk() {
        let state = CallState::default();
        assert!(state.disconnect().is_none());
        let chunks = state.start_streaming(StatusCode::OK, HeaderMap::new());
        assert!(chunks.send(Bytes::from_static(b"late")).await.is_err());
        assert!(state.take_streaming().is_none() && state.is_streamed());
        state.closed().await;
    }

    #[tokio::test]
    async fn a_complete_response_is_not_affected_by_a_disconnect() {
        let state = CallState::default();
        state.complete();
        assert!(state.disconnect().is_none() && state.is_complete());
    }
}
