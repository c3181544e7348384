//! The interface of a store: its functions and the rows that they take and return.

use async_trait::async_trait;
use method_sdk::host::StateRecord;
use method_sdk::{DatabaseHandle, Result};

/// The SHA-256 of a session id, which is stored instead of the id.
pub(crate) type SessionHash = [u8; 32];

/// A session to store.
pub(crate) struct NewSession<'a> {
    pub(crate) hash: SessionHash,
    pub(crate) user_id: &'a str,
    /// Unix seconds.
    pub(crate) created: i64,
    /// Unix seconds, the first at which the session is no longer valid.
    pub(crate) expires: i64,
}

/// A stored session.
pub(crate) struct SessionRow {
    pub(crate) user_id: String,
    /// Unix seconds.
    pub(crate) expires: i64,
    /// The state, if it is short and another query would be another round trip.
    pub(crate) state: Option<StateRecord>,
}

/// A stored account, without its password hash.
pub(crate) struct AccountRow {
    pub(crate) user_id: String,
    /// Unix seconds.
    pub(crate) created: i64,
}

/// A counter of failed attempts to verify a password.
///
/// The failure that reaches the limit has a wait of 30 s, and each later one twice the wait of the one before, up to 480 s. After those the
/// wait is the counter's window.
pub(crate) struct AttemptCounter {
    /// A hash of the counter's name.
    pub(crate) key: [u8; 32],
    /// The number of failures from which on each has a wait.
    pub(crate) limit: i64,
    /// The time after the last failure for which failures count, in seconds; also the longest wait.
    pub(crate) window: i64,
}

/// The signature version of new sessions; see the protocol.
pub(super) const SIGNATURE_VERSION: i64 = 1;

/// The number of expired sessions deleted at a time, which bounds the time that their rows are locked.
pub(super) const EXPIRED_BATCH: i64 = 1000;

/// A database of accounts and sessions.
///
/// In the SQL databases every call is one transaction. In the others, a call that fails halfway may leave a session behind whose id
/// no client knows.
///
/// # Errors
/// Every call returns error 1016 if the database is unreachable, busy or full, so that the same call may succeed later, and error
/// 1000 otherwise.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Returns the connection pool, for the server's methods.
    fn connection(&self) -> &DatabaseHandle;

    /// Returns the kind, name and address of the database for the log, without a password.
    fn describe(&self) -> &str;

    /// Returns a warning if others can read the database, or read and change what is sent to it.
    fn warning(&self) -> Option<&str> {
        None
    }

    /// Brings the schema up to date. Every other call does so first, until it has succeeded once.
    async fn migrate(&self) -> Result<()>;

    /// Checks that the database responds.
    async fn ping(&self) -> Result<()>;

    /// Creates an account, and its first session if there is one. Returns `false` if the user id is taken.
    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool>;

    /// Returns the password hash of an account.
    async fn password_hash(&self, user_id: &str) -> Result<Option<String>>;

    /// Replaces a password hash by another hash of the same password, unless the account's hash is no longer `old`.
    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()>;

    /// Replaces a password hash, deletes all sessions of the account and these counters of attempts, and creates the new session if there is
    /// one. Returns `false` if there is no such account or its hash is no longer `old`.
    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
        counters: &[AttemptCounter],
    ) -> Result<bool>;

    /// Deletes an account and all its sessions. Returns `false` if there is no such account.
    async fn delete_account(&self, user_id: &str) -> Result<bool>;

    /// Returns up to `limit` accounts whose user ids follow `after`, in byte order.
    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>>;

    /// Creates a session, and deletes the one it replaces if that belongs to the same user, and the oldest beyond `max_sessions`, which is at
    /// least 1. Ends the attempt as a success. Returns `false` if the account's hash is no longer `password_hash`.
    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
        max_sessions: u32,
        counters: &[AttemptCounter; 2],
    ) -> Result<bool>;

    /// Returns a session that has not expired at `now`. Every authenticated call reads it, so it reads no long state.
    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>>;

    /// Returns the state of a session that has not expired at `now`.
    async fn session_state(&self, hash: &SessionHash, now: i64) -> Result<Option<StateRecord>>;

    /// Replaces a session's state and increments its version. Returns `false` if the version is no longer `version`.
    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool>;

    /// Deletes a session.
    async fn delete_session(&self, hash: &SessionHash) -> Result<()>;

    /// Deletes all sessions of an account.
    async fn delete_sessions(&self, user_id: &str) -> Result<()>;

    /// Counts an attempt as a failure in all counters, before its outcome is known. Returns `None` if the attempt is allowed, or the time in Unix
    /// seconds from which on it is. Attempts at the same time are counted one after the other.
    async fn count_attempt(&self, counters: &[AttemptCounter; 2], now: i64) -> Result<Option<i64>>;

    /// Takes a counted attempt back that is no failure. A success also clears the first counter.
    async fn end_attempt(&self, counters: &[AttemptCounter; 2], is_success: bool) -> Result<()>;

    /// Deletes a bounded number of sessions and counters of attempts that have expired at `now`, and returns how many.
    async fn delete_expired(&self, now: i64) -> Result<u64>;

    /// Closes the connections after the calls in progress.
    async fn close(&self);
}
