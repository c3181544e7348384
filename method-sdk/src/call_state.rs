//! What the two ends of one call share: the method's handler at one end, the client's connection at the other.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::{Notify, mpsc};

use crate::generated::HookFuture;
use crate::{DatabaseHandle, Request, Session};

/// Chunks that wait in a stream before `write` waits for the client to take some.
const CHUNKS: usize = 16;

/// What `on_connection_close` is given: a view of the call whose client has gone.
#[derive(Debug, Clone)]
pub struct ClosedCall {
    pub(crate) request: Arc<Request>,
    pub(crate) session: Option<Session>,
    pub(crate) connection: DatabaseHandle,
}

impl ClosedCall {
    /// The request that the client did not wait for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The session that was current when the client left, if there was one.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The server's connection to its database.
    pub fn connection(&self) -> &DatabaseHandle {
        &self.connection
    }
}

/// The client has gone: there is nobody to write to. What [`Handler::write`](crate::Handler::write) fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDisconnected;

/// The line between a running method and its client. The server holds one end and a handler the other.
#[derive(Default)]
pub struct CallState {
    gone: AtomicBool,
    gone_notify: Notify,
    started: AtomicBool,
    finished: AtomicBool,
    streaming: Mutex<Option<StreamingResponse>>,
    leaving: Mutex<DisconnectState>,
}

/// Whether the client has left, and what is to run when it does. Under one lock, so that of a client that leaves and a handler that is
/// being made one always sees the other.
#[derive(Default)]
struct DisconnectState {
    has_left: bool,
    hook: Option<PendingHook>,
}

/// `on_connection_close`, and what it will be given.
type PendingHook = (fn(ClosedCall) -> HookFuture, ClosedCall);

/// An answer written by hand: its head, and the chunks as they come.
pub struct StreamingResponse {
    /// The status to answer with.
    pub status: StatusCode,
    /// The headers to answer with.
    pub headers: HeaderMap,
    /// The body, as the method writes it. It ends cleanly only if [`CallState::is_finished`].
    pub chunks: mpsc::Receiver<Bytes>,
}

impl CallState {
    /// What the method has started to write, once.
    pub fn take_streaming(&self) -> Option<StreamingResponse> {
        lock(&self.streaming).take()
    }

    /// Whether the method has begun to write its answer by hand.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Whether the answer is complete: a client that leaves now has missed nothing.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// The answer is complete.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// The client has left, or the time is up: resolves [`closed`](CallState::closed).
    pub fn close(&self) {
        self.gone.store(true, Ordering::Release);
        self.gone_notify.notify_waiters();
    }

    /// The client has left: resolves [`closed`](CallState::closed) and gives what `on_connection_close` has to do, once and only if the answer
    /// was not complete.
    pub fn client_gone(&self) -> Option<HookFuture> {
        if self.is_finished() {
            return None;
        }
        self.close();
        let mut leaving = lock(&self.leaving);
        leaving.has_left = true;
        let (hook, closed) = leaving.hook.take()?;
        Some(hook(closed))
    }

    /// What `on_connection_close` has to do if the client left before there was a handler to tell of it; once.
    pub fn take_pending_hook(&self) -> Option<HookFuture> {
        let mut leaving = lock(&self.leaving);
        let (hook, closed) = leaving.has_left.then(|| leaving.hook.take()).flatten()?;
        Some(hook(closed))
    }

    /// Resolves when the client has gone or the time is up.
    pub async fn closed(&self) {
        let notified = self.gone_notify.notified();
        tokio::pin!(notified);
        // Listen first and look second: a client that leaves between the two is heard.
        notified.as_mut().enable();
        if !self.gone.load(Ordering::Acquire) {
            notified.await;
        }
    }

    pub(crate) fn set_hook(&self, hook: fn(ClosedCall) -> HookFuture, closed: ClosedCall) {
        lock(&self.leaving).hook = Some((hook, closed));
    }

    pub(crate) fn set_session(&self, session: Option<&Session>) {
        if let Some((_, closed)) = lock(&self.leaving).hook.as_mut() {
            closed.session = session.cloned();
        }
    }

    pub(crate) fn start_streaming(&self, status: StatusCode, headers: HeaderMap) -> mpsc::Sender<Bytes> {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        *lock(&self.streaming) = Some(StreamingResponse { status, headers, chunks });
        self.started.store(true, Ordering::Release);
        sender
    }
}

/// The values behind these locks are whole at every moment, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallState").field("gone", &self.gone).field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Display for ClientDisconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has gone")
    }
}

impl std::error::Error for ClientDisconnected {}
