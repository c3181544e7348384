//! A client's session: its account, its expiry and its state.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::account_api::{AccountApi, SessionRecord, StateRecord};
use crate::{Error, Result};

/// The largest state of a session, in bytes of its JSON text: 64 KiB.
pub(crate) const MAX_STATE_BYTES: usize = 64 * 1024;

/// The deepest nesting of a session's state, which is the deepest that `serde_json` reads. The state itself is the first level.
const MAX_STATE_DEPTH: usize = 127;

/// The attempts of [`Session::update_state`].
const MAX_UPDATE_ATTEMPTS: u32 = 20;

/// The longest delay between two attempts of [`Session::update_state`], in milliseconds.
const MAX_BACKOFF_MILLIS: u64 = 512;

/// The session of the caller; see [`Handler::session`](crate::Handler::session).
///
/// # Example
/// ```no_run
/// # use method_sdk::prelude::*;
/// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
///     let session = handler.require_session()?;
///     session.state().await?.insert("theme".into(), json!("dark"));
///     session.save_state().await
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    /// The name of the account.
    pub user_id: String,
    /// The secret by which the client names the session. It must not be logged.
    pub session_id: String,
    /// The time at which the session expires, in unix seconds.
    pub expires: i64,
    /// `None` until the method asks for it.
    state: Option<LoadedState>,
    /// The state that came with the session, until the method asks for it.
    record: Option<StateRecord>,
    accounts: Arc<dyn AccountApi>,
}

/// The state of a session, as read from the database and changed since.
#[derive(Clone)]
struct LoadedState {
    members: Map<String, Value>,
    /// The number of times that the state had been saved when it was read.
    version: i64,
}

/// The part of a session that the client receives, as the answer of `account.create` and `account.login`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The secret to send as `x-session-id`.
    pub session_id: String,
    /// The time at which the session expires, in unix seconds.
    pub expires: i64,
    /// The name of the account.
    pub user_id: String,
}

/// Another request has saved the state of the same session in the meantime; see [`Session::save_state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another request has saved the state of this session in the meantime")]
pub struct StateConflict;

impl Session {
    /// Creates the session of a record; for servers.
    pub fn new(record: SessionRecord, accounts: Arc<dyn AccountApi>) -> Self {
        let SessionRecord { user_id, session_id, expires, state } = record;
        Session { user_id, session_id, expires, state: None, record: state, accounts }
    }

    /// Returns the part of the session that the client receives.
    pub fn info(&self) -> SessionInfo {
        SessionInfo { session_id: self.session_id.clone(), expires: self.expires, user_id: self.user_id.clone() }
    }

    /// Returns the state of the session: a JSON object of up to 64 KiB and 127 levels. [`save_state`](Session::save_state) stores its changes.
    ///
    /// The first call reads the state from the database, unless it came with the session, as a short one does from MySQL and PostgreSQL.
    /// Later calls return it as it is in this `Session`.
    ///
    /// # Errors
    /// Returns error 1007 (Invalid session ID) if the session has ended since the request was authenticated.
    pub async fn state(&mut self) -> Result<&mut Map<String, Value>> {
        let state = match self.state.take() {
            Some(state) => state,
            None => {
                let StateRecord { text, version } = match self.record.take() {
                    Some(record) => record,
                    None => self.accounts.load_state(&self.session_id).await?,
                };
                LoadedState { members: serde_json::from_str(&text)?, version }
            }
        };
        Ok(&mut self.state.insert(state).members)
    }

    /// Stores the state in the database, from which every server reads it. Does nothing if [`state`](Session::state) has not been called,
    /// because there is no change then.
    ///
    /// # Errors
    /// - 1016 (Service unavailable) with the source [`StateConflict`] if another request has saved the state since this one read it.
    ///   Nothing is overwritten. [`update_state`](Session::update_state) retries in this case.
    /// - 1007 (Invalid session ID) if the session has ended in the meantime.
    /// - 1000 (Server error) if the state is larger than 64 KiB, or nested deeper than 127 levels.
    pub async fn save_state(&mut self) -> Result<()> {
        if self.try_save().await? { Ok(()) } else { Err(Error::unavailable(StateConflict)) }
    }

    /// Changes the state and stores it. If another request has saved the state in the meantime, reads that state, changes it and tries
    /// again, up to 20 times.
    ///
    /// `change` may run more than once. A retry discards changes that were not saved before. The delay before a retry is
    /// random, up to a bound that starts at 2 ms and doubles up to 512 ms, so that requests that compete do not keep colliding.
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
    /// The errors of [`save_state`](Session::save_state); [`StateConflict`] only after the last attempt.
    pub async fn update_state<T>(&mut self, mut change: impl FnMut(&mut Map<String, Value>) -> T) -> Result<T> {
        for attempt in 0..MAX_UPDATE_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt)).await;
                self.state = None;
            }
            let answer = change(self.state().await?);
            if self.try_save().await? {
                return Ok(answer);
            }
        }
        Err(Error::unavailable(StateConflict))
    }

    /// Stores the state unless another request has saved it in the meantime. Returns `true` unless that is so.
    async fn try_save(&mut self) -> Result<bool> {
        let Some(LoadedState { members, version }) = &mut self.state else { return Ok(true) };
        if !members.values().all(|value| is_nested_up_to(value, MAX_STATE_DEPTH - 1)) {
            let message = format!("the state of the session is nested deeper than {MAX_STATE_DEPTH} levels");
            return Err(Error::internal(message));
        }
        let text = serde_json::to_string(members)?;
        if text.len() > MAX_STATE_BYTES {
            let message =
                format!("the state of the session is {} bytes; the maximum is {MAX_STATE_BYTES} bytes", text.len());
            return Err(Error::internal(message));
        }
        let is_saved = self.accounts.save_state(&self.session_id, *version, text).await?;
        *version += i64::from(is_saved);
        Ok(is_saved)
    }
}

/// Returns `true` if a value has up to `levels` levels of arrays and objects.
fn is_nested_up_to(value: &Value, levels: usize) -> bool {
    let is_nested_less = |value| is_nested_up_to(value, levels - 1);
    match value {
        Value::Array(elements) => levels > 0 && elements.iter().all(is_nested_less),
        Value::Object(members) => levels > 0 && members.values().all(is_nested_less),
        _ => true,
    }
}

/// Returns a random delay of up to 2 ms before the first retry, and of up to twice the previous bound before each later one.
fn backoff(retry: u32) -> Duration {
    let bound = 1_u64.checked_shl(retry).unwrap_or(u64::MAX).min(MAX_BACKOFF_MILLIS);
    // The keys of a `RandomState` are random: there is no need for a random number generator.
    let random = RandomState::new().hash_one(retry);
    Duration::from_micros(random % (bound * 1000))
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
