//! What a request knows of its connection, and how long it keeps that at work.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::Version;
use hyper::body::{Body, Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::transport::limits::ConnectionPermit;

/// Calls of one connection that may go on at once, and so the HTTP/2 streams that it may open.
pub(crate) const MAX_CALLS: u32 = 128;

/// How a server ends: first it says that it is leaving, then it closes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Answers say `connection: close`, and `/readyz` says no.
    pub(crate) draining: CancellationToken,
    /// Nothing new is accepted; connections end with what they have under way.
    pub(crate) closing: CancellationToken,
}

/// What the requests of one connection share. It outlives the connection as long as one of its calls goes on: a client that leaves
/// does not get its place back before that.
pub(crate) struct ConnectionState {
    peer: IpAddr,
    shutdown: Shutdown,
    at_work: AtomicUsize,
    _permit: ConnectionPermit,
}

impl ConnectionState {
    pub(crate) fn new(peer: IpAddr, shutdown: Shutdown, permit: ConnectionPermit) -> Arc<Self> {
        Arc::new(ConnectionState { peer, shutdown, at_work: AtomicUsize::new(0), _permit: permit })
    }

    /// Whether any request is being answered, or any call of the connection goes on.
    pub(crate) fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }
}

/// What a request knows of its connection. As long as it lives, the connection is at work: until the last byte of the answer, and until
/// the end of the call.
pub(crate) struct RequestGuard {
    pub(crate) version: Version,
    /// More calls of this connection go on than it may have: those of HTTP/2 streams that the client has reset count too.
    pub(crate) is_one_too_many: bool,
    connection: Arc<ConnectionState>,
}

impl RequestGuard {
    /// The address at the other end of the socket.
    pub(crate) fn peer(&self) -> IpAddr {
        self.connection.peer
    }

    /// Whether the server is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.connection.shutdown.draining.is_cancelled()
    }

    pub(crate) fn new(version: Version, connection: Arc<ConnectionState>) -> Arc<Self> {
        let others = connection.at_work.fetch_add(1, Ordering::Relaxed);
        Arc::new(RequestGuard { version, is_one_too_many: others >= MAX_CALLS as usize, connection })
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.connection.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which keeps its connection at work.
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
