//! One connection: its protocol, its timeouts and its end.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::Request;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_io_timeout::TimeoutStream;

use super::guard::{ConnectionState, MAX_CALLS, RequestGuard};
use super::http;
use super::http2_streams::StreamExecutor;
use super::limits::ConnectionPermit;
use super::shutdown::Shutdown;
use super::slow_reader::SlowReader;
use crate::client_key::ClientKey;
use crate::state::AppState;

/// The first bytes of an HTTP/2 connection with prior knowledge (RFC 9113, 3.4).
pub(crate) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest head of an HTTP/1.1 request, and the largest header list of an HTTP/2 request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HTTP2_HEADER_BYTES: u32 = 16 * 1024;

/// The bytes of bodies that an HTTP/2 client may send before the server has read them.
const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;

/// The time for the first byte of a connection that was opened just before the server closes.
const LATE_FIRST_BYTE_TIMEOUT: Duration = Duration::from_millis(500);

/// The time for the client of an idle HTTP/2 connection to respond to its end while the server closes: a round trip.
const HTTP2_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The bounds of the pause between two looks at an incomplete HTTP/2 preface.
const MIN_PREFACE_PAUSE: Duration = Duration::from_millis(5);
const MAX_PREFACE_PAUSE: Duration = Duration::from_millis(500);

/// Serves a connection until it ends.
pub(crate) async fn serve_connection(
    stream: TcpStream,
    peer: IpAddr,
    permit: ConnectionPermit,
    state: Arc<AppState>,
    shutdown: Shutdown,
) {
    let config = &state.config;
    let late = async {
        shutdown.closing.cancelled().await;
        sleep(LATE_FIRST_BYTE_TIMEOUT).await;
    };
    let is_http2 = tokio::select! {
        sniffed = timeout(config.first_byte_timeout, sniff_http2(&stream)) => match sniffed {
            Ok(Ok(is_http2)) => is_http2,
            _ => return,
        },
        () = late => return,
    };

    serve_stream(stream, is_http2, peer, permit, state, shutdown).await;
}

/// Serves a connection whose protocol is known, until it ends.
pub(crate) async fn serve_stream(
    stream: impl Stream,
    is_http2: bool,
    peer: IpAddr,
    permit: ConnectionPermit,
    state: Arc<AppState>,
    shutdown: Shutdown,
) {
    let memory = state.memory.account(ClientKey::new(peer));
    let connection_state = ConnectionState::new(peer, shutdown.clone(), permit, state.config.response_timeout, memory);
    if is_http2 {
        // Boxed, as otherwise every connection would be larger by the state of HTTP/2.
        Box::pin(serve_http2(stream, &connection_state, &state, &shutdown)).await;
    } else {
        serve_http1(stream, &connection_state, &state, &shutdown).await;
    }
}

/// The bytes of a connection: a socket, or a pipe in memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Stream for S {}

/// Serves a connection of HTTP/1.1 or HTTP/1.0 until the next head does not arrive within the timeout, or until the server closes and the
/// last response is sent.
async fn serve_http1(
    stream: impl Stream,
    connection_state: &Arc<ConnectionState>,
    state: &Arc<AppState>,
    shutdown: &Shutdown,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(state.config.idle_timeout)
            // One buffer for head and body costs the kernel less than two.
            .writev(false)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(
                TokioIo::new(SlowReader::new(with_write_timeout(stream, state), connection_state.clone())),
                service_fn(|request| http::respond(state, guard_request(connection_state, &request, state), request))
            )
    );
    // `biased`: a request that has just arrived is read before the connection ends.
    tokio::select! {
        biased;
        end = connection.as_mut() => return log_end(end, connection_state.peer(), state),
        () = when_woken(shutdown.closing.cancelled()) => {}
    }
    connection.as_mut().graceful_shutdown();
    log_end(connection.await, connection_state.peer(), state);
}

