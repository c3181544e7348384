//! The accounts and sessions of the server, as a handler uses them.

use std::net::IpAddr;
use std::pin::Pin;

use crate::{DatabaseHandle, Result};

/// A boxed future, for methods of trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A session in the server's terms, from which a [`Session`](crate::Session) is created. The server creates it by naming every field.
#[derive(Clone)]
pub struct SessionRecord {
    /// The name of the account. With signature version 1, it is also the key of the signatures.
    pub user_id: String,
    /// The secret that the client sends.
    pub session_id: String,
    /// The time at which the session expires, in unix seconds.
    pub expires: i64,
    /// Its state, if the database returned it with the session.
    pub state: Option<StateRecord>,
}

/// The state of a session in the server's terms.
#[derive(Clone)]
pub struct StateRecord {
    /// A JSON object.
    pub text: String,
    /// The number of times that the state has been saved.
    pub version: i64,
}

/// The accounts and sessions that a handler works with. The server's implementation holds all the rules.
pub trait AccountApi: Send + Sync {
    /// Returns the database of the accounts and sessions.
    fn connection(&self) -> &DatabaseHandle;

    /// Creates an account and a session for it. `client` is the address that the request came from.
    fn create<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
    ) -> BoxFuture<'a, Result<SessionRecord>>;

    /// Verifies a password and creates a session. `replaces` is the ID of a session of the same user that came with the request; it ends.
    fn login<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionRecord>>;

    /// Verifies a password. If there is a new password, sets it, ends all sessions of the account and creates a new session.
    fn update<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
        new_password: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>>>;

    /// Ends one session.
    fn logout<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Ends all sessions of an account.
    fn clear_sessions<'a>(&'a self, user_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Saves the state of a session unless it has been saved since `version`. Returns `true` if it is saved.
    fn save_state<'a>(&'a self, session_id: &'a str, version: i64, state: String) -> BoxFuture<'a, Result<bool>>;

    /// Returns the current state of a session.
    fn load_state<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<StateRecord>>;
}
