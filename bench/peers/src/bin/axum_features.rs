//! axum with the features of this server that every call uses: an event in a JSON log with the same fields, a request id in and out, a time limit, a limit of
//! the body, and panics caught. With the argument `quiet` the log is off.
//!
//! The layers are tower-http's, in the order that its documentation recommends; the event is emitted by a middleware function.

use std::io::BufWriter;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Json, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use bench_peers::{Chunks, Envelope, HELLO, Params, Reply, has_option, port, stream};
use futures_util::StreamExt;
use serde_json::value::RawValue;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::NonBlockingBuilder;

/// The limits, which are the defaults of this server.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The facts of a call that only its handler knows, for the log.
#[derive(Clone)]
struct Call {
    method: &'static str,
    code: i32,
    user: Option<String>,
    cause: Option<String>,
}

impl Call {
    fn success(method: &'static str) -> Self {
        Call { method, code: 0, user: None, cause: None }
    }
}

async fn rpc(Json(Envelope { method, parameters }): Json<Envelope<String>>) -> Response {
    if method == HELLO { hello(Json(parameters)).await } else { StatusCode::BAD_REQUEST.into_response() }
}

async fn hello(Json(params): Json<Params>) -> Response {
    with_call("demo.hello", Json(bench_peers::hello(params)))
}

async fn echo(body: Bytes) -> Response {
    match serde_json::from_slice::<&RawValue>(&body) {
        Ok(result) => with_call("demo.echo", Json(Reply { result })),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn chunks(Json(Chunks { chunks }): Json<Chunks>) -> Response {
    let body = Body::from_stream(stream(chunks).map(Ok::<_, std::convert::Infallible>));
    with_call("stream", ([(CONTENT_TYPE, "application/octet-stream")], body))
}

fn with_call(method: &'static str, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.extensions_mut().insert(Call::success(method));
    response
}

/// Emits an event for a call, with the fields of this server's.
async fn log(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    let id = id.as_ref().and_then(|id| id.header_value().to_str().ok());
    let status = response.status().as_u16();
    let ms = started.elapsed().as_micros() as f64 / 1000.0;
    let peer = peer.ip();
    let call = response.extensions().get::<Call>();
    let method = call.map(|call| call.method);
    let code = call.map_or(1000, |call| call.code);
    let user = call.and_then(|call| call.user.as_deref());
    let cause = call.and_then(|call| call.cause.as_deref());
    tracing::info!(id, method, code, status, ms, user, %peer, cause, "call");
    response
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // A buffer joins the lines of a busy moment into one write; without it each line would be a system call.
    let (writer, _guard) =
        NonBlockingBuilder::default().lossy(false).finish(BufWriter::with_capacity(64 * 1024, std::io::stderr()));
    let level = if has_option("quiet") { LevelFilter::WARN } else { LevelFilter::INFO };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_max_level(level)
        .with_writer(writer)
        .init();

    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(from_fn(log))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(DefaultBodyLimit::disable());
    let router = Router::new()
        .route("/", post(rpc))
        .route("/demo/hello", post(hello))
        .route("/demo/echo", post(echo))
        .route("/stream", post(chunks))
        .layer(layers);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port())).await?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), service).await
}