/// Serves a connection of HTTP/2 until it has been idle, or until the server drains and its last response is sent.
async fn serve_http2(
    stream: impl Stream,
    connection_state: &Arc<ConnectionState>,
    state: &Arc<AppState>,
    shutdown: &Shutdown,
) {
    let idle_timeout = state.config.idle_timeout;
    let streams = StreamExecutor::new(idle_timeout);
    let mut connection = pin!(
        http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            // Pings end the connection of a client that has vanished while it waits for a response.
            .keep_alive_interval(idle_timeout)
            .keep_alive_timeout(idle_timeout)
            .max_concurrent_streams(MAX_CALLS)
            .max_header_list_size(MAX_HTTP2_HEADER_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES)
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .serve_connection(
                TokioIo::new(with_write_timeout(stream, state)),
                service_fn(|request| {
                    let guard = guard_request(connection_state, &request, state);
                    streams.announce(guard.clone());
                    http::respond(state, guard, request)
                })
            )
    );
    tokio::select! {
        biased;
        end = connection.as_mut() => return log_end(end, connection_state.peer(), state),
        () = when_woken(idle(connection_state, idle_timeout)) => {}
        () = when_woken(shutdown.draining.cancelled()) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A client that does not respond to the end of the connection keeps neither it nor the server.
    let closed = async {
        shutdown.closing.cancelled().await;
        idle(connection_state, HTTP2_CLOSE_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        end = connection => log_end(end, connection_state.peer(), state),
        () = when_woken(idle(connection_state, idle_timeout)) => {}
        () = when_woken(closed) => {}
    }
}

/// Creates the guard of a request of a connection.
fn guard_request<B>(
    connection_state: &Arc<ConnectionState>,
    request: &Request<B>,
    state: &AppState,
) -> Arc<RequestGuard> {
    let client = http::forwarded::client_ip(connection_state.peer(), request.headers(), &state.config.trusted_proxies);
    RequestGuard::new(connection_state.clone(), client)
}

/// Returns a stream that fails when the client has accepted no byte for `idle_timeout`, because it does not read its response.
fn with_write_timeout<S: Stream>(stream: S, state: &AppState) -> Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(state.config.idle_timeout));
    Box::pin(stream)
}

/// Logs the error that a connection ended with. hyper refuses by itself what it cannot read as a request: such a request has no id and no line
/// in the log, and its response has a status and no body.
fn log_end(end: hyper::Result<()>, peer: IpAddr, state: &AppState) {
    let Err(error) = end else { return };
    tracing::debug!(%peer, "connection error: {error}");
    if error.is_parse() || error.is_parse_too_large() || is_protocol_error(&error) {
        state.unreadable_requests.count(peer);
    }
}

/// Returns `true` if the client has violated the protocol of HTTP/2.
fn is_protocol_error(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| !error.is_io() && error.reason() != Some(h2::Reason::NO_ERROR))
}

/// Returns a future that polls `future` only when it is woken, and not whenever the connection is: two times for each request.
async fn when_woken(future: impl Future<Output = ()>) {
    FuturesUnordered::from_iter([future]).next().await;
}

/// Returns `true` if the connection begins with the HTTP/2 preface. The bytes stay in the socket.
async fn sniff_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut buffer = [0; HTTP2_PREFACE.len()];
    let mut pause = MIN_PREFACE_PAUSE;
    loop {
        let length = stream.peek(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !HTTP2_PREFACE.starts_with(&buffer[..length]) {
            return Ok(false);
        }
        if length == HTTP2_PREFACE.len() {
            return Ok(true);
        }
        // Part of the preface: peeking again without a pause would return the same part.
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PREFACE_PAUSE);
    }
}

/// Resolves when a connection has been inactive for all of `limit`.
async fn idle(connection: &ConnectionState, limit: Duration) {
    // Checks ten times in each period: hyper has no idle timer for HTTP/2.
    let step = (limit / 10).max(Duration::from_millis(1));
    let mut idle_since = Instant::now();
    let mut seen_requests = connection.total_requests();
    while idle_since.elapsed() < limit {
        sleep_until(Instant::now() + step).await;
        let total_requests = connection.total_requests();
        if connection.is_active() || total_requests != seen_requests {
            idle_since = Instant::now();
            seen_requests = total_requests;
        }
    }
}
