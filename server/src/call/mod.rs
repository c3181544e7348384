//! One call, from what came in to what goes out: authenticate, find, authorize, read the parameters, invoke, write, sign.

pub(crate) mod auth;
pub(crate) mod codec;
pub(crate) mod in_flight;
#[cfg(feature = "dev")]
pub(crate) mod live_methods;
pub(crate) mod methods;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue};
use method_sdk::generated::{MethodResult, RawParams};
use method_sdk::host::CallState;
use method_sdk::{ClientDisconnected, Error, Handler, Invoke, Method, Request, Result, Session, code};
use tokio::sync::Semaphore;

use self::codec::{CallResult, EncodedResponse, Endpoint, ParsedCall};
use self::methods::{MethodTable, ResolvedMethod, STALE};
use crate::account::AccountService;
use crate::log::{AccessLog, AccessLogEntry};

/// Blocking methods that may run at once. The pool they run on has 512 threads, and the checks of passwords need some of those too.
pub(crate) const MAX_BLOCKING: usize = 256;

/// What a call needs of the server.
pub(crate) struct Dispatcher {
    pub(crate) table: MethodTable,
    pub(crate) accounts: Arc<AccountService>,
    pub(crate) blocking: Arc<Semaphore>,
    /// How long `invoke` may take, unless the method says otherwise; `None` is without end.
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) access_log: Arc<dyn AccessLog>,
}

/// A request, read to its end.
pub(crate) struct CallRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
    pub(crate) id: String,
    pub(crate) started: Instant,
}

/// An answer, and the session that is current when it is sent.
struct CompletedCall {
    resolved: Option<ResolvedMethod>,
    session: Option<Session>,
    answer: CallResult,
}

/// Answers a call. It owns what it needs, so that it can go on without its connection.
pub(crate) async fn dispatch(
    dispatcher: Arc<Dispatcher>,
    request: CallRequest,
    call_state: Arc<CallState>,
) -> EncodedResponse {
    let CallRequest { id, peer, started, endpoint, .. } = &request;
    let (id, peer, started, endpoint) = (id.clone(), *peer, *started, endpoint.clone());

    let done = match auth::authenticate(&request.headers, &request.body, &dispatcher.accounts).await {
        Ok(session) => execute(&dispatcher, request, session, call_state).await,
        Err(error) => CompletedCall { resolved: None, session: None, answer: CallResult::error(error) },
    };
    let CompletedCall { resolved, session, answer } = done;

    let mut response = codec::encode(&endpoint, answer);
    if let Some(session) = session.as_ref().filter(|_| response.is_signed()) {
        let (name, signature) = auth::sign(session, &response.body);
        response.headers.insert(name, signature);
    }
    if resolved.is_some_and(|resolved| resolved.is_stale) {
        response.headers.insert(STALE, HeaderValue::from_static("1"));
    }
    let method = resolved.map(|resolved| resolved.method.name);
    let user = session.as_ref().map(|session| session.user_id.as_str());
    dispatcher.access_log.record(&AccessLogEntry::new(&id, peer, started, method, user, &response));
    response
}

async fn execute(
    dispatcher: &Dispatcher,
    request: CallRequest,
    session: Option<Session>,
    call_state: Arc<CallState>,
) -> CompletedCall {
    let CallRequest { endpoint, headers, body, peer, id, .. } = request;
    let (resolved, call) = match find(&dispatcher.table, &endpoint, &body).await {
        Ok(found) => found,
        Err(error) => return CompletedCall { resolved: None, session, answer: CallResult::error(error) },
    };
    let ResolvedMethod { method, is_stale } = resolved;
    let input = match authorize(method, &call, session.is_some()) {
        Ok(input) => input,
        Err(error) => return CompletedCall { resolved: Some(resolved), session, answer: CallResult::error(error) },
    };

    let request = Request { method: method.name, headers, peer, id, body: body.clone() };
    let mut handler = Handler::new(method, request, session, dispatcher.accounts.clone(), call_state.clone());
    if is_stale {
        // For what is written by hand, which goes out by itself.
        let _ = handler.response_header(STALE, "1");
    }
    let own_limit = method.timeout_seconds.map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds)));
    let limit = own_limit.unwrap_or(dispatcher.request_timeout);

    let invocation = with_timeout(limit, &call_state, invoke(&dispatcher.blocking, method, handler, input));
    let invoked = match call_state.take_pending_hook() {
        None => invocation.await,
        // The client has gone before there was a handler to tell of it.
        Some(hook) => tokio::join!(invocation, hook).0,
    };
    match invoked {
        Some((mut handler, outcome)) => {
            let outcome = if call_state.has_started() { end_stream(method, &call_state, outcome) } else { outcome };
            let (status, headers) = handler.take_head();
            CompletedCall {
                resolved: Some(resolved),
                session: handler.into_signer(),
                answer: CallResult { outcome, status, headers },
            }
        }
        None => {
            let error = Error::unavailable("invoke has not answered within its time");
            CompletedCall { resolved: Some(resolved), session: None, answer: CallResult::error(error) }
        }
    }
}

