//! One call, from its request to its response.

pub(crate) mod auth;
pub(crate) mod codec;
pub(crate) mod in_flight;
mod invoke;
#[cfg(feature = "dev")]
pub(crate) mod live_methods;
pub(crate) mod methods;
pub(crate) mod rate;
pub(crate) mod resolved_method;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use http::HeaderValue;
use method_sdk::generated::RawParams;
use method_sdk::host::{CallState, RequestInfo, add_violations};
use method_sdk::{Error, Handler, Method, Rate, Request, Result, Session, code};

use self::codec::{CallResult, EncodedResponse};
use self::invoke::Invoker;
use self::methods::{MethodTable, ResolvedMethod, STALE};
use self::rate::RateLimits;
use crate::account::AccountService;
use crate::log::{AccessLog, AccessLogEntry};
use crate::startup::Startup;

/// The largest body in which everything that does not fit is looked for, in bytes; in a larger one, the first is enough.
const MAX_EXPLAINED_BYTES: usize = 64 * 1024;

/// The parts of a server that a call uses.
pub(crate) struct Dispatcher {
    pub(crate) methods: MethodTable,
    /// The server is not ready until it is done.
    pub(crate) startup: Startup,
    pub(crate) accounts: Arc<AccountService>,
    pub(crate) invoker: Invoker,
    pub(crate) rates: RateLimits,
    pub(crate) access_log: Arc<dyn AccessLog>,
}

impl Dispatcher {
    /// Creates a dispatcher whose methods have `request_timeout`, unless they declare their own, and whose clients have `request_rate`; `None`
    /// is no limit.
    pub(crate) fn new(
        methods: MethodTable,
        startup: Startup,
        accounts: Arc<AccountService>,
        request_timeout: Option<Duration>,
        request_rate: Option<Rate>,
        access_log: Arc<dyn AccessLog>,
    ) -> Self {
        let (invoker, rates) = (Invoker::new(request_timeout), RateLimits::new(request_rate));
        Dispatcher { methods, startup, accounts, invoker, rates, access_log }
    }
}

/// A request that calls a method, with its body.
pub(crate) struct CallRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) body: Bytes,
}

/// The endpoint that a call came in at.
pub(crate) enum Endpoint {
    /// `POST /`: the envelope in the body names the method.
    Rpc,
    /// `POST /a/b/c`, where the body is the parameters, or `GET /a/b/c`, where the query string is.
    Path {
        /// An unknown method is an error only after the caller has been authenticated.
        method: Result<ResolvedMethod>,
        query: Option<ByteString>,
    },
}

impl Endpoint {
    /// Returns `true` if an error has its own HTTP status here. The RPC endpoint sends 200, as the Python version does.
    fn has_http_statuses(&self) -> bool {
        matches!(self, Endpoint::Path { .. })
    }
}

/// The result of a call, and the session that signs it.
struct CompletedCall {
    /// The called method, if the request names one.
    resolved: Option<ResolvedMethod>,
    session: Option<Box<Session>>,
    result: CallResult,
}

impl CompletedCall {
    fn failed(resolved: Option<ResolvedMethod>, session: Option<Box<Session>>, error: Error) -> Self {
        CompletedCall { resolved, session, result: CallResult::Failure(error) }
    }
}

/// Handles a call: authenticates the caller, executes the method, then encodes, signs and logs the response.
///
/// The future owns everything it uses, so that it can outlive its connection, and drops `_guard` at its end.
pub(crate) async fn dispatch(
    dispatcher: Arc<Dispatcher>,
    request: CallRequest,
    call_state: Arc<CallState>,
    _guard: impl Send + 'static,
) -> EncodedResponse {
    let (info, has_http_statuses) = (request.info.clone(), request.endpoint.has_http_statuses());

    let call = match auth::authenticate(&info.head.headers, &request.body, &dispatcher.accounts).await {
        Ok(session) => execute(&dispatcher, request, session, call_state).await,
        Err(error) => CompletedCall::failed(None, None, error),
    };
    let CompletedCall { resolved, session, result } = call;

    let mut response = codec::encode(result, has_http_statuses);
    if let Some(session) = session.as_deref().filter(|_| response.is_signed()) {
        let (name, signature) = auth::sign(session, &response.body);
        response.headers.insert(name, signature);
    }
    if resolved.is_some_and(|resolved| resolved.is_stale) {
        response.headers.insert(STALE, HeaderValue::from_static("1"));
    }
    let method = resolved.map(|resolved| resolved.method.name);
    let user = session.as_ref().map(|session| session.user_id.as_str());
    dispatcher.access_log.record(&AccessLogEntry::new(&info, method, user, &response));
    response
}

