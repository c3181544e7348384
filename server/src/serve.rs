//! From a listener to connections: limits, timeouts, and an end that loses nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::CONNECTION;
use ::http::{HeaderValue, Uri, Version};
use hyper::body::{Body, Frame, SizeHint};
use hyper::service::service_fn;
use hyper::{server::conn::http1, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::client;
use crate::http::{self, Front};

/// The bytes that an HTTP/2 client with prior knowledge begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of an HTTP/1.1 request's head, and of an HTTP/2 request's headers.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HTTP2_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HTTP2_STREAMS: u32 = 128;

/// Calls of one connection that may go on at once.
const MAX_CALLS: usize = MAX_HTTP2_STREAMS as usize;

/// Once the listener takes no new connections, those that are being opened get this long to be whole: one round trip and a bit.
const HANDSHAKES: Duration = Duration::from_millis(200);

/// A connection that was opened just before the end gets this long to send the first byte of its request.
const LATE_FIRST_BYTE: Duration = Duration::from_millis(500);

/// How a server ends: first it says that it is leaving, then it closes.
#[derive(Debug, Clone, Default)]
struct Stop {
    /// Answers say `connection: close`, and `/readyz` says no.
    leaving: CancellationToken,
    /// Nothing new is accepted; connections end with what they have under way.
    closing: CancellationToken,
}

/// What the requests of one connection share. It outlives the connection as long as one of its calls goes on: a client that leaves
/// does not get its place back before that.
struct Shared {
    peer: IpAddr,
    stop: Stop,
    at_work: AtomicUsize,
    _place: Place,
}

/// What a request knows of its connection. As long as it lives, the connection is at work: until the last byte of the answer, and until
/// the end of the call.
pub(crate) struct Arrival {
    pub(crate) version: Version,
    /// More calls of this connection go on than it may have: those of HTTP/2 streams that the client has reset count too.
    pub(crate) is_one_too_many: bool,
    shared: Arc<Shared>,
}

impl Arrival {
    /// The address at the other end of the socket.
    pub(crate) fn peer(&self) -> IpAddr {
        self.shared.peer
    }

    /// Whether the server is about to stop.
    pub(crate) fn is_leaving(&self) -> bool {
        self.shared.stop.leaving.is_cancelled()
    }

    fn new(version: Version, shared: Arc<Shared>) -> Arc<Self> {
        let others = shared.at_work.fetch_add(1, Ordering::Relaxed);
        Arc::new(Arrival { version, is_one_too_many: others >= MAX_CALLS, shared })
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.shared.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which keeps its connection at work.
struct Held<B> {
    body: B,
    _arrival: Arc<Arrival>,
}

impl<B: Body + Unpin> Body for Held<B> {
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

/// Serves until `shutdown` resolves and what is in flight then has ended, or `drain_timeout` has passed.
pub(crate) async fn run(listener: TcpListener, front: Arc<Front>, shutdown: impl Future<Output = ()>) {
    let stop = Stop::default();
    let connections = Connections {
        places: Arc::new(Semaphore::new(front.config.max_connections as usize)),
        per_address: Arc::default(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        front: front.clone(),
    };
    let delay = front.config.shutdown_delay;
    let told_to_stop = async {
        shutdown.await;
        tracing::info!("stopping: accepting for {delay:?} more, so that load balancers notice");
        stop.leaving.cancel();
        sleep(delay).await;
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        () = told_to_stop => {}
    }

    refuse_new(&listener);
    let _ = timeout(HANDSHAKES, connections.accept(&listener)).await;
    drop(listener);
    stop.closing.cancel();
    front.detached.close();
    connections.tasks.close();

    let drained = async {
        connections.tasks.wait().await;
        front.detached.ended().await;
    };
    match timeout(front.config.drain_timeout, drained).await {
        Ok(()) => tracing::info!("stopped: everything in flight has ended"),
        Err(_) => tracing::warn!(connections = connections.tasks.len(), "stopped: what was still in flight is cut off"),
    }
}

/// Lets no new connection begin, while those that have begun get through: a handshake that the client holds for done must not
/// end in a reset. Where this cannot be done, only that is lost.
#[cfg(target_os = "linux")]
fn refuse_new(listener: &TcpListener) {
    use socket2::SockFilter;
    // Classic BPF over the TCP header: drop a packet whose flags (byte 13) have SYN (2), take any other.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!("connections that are being opened at this moment may be reset: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_new(_: &TcpListener) {}

/// The connections of a listener, counted.
struct Connections {
    places: Arc<Semaphore>,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    tasks: TaskTracker,
    stop: Stop,
    front: Arc<Front>,
}

/// A connection's place among those that may be open at once, given back when it is dropped.
struct Place {
    address: Option<IpAddr>,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Accepts without end. With no place free the next connection waits in the kernel's queue.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let Ok(permit) = self.places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let Some(place) = self.place(address.ip(), permit) else {
                        tracing::warn!(peer = %address.ip(), "too many connections from one address: refused");
                        continue;
                    };
                    let _ = stream.set_nodelay(true);
                    let connection = connection(stream, address.ip(), place, self.front.clone(), self.stop.clone());
                    self.tasks.spawn(connection);
                }
                // Out of descriptors, most likely: those that are open go on, and one that ends makes room.
                Err(error) => {
                    tracing::error!("cannot accept a connection: {error}");
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn place(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let config = &self.front.config;
        let per_address = self.per_address.clone();
        // All clients behind a trusted proxy share its address.
        if client::is_trusted(address, &config.trusted_proxies) {
            return Some(Place { address: None, per_address, _permit: permit });
        }
        let mut counts = per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= config.max_connections_per_address {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place { address: Some(address), per_address, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, place: Place, front: Arc<Front>, stop: Stop) {
    let config = &front.config;
    let late = async {
        stop.closing.cancelled().await;
        sleep(LATE_FIRST_BYTE).await;
    };
    let is_http2 = tokio::select! {
        first = timeout(config.first_byte_timeout, is_http2(&stream)) => match first {
            Ok(Ok(is_http2)) => is_http2,
            _ => return,
        },
        () = late => return,
    };

    let idle_timeout = config.idle_timeout;
    let mut stream = TimeoutStream::new(stream);
    // A client that takes nothing for so long is not reading its answer.
    stream.set_write_timeout(Some(idle_timeout));
    let io = TokioIo::new(Box::pin(stream));
    let shared = Arc::new(Shared { peer, stop: stop.clone(), at_work: AtomicUsize::new(0), _place: place });
    let warp = warp::service(http::filter(front.clone()));
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        let arrival = Arrival::new(request.version(), shared.clone());
        request.extensions_mut().insert(arrival.clone());
        // CONNECT names no path, and warp panics without one.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        let answer = warp.clone().call(request);
        async move {
            let mut answer = answer.await?;
            if arrival.version < Version::HTTP_2 && arrival.is_leaving() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| Held { body, _arrival: arrival }))
        }
    });

    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_HTTP2_STREAMS)
            .max_header_list_size(MAX_HTTP2_HEADER_BYTES)
            .serve_connection(io, service);
        let leave = async {
            tokio::select! {
                () = stop.leaving.cancelled() => {}
                () = idle(&shared.at_work, idle_timeout) => {}
            }
        };
        let give_up = idle(&shared.at_work, idle_timeout);
        until_end(connection, leave, |connection| connection.graceful_shutdown(), give_up).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        let give_up = std::future::pending();
        until_end(connection, stop.closing.cancelled(), |connection| connection.graceful_shutdown(), give_up).await;
    }
}

/// Drives a connection to its end, asks it to end when `leave` resolves, and drops it when `give_up` does after that.
async fn until_end<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    leave: impl Future<Output = ()>,
    shut_down: impl FnOnce(Pin<&mut C>),
    give_up: impl Future<Output = ()>,
) {
    tokio::pin!(connection);
    // A connection whose first request has just come is to have read it before it is asked to end.
    let mut ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = leave => None,
    };
    if ended.is_none() {
        shut_down(connection.as_mut());
        ended = tokio::select! {
            ended = connection => Some(ended),
            () = give_up => None,
        };
    }
    if let Some(Err(error)) = ended {
        tracing::debug!("connection: {error}");
    }
}

/// Whether the first bytes are HTTP/2's. They stay in the socket.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let mut wait = Duration::from_millis(5);
    loop {
        let length = stream.peek(&mut first).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..length] != HTTP2_PREFACE[..length] || length == HTTP2_PREFACE.len() {
            return Ok(length == HTTP2_PREFACE.len() && first == *HTTP2_PREFACE);
        }
        // A part of the preface: peeking again would give the same part at once.
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(500));
    }
}

/// Resolves when a connection has had nothing to do for the whole of `limit`.
async fn idle(at_work: &AtomicUsize, limit: Duration) {
    // Looks at ten moments in each period: HTTP/2 has no timer of its own for this.
    let step = (limit / 10).max(Duration::from_millis(1));
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < limit {
        sleep_until(Instant::now() + step).await;
        if at_work.load(Ordering::Relaxed) > 0 {
            idle_since = Instant::now();
        }
    }
}
