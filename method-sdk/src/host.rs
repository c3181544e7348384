//! Where a method meets the server: what the server does for a handler. Not for authors of methods.

use std::pin::Pin;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{DatabaseHandle, Result};

pub use crate::call_state::{CallState, StreamingResponse};
pub use crate::request::RequestInfo;

/// A boxed future, as a trait object needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The body of a successful response: `{"result": ..}`.
#[derive(Debug, Serialize)]
pub struct Success<T> {
    /// The answer.
    pub result: T,
}

/// A session as the server knows it: what a [`Session`](crate::Session) is made of.
#[derive(Clone)]
pub struct SessionRecord {
    /// Whose session it is; with signature version 1 also the key of its signatures.
    pub user_id: String,
    /// The secret that the client presents.
    pub session_id: String,
    /// When it ends, in unix seconds.
    pub expires: i64,
    /// Its state.
    pub state: Map<String, Value>,
    /// How often the state has been saved.
    pub state_version: i64,
}

/// Accounts and sessions, as a handler asks for them; the server's one implementation holds all the rules.
pub trait AccountApi: Send + Sync {
    /// The database that they are kept in.
    fn connection(&self) -> &DatabaseHandle;

    /// Makes an account and a session for it.
    fn create<'a>(&'a self, user_id: &'a str, password: &'a str) -> BoxFuture<'a, Result<SessionRecord>>;

    /// Checks a password and makes a session; `replaces` is the session that came with the request and ends if it is the same user's.
    fn login<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionRecord>>;

    /// Checks a password; a new one replaces it, ends all sessions of the account and makes a new one.
    fn update<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        new_password: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>>>;

    /// Ends one session.
    fn logout<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Ends all sessions of an account.
    fn clear_sessions<'a>(&'a self, user_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Saves a session's state if nobody has since `version`; answers whether it did.
    fn save_state<'a>(&'a self, session_id: &'a str, version: i64, state: String) -> BoxFuture<'a, Result<bool>>;

    /// A session's state as it is now, and its version.
    fn load_state<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<(Map<String, Value>, i64)>>;
}
