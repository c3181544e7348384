//! A client's session: who it is, until when, and the state that is kept for it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::host::{AccountApi, SessionRecord};
use crate::{Error, Result};

/// The largest state a session may keep, in bytes of its JSON text: 64 KiB.
pub(crate) const MAX_STATE_BYTES: usize = 64 * 1024;

/// The session of the caller; see [`Handler::session`](crate::Handler::session).
///
/// # Example
/// ```no_run
/// # use method_sdk::prelude::*;
/// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
///     let session = handler.require_session()?;
///     session.state.insert("theme".into(), json!("dark"));
///     session.save_state().await
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    /// The account's name.
    pub user_id: String,
    /// The secret by which the client names this session; never log it.
    pub session_id: String,
    /// When it ends, in unix seconds.
    pub expires: i64,
    /// What is kept for it: a JSON object of at most 64 KiB. A change is kept once [`save_state`](Session::save_state) has returned.
    pub state: Map<String, Value>,
    state_version: i64,
    accounts: Arc<dyn AccountApi>,
}

/// What `account.create` and `account.login` answer.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SessionInfo {
    /// The secret to send as `x-session-id`.
    pub session_id: String,
    /// When the session ends, in unix seconds.
    pub expires: i64,
    /// The account's name.
    pub user_id: String,
}

/// Another request saved the same session's state in between; see [`Session::save_state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateConflict;

impl Session {
    /// A session of this record; for servers.
    pub fn new(record: SessionRecord, accounts: Arc<dyn AccountApi>) -> Self {
        let SessionRecord { user_id, session_id, expires, state, state_version } = record;
        Session { user_id, session_id, expires, state, state_version, accounts }
    }

    /// What the client is told of the session.
    pub fn info(&self) -> SessionInfo {
        SessionInfo { session_id: self.session_id.clone(), expires: self.expires, user_id: self.user_id.clone() }
    }

    /// Keeps `state` in the database, where every server finds it on the session's next request.
    ///
    /// # Errors
    /// Another request has saved the state since this one read it: code 1016 with the cause [`StateConflict`], and nothing is overwritten
    /// ([`update_state`](Session::update_state) tries again by itself). The session has ended meanwhile: 1007. The state is over 64 KiB: 1000.
    pub async fn save_state(&mut self) -> Result<()> {
        if self.try_save().await? { Ok(()) } else { Err(Error::unavailable(StateConflict)) }
    }

    /// Changes the state and keeps it; if another request was faster, reads the state anew and changes that.
    ///
    /// `change` may run more than once, and changes made to `state` before and not saved are given up when it does.
    ///
    /// # Example
    /// ```no_run
    /// # use method_sdk::prelude::*;
    /// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<u64> {
    ///     let session = handler.require_session()?;
    ///     session.update_state(|state| {
    ///         let count = state.get("count").and_then(Value::as_u64).unwrap_or(0) + 1;
    ///         state.insert("count".into(), json!(count));
    ///         count
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`save_state`](Session::save_state), but for the conflict.
    pub async fn update_state<T>(&mut self, mut change: impl FnMut(&mut Map<String, Value>) -> T) -> Result<T> {
        loop {
            let answer = change(&mut self.state);
            if self.try_save().await? {
                return Ok(answer);
            }
            (self.state, self.state_version) = self.accounts.load_state(&self.session_id).await?;
        }
    }

    async fn try_save(&mut self) -> Result<bool> {
        let text = serde_json::to_string(&self.state)?;
        if text.len() > MAX_STATE_BYTES {
            let size = text.len();
            return Err(Error::internal(format!("the session's state is {size} bytes; at most {MAX_STATE_BYTES} fit")));
        }
        let saved = self.accounts.save_state(&self.session_id, self.state_version, text).await?;
        self.state_version += i64::from(saved);
        Ok(saved)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user_id", &self.user_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("user_id", &self.user_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for StateConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another request has saved this session's state in between")
    }
}

impl std::error::Error for StateConflict {}
