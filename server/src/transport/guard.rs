//! The requests of one connection: each keeps the connection active until its response is sent and its call has ended.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::limits::{ClientPermit, ConnectionPermit};
use super::memory::MemoryAccount;
use super::shutdown::Shutdown;
use crate::client_key::ClientKey;

/// The number of calls that one connection may run at the same time, which is also its number of HTTP/2 streams.
pub(crate) const MAX_CALLS: u32 = 128;

/// The state that the requests of one connection share.
///
/// It outlives the connection while one of its calls runs, so that a client that disconnects does not free its connection slot early.
pub(crate) struct ConnectionState {
    peer: IpAddr,
    shutdown: Shutdown,
    active_requests: AtomicUsize,
    total_requests: AtomicUsize,
    /// The requests whose methods stream their responses.
    streaming_requests: AtomicUsize,
    /// The time for a client to take a response that is not streamed.
    response_timeout: Duration,
    /// The memory of the peer.
    memory: MemoryAccount,
    permit: ConnectionPermit,
}

impl ConnectionState {
    pub(crate) fn new(
        peer: IpAddr,
        shutdown: Shutdown,
        permit: ConnectionPermit,
        response_timeout: Duration,
        memory: MemoryAccount,
    ) -> Arc<Self> {
        Arc::new(ConnectionState {
            peer,
            shutdown,
            active_requests: AtomicUsize::new(0),
            total_requests: AtomicUsize::new(0),
            streaming_requests: AtomicUsize::new(0),
            response_timeout,
            memory,
            permit,
        })
    }

    /// Returns the remote address of the socket.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Returns `true` while a response is being sent or a call of the connection is running.
    pub(crate) fn is_active(&self) -> bool {
        self.active_requests.load(Ordering::Relaxed) > 0
    }

    /// Returns `true` while a method streams its response.
    pub(crate) fn is_streaming(&self) -> bool {
        self.streaming_requests.load(Ordering::Relaxed) > 0
    }

    /// Returns the time for a client to take a response that is not streamed.
    pub(crate) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Returns the number of requests since the connection was opened.
    pub(crate) fn total_requests(&self) -> usize {
        self.total_requests.load(Ordering::Relaxed)
    }
}

/// Keeps the connection of one request active; held by the request, its call and its response body.
pub(crate) struct RequestGuard {
    /// The connection runs more calls than it may, or its client has more requests through trusted proxies than it may have. Calls of
    /// HTTP/2 streams that the client has reset count too.
    pub(crate) exceeds_call_limit: bool,
    client: IpAddr,
    _client_permit: Option<ClientPermit>,
    /// The memory of a client behind a trusted proxy; `None` if the client is the peer.
    client_memory: Option<MemoryAccount>,
    /// The bytes of the request's body and of its response that are in memory.
    held_bytes: AtomicUsize,
    is_streaming: AtomicBool,
    /// The number of parts of the response that hyper has taken, and whether it holds the last one because the client is not ready for it.
    sent_parts: AtomicU32,
    waits_for_client: AtomicBool,
    connection: Arc<ConnectionState>,
}

impl RequestGuard {
    /// Creates the guard of a request from a client, whose address is that of the socket or the one that a trusted proxy reports.
    pub(crate) fn new(connection: Arc<ConnectionState>, client: IpAddr) -> Arc<Self> {
        connection.total_requests.fetch_add(1, Ordering::Relaxed);
        let other_requests = connection.active_requests.fetch_add(1, Ordering::Relaxed);
        let client_permit = connection.permit.admit_request(client);
        let is_proxied = client_permit.as_ref().is_ok_and(Option::is_some);
        Arc::new(RequestGuard {
            exceeds_call_limit: other_requests >= MAX_CALLS as usize || client_permit.is_err(),
            client,
            _client_permit: client_permit.unwrap_or_default(),
            client_memory: is_proxied.then(|| connection.memory.of_other_client(ClientKey::new(client))),
            held_bytes: AtomicUsize::new(0),
            is_streaming: AtomicBool::new(false),
            sent_parts: AtomicU32::new(0),
            waits_for_client: AtomicBool::new(false),
            connection,
        })
    }

    /// Returns the address of the client.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// Returns `true` if the client has used its share of the memory, or all clients the whole of it.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.memory().is_exhausted()
    }

    /// Counts bytes of the request's body until the request ends. Returns `false` if they exceed the client's share of the memory.
    pub(crate) fn try_hold(&self, bytes: usize) -> bool {
        let is_held = self.memory().try_add(bytes);
        if is_held {
            self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        is_held
    }

    /// Counts bytes of the response until the request ends.
    pub(crate) fn hold(&self, bytes: usize) {
        self.memory().add(bytes);
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts nothing any more: what was held is no longer in memory.
    pub(crate) fn release(&self) {
        let bytes = self.held_bytes.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.memory().remove(bytes);
        }
    }

    fn memory(&self) -> &MemoryAccount {
        self.client_memory.as_ref().unwrap_or(&self.connection.memory)
    }

    /// Records that the method streams its response: the client may take any time for the whole of it.
    pub(crate) fn set_streaming(&self) {
        if !self.is_streaming.swap(true, Ordering::Relaxed) {
            self.connection.streaming_requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns `true` if the method streams its response.
    pub(crate) fn is_streaming(&self) -> bool {
        self.is_streaming.load(Ordering::Relaxed)
    }

    /// Returns the number of parts of the response that hyper has taken, if the client is not ready for the last of them.
    pub(crate) fn waits_for_client(&self) -> Option<u32> {
        self.waits_for_client.load(Ordering::Relaxed).then(|| self.sent_parts.load(Ordering::Relaxed))
    }

    /// Returns the time for the client to take a response that is not streamed.
    pub(crate) fn response_timeout(&self) -> Duration {
        self.connection.response_timeout
    }

    /// Returns `true` once the server is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.connection.shutdown.draining.is_cancelled()
    }

    /// Waits until the server is shutting down.
    #[cfg(feature = "dev")]
    pub(crate) async fn draining(&self) {
        self.connection.shutdown.draining.cancelled().await;
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.release();
        if *self.is_streaming.get_mut() {
            self.connection.streaming_requests.fetch_sub(1, Ordering::Relaxed);
        }
        self.connection.active_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response body that keeps its connection active.
pub(crate) struct GuardedBody<B> {
    body: B,
    /// The rest of a chunk that is longer than `max_part`.
    rest: Bytes,
    max_part: usize,
    guard: Arc<RequestGuard>,
}

impl<B: Body> GuardedBody<B> {
    /// Creates a body whose chunks are passed on in parts of up to `max_part` bytes.
    pub(crate) fn new(body: B, max_part: usize, guard: Arc<RequestGuard>) -> Self {
        GuardedBody { body, rest: Bytes::new(), max_part, guard }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for GuardedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.guard.waits_for_client.store(false, Ordering::Relaxed);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(chunk))) => self.rest = chunk,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        self.guard.sent_parts.fetch_add(1, Ordering::Relaxed);
        self.guard.waits_for_client.store(true, Ordering::Relaxed);
        let length = self.rest.len().min(self.max_part);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}
