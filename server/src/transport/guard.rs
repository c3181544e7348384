//! The requests of one connection: each keeps the connection active until its response is sent and its call has ended.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::limits::ConnectionPermit;
use super::shutdown::Shutdown;

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
    _permit: ConnectionPermit,
}

impl ConnectionState {
    pub(crate) fn new(peer: IpAddr, shutdown: Shutdown, permit: ConnectionPermit) -> Arc<Self> {
        Arc::new(ConnectionState {
            peer,
            shutdown,
            active_requests: AtomicUsize::new(0),
            total_requests: AtomicUsize::new(0),
            _permit: permit,
        })
    }

    /// Returns `true` while a response is being sent or a call of the connection is running.
    pub(crate) fn is_active(&self) -> bool {
        self.active_requests.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of requests since the connection was opened.
    pub(crate) fn total_requests(&self) -> usize {
        self.total_requests.load(Ordering::Relaxed)
    }
}

/// Keeps the connection of one request active; held by the request, its call and its response body.
pub(crate) struct RequestGuard {
    /// The connection runs more calls than it may. Calls of HTTP/2 streams that the client has reset count too.
    pub(crate) exceeds_call_limit: bool,
    connection: Arc<ConnectionState>,
}

impl RequestGuard {
    pub(crate) fn new(connection: Arc<ConnectionState>) -> Arc<Self> {
        connection.total_requests.fetch_add(1, Ordering::Relaxed);
        let other_requests = connection.active_requests.fetch_add(1, Ordering::Relaxed);
        Arc::new(RequestGuard { exceeds_call_limit: other_requests >= MAX_CALLS as usize, connection })
    }

    /// Returns the remote address of the socket.
    pub(crate) fn peer(&self) -> IpAddr {
        self.connection.peer
    }

    /// Returns `true` once the server is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.connection.shutdown.draining.is_cancelled()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.connection.active_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response body that keeps its connection active.
pub(crate) struct GuardedBody<B> {
    pub(crate) body: B,
    pub(crate) _guard: Arc<RequestGuard>,
}

impl<B: Body + Unpin> Body for GuardedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
