//! HTTP: a request on a connection to something to dispatch, and an answer to a response. The only file that speaks warp's filters.

pub(crate) mod cors;
pub(crate) mod forwarded;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST};
use http::{HeaderMap, HeaderValue, Method as HttpMethod, StatusCode, Version};
use method_sdk::host::CallState;
use method_sdk::{Code, Error, code};
use serde_json::json;
use warp::filters::path::FullPath;
use warp::reply::{Reply as _, Response};
use warp::{Filter, Rejection};

use crate::call::codec::{self, EncodedResponse, Endpoint};
use crate::call::in_flight::{CallResponse, DetachedCalls, InFlightCall, StreamBody};
use crate::call::{self, CallRequest, Dispatcher};
use crate::config::Config;
use crate::log::AccessLogEntry;
use crate::transport::guard::RequestGuard;

const REQUEST_ID: &str = "x-request-id";

/// What the HTTP side of a server needs.
pub(crate) struct AppState {
    pub(crate) config: Config,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) detached: Arc<DetachedCalls>,
    pub(crate) ids: RequestIds,
}

/// The one filter: every request matches, and whatever happens is an answer.
pub(crate) fn filter(state: Arc<AppState>) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .map(move || state.clone())
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Arc<RequestGuard>>())
        .and(warp::body::stream())
        .then(handle)
}

async fn handle(
    state: Arc<AppState>,
    method: HttpMethod,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    guard: Arc<RequestGuard>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let id = state.ids.assign(&headers);
    let origins = &state.config.allow_origins;
    let origin = cors::allowed(&headers, origins);
    let is_allowed_origin = origin.is_some();
    let request = RequestHead { method, path: path.as_str(), query, headers, id: id.clone(), is_allowed_origin };
    let mut response = match handle_request(&state, request, &guard, body).await {
        CallResponse::Full(encoded) => {
            let mut response = warp::http::Response::new(encoded.body).into_response();
            *response.status_mut() = encoded.status;
            *response.headers_mut() = encoded.headers;
            response
        }
        CallResponse::Streaming(mut streaming, guard) => {
            let (status, headers) = (streaming.status, std::mem::take(&mut streaming.headers));
            let mut response = warp::reply::stream(StreamBody { streaming, guard }).into_response();
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    };
    cors::apply(response.headers_mut(), origin, origins);
    let id = HeaderValue::try_from(id).expect("a request id is of letters, digits, '.', '_' and '-'");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// A request whose body is still to be read.
struct RequestHead<'a> {
    method: HttpMethod,
    path: &'a str,
    query: String,
    headers: HeaderMap,
    id: String,
    is_allowed_origin: bool,
}

/// An answer given before there is a call: the error, and headers for it.
struct Refusal(Error, HeaderMap);

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Refusal(code.into(), HeaderMap::new())
    }
}

impl Refusal {
    fn with(mut self, name: http::HeaderName, value: &'static str) -> Self {
        self.1.insert(name, HeaderValue::from_static(value));
        self
    }
}

