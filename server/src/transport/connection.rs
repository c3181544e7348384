//! One connection: which protocol it speaks, its time limits, and its end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONNECTION;
use ::http::{HeaderValue, Uri, Version};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use crate::transport::guard::{ConnectionState, GuardedBody, MAX_CALLS, RequestGuard, Shutdown};
use crate::transport::http::{self, AppState};
use crate::transport::limits::ConnectionPermit;

/// The bytes that an HTTP/2 client with prior knowledge begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of an HTTP/1.1 request's head, and of an HTTP/2 request's headers.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HTTP2_HEADER_BYTES: u32 = 16 * 1024;

/// A connection that was opened just before the end gets this long to send the first byte of its request.
const LATE_FIRST_BYTE: Duration = Duration::from_millis(500);

/// Serves a connection to its end.
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
        sleep(LATE_FIRST_BYTE).await;
    };
    let is_http2 = tokio::select! {
        first = timeout(config.first_byte_timeout, sniff_http2(&stream)) => match first {
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
    let connection_state = ConnectionState::new(peer, shutdown.clone(), permit);
    let warp = warp::service(http::filter(state.clone()));
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        let guard = RequestGuard::new(request.version(), connection_state.clone());
        request.extensions_mut().insert(guard.clone());
        // CONNECT names no path, and warp panics without one.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        let answer = warp.clone().call(request);
        async move {
            let mut answer = answer.await?;
            if guard.version < Version::HTTP_2 && guard.is_draining() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| GuardedBody { body, _guard: guard }))
        }
    });

    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CALLS)
            .max_header_list_size(MAX_HTTP2_HEADER_BYTES)
            .serve_connection(io, service);
        let leave = async {
            tokio::select! {
                () = shutdown.draining.cancelled() => {}
                () = idle(&connection_state, idle_timeout) => {}
            }
        };
        let give_up = idle(&connection_state, idle_timeout);
        drive(connection, leave, |connection| connection.graceful_shutdown(), give_up).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        let give_up = std::future::pending();
        drive(connection, shutdown.closing.cancelled(), |connection| connection.graceful_shutdown(), give_up).await;
    }
}

/// Drives a connection to its end, asks it to end when `leave` resolves, and drops it when `give_up` does after that.
async fn drive<C: Future<Output = hyper::Result<()>>>(
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
async fn sniff_http2(stream: &TcpStream) -> io::Result<bool> {
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
async fn idle(connection: &ConnectionState, limit: Duration) {
    // Looks at ten moments in each period: HTTP/2 has no timer of its own for this.
    let step = (limit / 10).max(Duration::from_millis(1));
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < limit {
        sleep_until(Instant::now() + step).await;
        if connection.is_at_work() {
            idle_since = Instant::now();
        }
    }
}