/// Executes a call: finds its method, authorizes the caller and runs `invoke`.
async fn execute(
    dispatcher: &Dispatcher,
    request: CallRequest,
    session: Option<Box<Session>>,
    call_state: Arc<CallState>,
) -> CompletedCall {
    let CallRequest { endpoint, info, body } = request;
    let decode: Option<fn(&Bytes) -> Result<RawParams>> = match &endpoint {
        Endpoint::Rpc => Some(|body| Ok(codec::decode_envelope(body)?.params)),
        Endpoint::Path { query: None, .. } => Some(codec::decode_params),
        Endpoint::Path { .. } => None,
    };
    let (resolved, params) = match find(&dispatcher.methods, endpoint, &body).await {
        Ok(found) => found,
        Err(error) => return CompletedCall::failed(None, session, error),
    };
    let ResolvedMethod { method, is_stale } = resolved;
    let authorization =
        authorize(method, session.is_some()).and_then(|()| dispatcher.rates.check_call(method, info.peer));
    let params = match authorization.and_then(|()| params.map_or_else(|| codec::decode_params(&body), Ok)) {
        Ok(params) => params,
        Err(error) => return CompletedCall::failed(Some(resolved), session, error),
    };

    let request = Request::new(info, method.name, body);
    let accounts = dispatcher.accounts.clone();
    // Boxed, because the handler is large and passes through the layers of `run`.
    let mut handler =
        Box::new(Handler::new(request, method.on_connection_close, session, accounts, call_state.clone()));
    if is_stale {
        // For a streamed response, whose head does not pass through `dispatch`.
        let _ = handler.response_header(STALE.as_str(), "1");
    }
    match dispatcher.invoker.run(method, handler, params, &call_state).await {
        Ok((mut handler, result)) => {
            let (status, headers) = handler.take_head();
            let explain = |error| match decode.filter(|_| !is_stale) {
                Some(decode) => with_violations(error, &dispatcher.methods, method, handler.request().body(), decode),
                None => error,
            };
            let result = result.map_or_else(
                |error| CallResult::Failure(explain(error)),
                |body| CallResult::Success { status, headers, body },
            );
            CompletedCall { resolved: Some(resolved), session: handler.take_signer(), result }
        }
        Err(timed_out) => CompletedCall::failed(Some(resolved), None, timed_out),
    }
}

/// Adds to an error of parameters what else does not fit, as far as the contract of the method knows it.
#[cold]
#[inline(never)]
fn with_violations(
    error: Error,
    methods: &MethodTable,
    method: &Method,
    body: &Bytes,
    decode: impl FnOnce(&Bytes) -> Result<RawParams>,
) -> Error {
    if error.code() != code::INVALID_PARAMETERS.number || body.len() > MAX_EXPLAINED_BYTES {
        return error;
    }
    let contract = methods.contract();
    let method = contract.as_ref().and_then(|contract| contract.method(method.name));
    match (decode(body), contract.as_ref(), method) {
        (Ok(RawParams::Json(json)), Some(contract), Some(method)) => {
            add_violations(error, &json, &method.parameters, &contract.types)
        }
        _ => error,
    }
}

/// Finds the called method. The parameters are `None` if they are the whole body.
///
/// # Errors
/// - 1001 (Cannot call this method): there is no such method.
/// - 1002 (Missing method), 1003 (Missing parameters), 1015 (Malformed request): the body is not an envelope.
async fn find(methods: &MethodTable, endpoint: Endpoint, body: &Bytes) -> Result<(ResolvedMethod, Option<RawParams>)> {
    match endpoint {
        Endpoint::Rpc => {
            let call = codec::decode_envelope(body)?;
            Ok((methods.find(&call.method).await?, Some(call.params)))
        }
        Endpoint::Path { method, query } => Ok((method?, query.map(RawParams::Query))),
    }
}

/// Checks that the caller may call the method.
///
/// # Errors
/// Returns error 1004 (Not authorized) if the method requires a session and the request has none.
fn authorize(method: &Method, has_session: bool) -> Result<()> {
    if method.authenticated && !has_session { Err(code::NOT_AUTHORIZED.into()) } else { Ok(()) }
}
