//! HTTP: from a request on a connection to its response. The only module that uses warp's filters.

mod body;
mod cors;
pub(crate) mod forwarded;
pub(crate) mod request;
mod response;
mod route;

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method};
use method_sdk::Error;
use method_sdk::host::CallState;
use warp::filters::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use self::request::RequestHead;
use self::route::Route;
use super::guard::RequestGuard;
use crate::call::in_flight::{CallResponse, InFlightCall};
use crate::call::{self, CallRequest};
use crate::log::AccessLogEntry;
use crate::state::AppState;

/// The one filter: it accepts every request, and every request gets a response.
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
    http_method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    guard: Arc<RequestGuard>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let peer = forwarded::client_ip(guard.peer(), &headers, &state.config.trusted_proxies);
    let info = state.request_ids.assign(headers, peer);
    let request = RequestHead { http_method, path: path.as_str(), query, info };
    let response = match handle_request(&state, &request, &guard, body).await {
        Ok(response) => response,
        Err(error) => {
            let response = response::error(error);
            state.dispatcher.access_log.record(&AccessLogEntry::new(&request.info, None, None, &response));
            CallResponse::Full(response)
        }
    };
    response::into_http(response, &request.info, &state.config.allow_origins)
}

/// Routes a request, reads its body and calls its method. Errors are those of requests that do not become a call.
async fn handle_request(
    state: &AppState,
    request: &RequestHead<'_>,
    guard: &Arc<RequestGuard>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<CallResponse, Error> {
    let endpoint = match route::route(state, request, guard).await? {
        Route::Call(endpoint) => endpoint,
        Route::Liveness => return Ok(CallResponse::Full(response::alive())),
        Route::Readiness => return Ok(CallResponse::Full(response::readiness(state, guard).await)),
        Route::Preflight => return Ok(CallResponse::Full(response::preflight())),
    };
    let body = body::read_body(&state.config, request, body).await?;
    let call_state = Arc::new(CallState::default());
    let call_request = CallRequest { endpoint, info: request.info.clone(), body };
    let call = call::dispatch(state.dispatcher.clone(), call_request, call_state.clone());
    let guard = guard.clone();
    let call = async move {
        let response = call.await;
        drop(guard); // the connection was active until now, even if the client has disconnected
        response
    };
    Ok(InFlightCall::new(call_state, call, state.detached_calls.clone()).await)
}
