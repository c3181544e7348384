//! Calls methods without a socket, for tests: through the same dispatch as a request, with real accounts and a database for each test.
//!
//! Behind the feature `testing`.
//!
//! ```
//! # mod simpleapi { pub fn methods() -> &'static [method_sdk::Method] { &[] } }
//! use serde_json::json;
//! use simpleapi_server::testing::App;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let app = App::new(simpleapi::methods()).await;
//! let alice = app.login("alice").await;
//! let answer = alice.call("demo.counter", json!({})).await;
//! # assert_eq!(answer.unwrap_err().code(), 1001);
//! # });
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode};
use bytes::Bytes;
use method_sdk::host::{AccountApi as _, CallState, RequestInfo};
use method_sdk::{DatabaseHandle, Error, Methods, Result, Session, code};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::Server;
use crate::call::in_flight::{CallResponse, DetachedCalls, InFlightCall};
use crate::call::{self, CallRequest, Endpoint, auth, codec};
use crate::config::Config;
use crate::log::NoAccessLog;
use crate::server::static_table;
use crate::startup::Startup;
#[cfg(feature = "fuzzing")]
use crate::state::AppState;

/// An application under test: its methods over an empty SQLite database, which is deleted with it.
pub struct App {
    server: Server,
    _directory: TempDir,
}

/// An account of an [`App`] that is logged in.
pub struct Client<'a> {
    app: &'a App,
    session: Session,
}

/// A response as sent, with nothing parsed; see [`App::exchange`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// The HTTP status.
    pub status: StatusCode,
    /// The response headers of the method and of its endpoint.
    pub headers: HeaderMap,
    /// The body; of a streamed response, all chunks.
    pub body: Bytes,
}

impl App {
    /// Creates an application of these methods, with the default configuration.
    ///
    /// Passwords are hashed with the minimal cost of argon2id, so that tests are fast.
    ///
    /// # Panics
    /// Panics if no temporary directory can be created, or if the application was built for development mode and contains no methods.
    pub async fn new(methods: impl Into<Methods>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let config = Config { sqlite_path: directory.path().join("test.db"), ..Config::default() };
        let params = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).expect("these are argon2id's minima");
        let methods = methods.into();
        let table = static_table(methods).unwrap_or_else(|error| panic!("{error}"));
        let server = Server::with_methods(table, Startup::new(&methods), config, params, Arc::new(NoAccessLog)).await;
        App { server: server.unwrap_or_else(|error| panic!("{error}")), _directory: directory }
    }

    /// Calls a method without a session.
    ///
    /// # Errors
    /// Returns the error that a client receives: its code, message and details.
    pub async fn call(&self, method: &str, parameters: impl Serialize) -> Result<Value> {
        decode_answer(&self.exchange(method, parameters, None).await)
    }

    /// Logs `user_id` in with the password `password`, and creates the account if it does not exist.
    ///
    /// # Panics
    /// Panics if the user id is invalid or the account has another password.
    pub async fn login(&self, user_id: &str) -> Client<'_> {
        let accounts = self.server.accounts().clone();
        let client = Ipv4Addr::LOCALHOST.into();
        let record = match accounts.login(user_id, "password", client, None).await {
            Err(_) => accounts.create(user_id, "password", client).await,
            record => record,
        };
        Client { app: self, session: Session::new(record.expect("the account is this test's"), accounts) }
    }

    /// Returns the database, to inspect what a method has stored.
    pub fn connection(&self) -> &DatabaseHandle {
        self.server.accounts().connection()
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn state(&self) -> &Arc<AppState> {
        self.server.state()
    }

    /// Returns the number of password hashes computed so far: a test compares it where an attacker would compare times.
    pub fn password_runs(&self) -> u64 {
        self.server.accounts().password_runs()
    }

    /// Calls a method and returns its response as sent.
    ///
    /// # Panics
    /// Panics if the parameters have no JSON form.
    pub async fn exchange(&self, method: &str, parameters: impl Serialize, session: Option<&Session>) -> Exchange {
        let body = codec::encode_envelope(method, parameters).expect("the parameters have a JSON form");
        let (mut head, ()) = Request::new(()).into_parts();
        if let Some(session) = session {
            let id = HeaderValue::try_from(session.session_id.as_str()).expect("a session id is a legal header value");
            head.headers.insert("x-session-id", id);
            let (name, signature) = auth::sign(session, &body);
            head.headers.insert(name, signature);
        }
        let info = Arc::new(RequestInfo::new("test".to_owned(), IpAddr::V4(Ipv4Addr::LOCALHOST), head));
        let call_state = Arc::new(CallState::default());
        let request = CallRequest { endpoint: Endpoint::Rpc, info, body };
        let call = call::dispatch(self.server.dispatcher().clone(), request, call_state.clone(), ());
        match InFlightCall::new(call_state.clone(), call, Arc::new(DetachedCalls::new(None)), &()).await {
            CallResponse::Full(response) => {
                Exchange { status: response.status, headers: response.headers, body: response.body }
            }
            CallResponse::Streaming(mut streaming, _guard) => {
                let mut body = Vec::new();
                while let Some(chunk) = streaming.chunks.recv().await {
                    body.extend_from_slice(&chunk);
                }
                call_state.complete(); // this client has read the response to its end, so it does not disconnect early
                Exchange { status: streaming.status, headers: streaming.headers, body: body.into() }
            }
        }
    }
}

impl Client<'_> {
    /// Calls a method as this account.
    ///
    /// # Errors
    /// Returns the error that a client receives: its code, message and details.
    pub async fn call(&self, method: &str, parameters: impl Serialize) -> Result<Value> {
        decode_answer(&self.app.exchange(method, parameters, Some(&self.session)).await)
    }

    /// Returns the session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Decodes a response as a client does.
fn decode_answer(exchange: &Exchange) -> Result<Value> {
    if exchange.body.is_empty() {
        return Ok(Value::Null);
    }
    let mut body: Value = serde_json::from_slice(&exchange.body)?;
    if let Some(result) = body.get_mut("result") {
        return Ok(result.take());
    }
    let members = &body["error"];
    let code = members["code"].as_i64().and_then(|code| i32::try_from(code).ok());
    let message = members["value"].as_str().unwrap_or_default().to_owned();
    let error = Error::new(code.unwrap_or(code::SERVER_ERROR.number), message);
    Err(match members.get("details") {
        Some(details) => error.with_details(details.clone()),
        None => error,
    })
}