/// Finds the method that is called.
///
/// # Errors
/// 1015, 1002, 1003: the request has no call in it. 1001: no such method.
async fn find<'a>(
    table: &MethodTable,
    endpoint: &'a Endpoint,
    body: &'a [u8],
) -> Result<(ResolvedMethod, ParsedCall<'a>)> {
    let call = codec::decode(endpoint, body)?;
    let resolved = table.find(&call.name).await?;
    Ok((resolved, call))
}

/// Looks whether it may be called like this.
///
/// # Errors
/// 1004: it needs a session. 1015: at the URL endpoint, where the body is looked at only now.
fn authorize<'a>(method: &Method, call: &ParsedCall<'a>, has_session: bool) -> Result<RawParams<'a>> {
    if method.authenticated && !has_session {
        return Err(code::NOT_AUTHORIZED.into());
    }
    call.input()
}

/// Runs `invoke` as it wants to be run. The handler comes back after a panic too: the answer to it is signed.
async fn invoke(
    blocking: &Arc<Semaphore>,
    method: &'static Method,
    mut handler: Handler,
    input: RawParams<'_>,
) -> (Handler, MethodResult) {
    match method.invoke {
        Invoke::Sync(invoke) => {
            let outcome = catch_panic(|| invoke(&mut handler, input));
            (handler, outcome)
        }
        Invoke::Async(invoke) => {
            let invocation = AssertUnwindSafe(async { invoke(&mut handler, input).await });
            let outcome = invocation.catch_unwind().await.unwrap_or_else(|panic| Err(panic_error(&*panic)));
            (handler, outcome)
        }
        Invoke::Blocking(invoke) => {
            let Ok(place) = blocking.clone().try_acquire_owned() else {
                return (handler, Err(Error::unavailable("too many blocking methods are running")));
            };
            let input = OwnedRawParams::from(input);
            let blocking = tokio::task::spawn_blocking(move || {
                // Given back when the method ends, even if nobody waits for it any more.
                let _place = place;
                let outcome = catch_panic(|| invoke(&mut handler, input.as_input()));
                (handler, outcome)
            });
            // Panics are caught inside, and the pool ends with the server, so this is the only way out.
            blocking.await.expect("a blocking invoke is neither cancelled nor left by a panic")
        }
    }
}

/// Waits for `invoke` within its time, or without end once it has begun to write. `None`: the time is up, and it has been dropped.
async fn with_timeout<T>(
    limit: Option<Duration>,
    call_state: &CallState,
    invocation: impl Future<Output = T>,
) -> Option<T> {
    let Some(limit) = limit else { return Some(invocation.await) };
    tokio::pin!(invocation);
    tokio::select! {
        biased;
        done = &mut invocation => return Some(done),
        () = tokio::time::sleep(limit) => {}
    }
    if call_state.has_started() {
        return Some(invocation.await);
    }
    call_state.close();
    None
}

/// Ends an answer that was written by hand: cleanly if `invoke` returned a value, else cut short.
fn end_stream(method: &Method, call_state: &CallState, outcome: MethodResult) -> MethodResult {
    match outcome {
        Ok(answer) => {
            if answer.is_some() {
                tracing::warn!(
                    method = method.name,
                    "invoke wrote its answer by hand and returned another, which is not sent"
                );
            }
            call_state.finish();
            Ok(None)
        }
        Err(error)
            if call_state.is_finished() || error.source().is_some_and(|cause| cause.is::<ClientDisconnected>()) =>
        {
            tracing::debug!(method = method.name, "invoke ended after its answer: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn catch_panic(invoke: impl FnOnce() -> MethodResult) -> MethodResult {
    std::panic::catch_unwind(AssertUnwindSafe(invoke)).unwrap_or_else(|panic| Err(panic_error(&*panic)))
}

fn panic_error(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("invoke panicked: {}", text.unwrap_or("without a message")))
}

/// Parameters that can go to another thread.
enum OwnedRawParams {
    Json(Box<serde_json::value::RawValue>),
    Query(String),
}

impl From<RawParams<'_>> for OwnedRawParams {
    fn from(input: RawParams<'_>) -> Self {
        match input {
            RawParams::Json(json) => OwnedRawParams::Json(json.to_owned()),
            RawParams::Query(query) => OwnedRawParams::Query(query.to_owned()),
        }
    }
}

impl OwnedRawParams {
    fn as_input(&self) -> RawParams<'_> {
        match self {
            OwnedRawParams::Json(json) => RawParams::Json(json),
            OwnedRawParams::Query(query) => RawParams::Query(query),
        }
    }
}