async fn handle_request(
    state: &AppState,
    request: RequestHead<'_>,
    guard: &Arc<RequestGuard>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> CallResponse {
    let started = Instant::now();
    let peer = forwarded::client_ip(guard.peer(), &request.headers, &state.config.trusted_proxies);
    let id = request.id.clone();
    let refusal = match route(state, &request, guard).await {
        Ok(Route::Answer(response)) => return CallResponse::Full(response),
        Ok(Route::Ready) => return CallResponse::Full(readiness(state, guard).await),
        Ok(Route::Call(endpoint)) => match read_body(state, &request, body).await {
            Ok(body) => {
                let request = CallRequest { endpoint, headers: request.headers, body, peer, id, started };
                let call_state = Arc::new(CallState::default());
                let call = call::dispatch(state.dispatcher.clone(), request, call_state.clone());
                let held = guard.clone();
                let call = async move {
                    let response = call.await;
                    drop(held);
                    response
                };
                return InFlightCall::new(call_state, call, state.detached.clone()).await;
            }
            Err(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    let Refusal(error, headers) = refusal;
    let mut response = codec::encode_error(error.http_status(), error);
    response.headers.extend(headers);
    state.dispatcher.access_log.record(&AccessLogEntry::new(&id, peer, started, None, None, &response));
    CallResponse::Full(response)
}

enum Route {
    Call(Endpoint),
    Ready,
    Answer(EncodedResponse),
}

/// Where a request goes, by its head alone.
async fn route(state: &AppState, request: &RequestHead<'_>, guard: &RequestGuard) -> Result<Route, Refusal> {
    let RequestHead { method, path, headers, .. } = request;
    if guard.is_one_too_many {
        return Err(code::SERVICE_UNAVAILABLE.into());
    }
    // hyper answers these with 200; RFC 9112, 3.2 wants 400.
    if guard.version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Err(code::MALFORMED_REQUEST.into());
    }
    if method == HttpMethod::OPTIONS && cors::is_preflight(headers) && request.is_allowed_origin {
        let response = EncodedResponse {
            status: StatusCode::NO_CONTENT,
            headers: cors::preflight(),
            body: Bytes::new(),
            error: None,
        };
        return Ok(Route::Answer(response));
    }
    let refused = |allow| Refusal::from(code::METHOD_NOT_ALLOWED).with(ALLOW, allow);
    match *path {
        "/livez" | "/readyz" if method != HttpMethod::GET && method != HttpMethod::HEAD => Err(refused("GET, HEAD")),
        "/livez" => Ok(Route::Answer(codec::encode_result(&json!("alive")))),
        "/readyz" => Ok(Route::Ready),
        "/" if method == HttpMethod::POST => Ok(Route::Call(Endpoint::Rpc)),
        "/" => Err(refused("POST")),
        _ => {
            let name = name_of(path);
            let found = state.dispatcher.table.find(&name).await.map(|resolved| resolved.method);
            let query = match (method, found) {
                (&HttpMethod::POST, _) => None,
                (&HttpMethod::GET, Err(_)) => None,
                (&HttpMethod::GET, Ok(found)) if found.get => Some(request.query.clone()),
                (_, Ok(found)) => return Err(refused(if found.get { "GET, POST" } else { "POST" })),
                (_, Err(error)) => return Err(Refusal(error, HeaderMap::new())),
            };
            Ok(Route::Call(Endpoint::Path { name, query }))
        }
    }
}

/// The name in a path: `/a/b/c` or `/a.b.c`. Any other spelling stays as it is, which no method is called.
fn name_of(path: &str) -> String {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.contains('.') { name.to_owned() } else { name.replace('/', ".") }
}

async fn readiness(state: &AppState, guard: &RequestGuard) -> EncodedResponse {
    let unready = if guard.is_draining() {
        Error::unavailable("the server is stopping")
    } else {
        match state.dispatcher.accounts.store().ping().await {
            Ok(()) => return codec::encode_result(&json!("ready")),
            Err(error) => error,
        }
    };
    tracing::warn!("not ready: {unready}");
    codec::encode_error(StatusCode::SERVICE_UNAVAILABLE, Error::from(code::SERVICE_UNAVAILABLE))
}

/// Reads a body within its limits of size and time. With GET there is none: what is signed is the empty string.
async fn read_body(
    state: &AppState,
    request: &RequestHead<'_>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Bytes, Refusal> {
    let RequestHead { method, headers, .. } = request;
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(code::UNSUPPORTED_ENCODING.into());
    }
    if method == HttpMethod::GET {
        return Ok(Bytes::new());
    }
    let max = state.config.max_body;
    let too_large = || Refusal::from(code::REQUEST_TOO_LARGE).with(CONNECTION, "close");
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_announced_too_large = announced.is_some_and(|length| length > max as u64);
    // A client that asks first is told before it has sent anything.
    if is_announced_too_large && headers.contains_key(EXPECT) {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let collected = tokio::time::timeout(state.config.body_timeout, collect_limited(body.as_mut(), max)).await;
    match collected {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => {
            // The client is still sending. Read on a little, so that it gets to see the answer.
            let _ = tokio::time::timeout(state.config.body_timeout, collect_limited(body, max)).await;
            Err(too_large())
        }
        Ok(Err(_)) => Err(Refusal::from(code::MALFORMED_REQUEST).with(CONNECTION, "close")),
        Err(_) => Err(Refusal::from(code::REQUEST_TIMEOUT).with(CONNECTION, "close")),
    }
}

/// The whole of a body; `None` as soon as it is over `max` bytes.
async fn collect_limited<B: Buf>(
    mut body: std::pin::Pin<&mut impl Stream<Item = Result<B, warp::Error>>>,
    max: usize,
) -> Result<Option<Bytes>, warp::Error> {
    let Some(first) = body.next().await else { return Ok(Some(Bytes::new())) };
    let mut first = first?;
    // Most bodies come in one piece, which is not copied.
    let first = first.copy_to_bytes(first.remaining());
    let mut whole: Option<BytesMut> = None;
    let mut size = first.len();
    while size <= max {
        let Some(piece) = body.next().await else {
            return Ok(Some(whole.map_or(first, BytesMut::freeze)));
        };
        let piece = piece?;
        size += piece.remaining();
        whole.get_or_insert_with(|| BytesMut::from(&first[..])).put(piece);
    }
    Ok(None)
}

/// Names requests: what makes them unique is drawn once, when the server starts, and then counted on.
pub(crate) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(RequestIds { start: getrandom::u64()?, next: AtomicU64::new(1) })
    }

    /// The id that came in, if it is a clean one, or the next.
    fn assign(&self, headers: &HeaderMap) -> String {
        let inbound = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_clean_id(id));
        inbound.map_or_else(
            || format!("{:016x}-{:x}", self.start, self.next.fetch_add(1, Ordering::Relaxed)),
            str::to_owned,
        )
    }
}

fn is_clean_id(id: &str) -> bool {
    let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&id.len()) && id.bytes().all(is_clean)
}
