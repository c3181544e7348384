//! Calls methods without a socket, for tests: the same way as through a endpoint, with real accounts and a database of its own.
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
use std::time::Instant;

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use method_sdk::host::{AccountApi as _, CallState};
use method_sdk::{DatabaseHandle, Error, Methods, Result, Session, code};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Server;
use crate::call::auth;
use crate::call::codec::Endpoint;
use crate::call::in_flight::{CallResponse, DetachedCalls, InFlightCall};
use crate::call::{CallRequest, dispatch};
use crate::config::Config;
use crate::log::NoAccessLog;
use crate::server::static_table;

/// An application under test: its methods over an empty SQLite database, which is removed with it.
pub struct App {
    server: Server,
    _directory: TempDir,
}

/// An account of an [`App`] that is logged in.
pub struct Client<'a> {
    app: &'a App,
    session: Session,
}

/// What a method sent, with nothing parsed; see [`App::exchange`].
#[derive(Debug)]
pub struct Exchange {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers that the method and its endpoint have set.
    pub headers: HeaderMap,
    /// The body: of a streamed answer, all of it.
    pub body: Bytes,
}

impl App {
    /// An application of these methods, with the default configuration.
    ///
    /// Passwords are hashed with the least work argon2id allows, so that tests are quick.
    ///
    /// # Panics
    /// There is no room for a temporary file, or the application was built for development mode, in which it has no methods.
    pub async fn new(methods: impl Into<Methods>) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a temporary folder");
        let config = Config { sqlite_path: directory.path().join("test.db"), ..Config::default() };
        let params = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).expect("the least argon2id takes");
        let table = static_table(methods.into()).unwrap_or_else(|error| panic!("{error}"));
        let server = Server::with_table(table, config, params, Arc::new(NoAccessLog))
            .await
            .expect("a new SQLite file can be opened");
        App { server, _directory: directory }
    }

    /// Calls a method without a session.
    ///
    /// # Errors
    /// What the client would hear: its code, value and details.
    pub async fn call(&self, method: &str, parameters: impl Serialize) -> Result<Value> {
        answer(self.exchange(method, parameters, None).await)
    }

    /// Logs `user_id` in, with an account made for it if there is none; its password is `password`.
    ///
    /// # Panics
    /// The user id is not one, or the account has another password.
    pub async fn login(&self, user_id: &str) -> Client<'_> {
        let accounts = self.server.dispatcher().accounts.clone();
        let record = match accounts.login(user_id, "password", None).await {
            Err(_) => accounts.create(user_id, "password").await,
            record => record,
        };
        Client { app: self, session: Session::new(record.expect("the account is ours"), accounts) }
    }

    /// The database, to look at what a method has left there.
    pub fn connection(&self) -> &DatabaseHandle {
        self.server.dispatcher().accounts.connection()
    }

    /// How often a password has been hashed or checked: what a caller could tell apart by time, a test can by this number.
    pub fn password_runs(&self) -> u64 {
        self.server.dispatcher().accounts.password_runs()
    }

    /// Calls a method and gives what it sent as it is; of a stream, all of it.
    pub async fn exchange(&self, method: &str, parameters: impl Serialize, session: Option<&Session>) -> Exchange {
        let parameters = json_text(&parameters);
        let envelope = json_text(&json!({ "method": method }));
        let body = format!(r#"{},"parameters":{}}}"#, envelope.get().trim_end_matches('}'), parameters.get());
        let body = Bytes::from(body);
        let mut headers = HeaderMap::new();
        if let Some(session) = session {
            let id = session.session_id.parse().expect("a session id is a legal header value");
            headers.insert("x-session-id", id);
            let (name, signature) = auth::sign(session, &body);
            headers.insert(name, signature);
        }
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = "test".to_owned();
        let request = CallRequest { endpoint: Endpoint::Rpc, headers, body, peer, id, started: Instant::now() };
        let call_state = Arc::new(CallState::default());
        let call = dispatch(self.server.dispatcher().clone(), request, call_state.clone());
        match InFlightCall::new(call_state, call, Arc::new(DetachedCalls::default())).await {
            CallResponse::Full(response) => {
                Exchange { status: response.status, headers: response.headers, body: response.body }
            }
            CallResponse::Streaming(mut streaming, _guard) => {
                let mut body = Vec::new();
                while let Some(chunk) = streaming.chunks.recv().await {
                    body.extend_from_slice(&chunk);
                }
                Exchange { status: streaming.status, headers: streaming.headers, body: body.into() }
            }
        }
    }
}

impl Client<'_> {
    /// Calls a method as this account.
    ///
    /// # Errors
    /// What the client would hear: its code, value and details.
    pub async fn call(&self, method: &str, parameters: impl Serialize) -> Result<Value> {
        answer(self.app.exchange(method, parameters, Some(&self.session)).await)
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

fn json_text(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("parameters have a JSON form")
}

fn answer(exchange: Exchange) -> Result<Value> {
    if exchange.body.is_empty() {
        return Ok(Value::Null);
    }
    let mut body: Value = serde_json::from_slice(&exchange.body)?;
    if let Some(result) = body.get_mut("result") {
        return Ok(result.take());
    }
    let error = &body["error"];
    let number = error["code"].as_i64().and_then(|number| i32::try_from(number).ok());
    let text = error["value"].as_str().unwrap_or_default().to_owned();
    let told = Error::new(number.unwrap_or(code::SERVER_ERROR.number), text);
    Err(match error.get("details") {
        Some(details) => told.with_details(details.clone()),
        None => told,
    })
}
