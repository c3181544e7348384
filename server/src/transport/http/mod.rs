//! HTTP: from a request on a connection to its response. The only module that uses warp's filters.

mod body;
mod cors;
pub(crate) mod docs;
pub(crate) mod forwarded;
pub(crate) mod host;
pub(crate) mod request;
mod response;
pub(crate) mod route;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::{Request, Version};
use hyper::body::{Body, Incoming};
use method_sdk::Error;
use method_sdk::host::{CallState, RequestInfo};
use tower_service::Service as _;
use warp::Filter as _;
use warp::reply::Response;

use self::route::Route;
use super::guard::{GuardedBody, RequestGuard};
use crate::call::in_flight::{CallResponse, InFlightCall};
use crate::call::{self, CallRequest};
use crate::log::AccessLogEntry;
use crate::state::AppState;

/// The part of a response that an HTTP/2 client must take within `idle_timeout`, in bytes.
const HTTP2_PART_BYTES: usize = 8 * 1024;

/// The part of a response that hyper takes at a time over HTTP/1, in bytes: the rest stays counted in the memory of its client.
const HTTP1_PART_BYTES: usize = 64 * 1024;

/// Handles a request: it always gets a response.
///
/// warp reads the body and writes the response. The head is moved past it into the `RequestInfo`, because a filter would copy it.
pub(crate) fn respond(
    state: &Arc<AppState>,
    guard: Arc<RequestGuard>,
    request: Request<Incoming>,
) -> impl Future<
    Output = Result<http::Response<GuardedBody<impl Body<Data = Bytes, Error = warp::Error> + use<>>>, Infallible>,
> + use<> {
    let state = state.clone();
    let (head, body) = request.into_parts();
    let info = state.request_ids.assign(head, guard.client());
    let max_part = if info.head.version == Version::HTTP_2 { HTTP2_PART_BYTES } else { HTTP1_PART_BYTES };
    async move {
        let filter = warp::body::stream().then(|body| handle(&state, &guard, &info, body));
        let response = warp::service(filter).call(Request::new(body)).await?;
        Ok(response.map(|body| GuardedBody::new(body, max_part, guard)))
    }
}

async fn handle(
    state: &AppState,
    guard: &Arc<RequestGuard>,
    info: &Arc<RequestInfo>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let response = match handle_request(state, guard, info, body).await {
        Ok(response) => response,
        Err(error) => {
            let response = response::error(error);
            state.dispatcher.access_log.record(&AccessLogEntry::new(info, None, None, &response));
            CallResponse::Full(response)
        }
    };
    response::into_http(response, info, guard, &state.config)
}

/// Routes a request, reads its body and calls its method. Errors are those of requests that do not become a call.
async fn handle_request(
    state: &AppState,
    guard: &Arc<RequestGuard>,
    info: &Arc<RequestInfo>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<CallResponse, Error> {
    let route = match route::route(state, &info.head, guard).await {
        Ok(route) => route,
        Err(error) => return Err(body::refuse(&state.config, &info.head, body, error).await),
    };
    if matches!(route, Route::Call(_)) && guard.is_out_of_memory() {
        return Err(body::refuse(&state.config, &info.head, body, body::out_of_memory()).await);
    }
    let body = body::read_body(&state.config, &info.head, body, guard).await?;
    let endpoint = match route {
        Route::Call(endpoint) => endpoint,
        Route::Liveness => return Ok(CallResponse::Full(response::alive())),
        Route::Readiness => return Ok(CallResponse::Full(response::readiness(state, guard).await)),
        Route::ToPage => return Ok(CallResponse::Full(docs::redirect())),
        Route::Page => return Ok(CallResponse::Full(docs::page(&info.head))),
        // Boxed, because the future of every request would be larger.
        Route::Document => return Box::pin(docs::document(state, &info.head, guard)).await.map(CallResponse::Full),
        Route::Preflight => return Ok(CallResponse::Full(response::preflight(&state.config))),
    };
    let call_state = Arc::new(CallState::default());
    let request = CallRequest { endpoint, info: info.clone(), body };
    // The connection is active until the call has ended, even if the client has disconnected.
    let call = call::dispatch(state.dispatcher.clone(), request, call_state.clone(), guard.clone());
    Ok(InFlightCall::new(call_state, call, state.detached_calls.clone(), guard).await)
}
