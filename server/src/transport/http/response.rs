//! The responses of the server: of calls, health checks, preflights, and requests that are not calls.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use method_sdk::host::{RequestInfo, has_no_body};
use method_sdk::{Error, code};
use warp::reply::{Reply as _, Response};

use super::body::{CLOSE, UNCOUNTED_BYTES};
use super::cors;
use super::request::REQUEST_ID;
use crate::call::codec::{self, EncodedResponse};
use crate::call::in_flight::{CallResponse, StreamBody};
use crate::config::Config;
use crate::state::AppState;
use crate::transport::guard::RequestGuard;

/// Responses depend on a session, on accounts or on time, so that no cache keeps them unless the method says so.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Browsers do not guess another type than `content-type`.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Converts a response to warp's, and adds the headers of every response: the request id, CORS, and for HTTP/1 the end of the connection
/// while the server is shutting down.
pub(crate) fn into_http(response: CallResponse, info: &RequestInfo, guard: &RequestGuard, config: &Config) -> Response {
    let is_head = info.head.method == Method::HEAD;
    let mut response = match response {
        CallResponse::Full(EncodedResponse { status, mut headers, body, .. }) if is_head => {
            if !has_no_body(status) {
                headers.insert(CONTENT_LENGTH, body.len().into());
            }
            with_head(warp::http::Response::new(Bytes::new()).into_response(), status, headers)
        }
        // The client asks for the head alone: the method's stream is dropped, as if the client had disconnected.
        CallResponse::Streaming(streaming, _) if is_head => {
            let body = warp::http::Response::new(Bytes::new()).into_response();
            with_head(body, streaming.status, streaming.headers)
        }
        CallResponse::Full(response) => {
            if response.body.len() > UNCOUNTED_BYTES {
                guard.hold(response.body.len() - UNCOUNTED_BYTES);
            }
            let body = warp::http::Response::new(response.body).into_response();
            with_head(body, response.status, response.headers)
        }
        CallResponse::Streaming(mut streaming, disconnect_guard) => {
            guard.set_streaming();
            let (status, headers) = (streaming.status, std::mem::take(&mut streaming.headers));
            with_head(
                warp::reply::stream(StreamBody::new(streaming, disconnect_guard)).into_response(),
                status,
                headers,
            )
        }
    };
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    cors::apply(headers, &info.head.headers, &config.allow_origins);
    let id = HeaderValue::try_from(info.id.as_str()).expect("a request id has letters, digits, '.', '_' and '-'");
    response.headers_mut().insert(REQUEST_ID, id);
    if guard.is_draining() && info.head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    response
}

/// Returns the response to a request that is not a call: the error with its own HTTP status.
pub(crate) fn error(error: Error) -> EncodedResponse {
    codec::encode_error(error.http_status(), error)
}

/// Returns the response of `/livez`.
pub(crate) fn alive() -> EncodedResponse {
    codec::encode_result("alive")
}

/// Returns the response of `/readyz`: 503 while the server is shutting down or its database does not respond.
pub(crate) async fn readiness(state: &AppState, guard: &RequestGuard) -> EncodedResponse {
    let error = if guard.is_draining() {
        Error::unavailable("the server is shutting down")
    } else if !state.dispatcher.startup.is_done() {
        Error::unavailable("the migrations of the application have not been applied yet")
    } else {
        match state.dispatcher.accounts.store().ping().await {
            Ok(()) => return codec::encode_result("ready"),
            Err(error) => error,
        }
    };
    tracing::warn!("not ready: {error}");
    codec::encode_error(StatusCode::SERVICE_UNAVAILABLE, code::SERVICE_UNAVAILABLE.into())
}

/// Returns the response to a CORS preflight of an allowed origin.
pub(crate) fn preflight(config: &Config) -> EncodedResponse {
    EncodedResponse {
        status: StatusCode::NO_CONTENT,
        headers: cors::preflight_headers(&config.allow_headers),
        body: Bytes::new(),
        error: None,
    }
}

fn with_head(mut response: Response, status: StatusCode, headers: HeaderMap) -> Response {
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
