//! Where accounts and sessions are kept: rows in, rows out. The rules are in `accounts.rs`.

mod sqlite;

use async_trait::async_trait;
use method_sdk::{Connection, Error};
use thiserror::Error;

use crate::config::{Config, Database};

/// What a row keeps instead of a session's id: the SHA-256 of it.
pub(crate) type SessionHash = [u8; 32];

/// A session to be kept.
pub(crate) struct NewSession<'a> {
    pub(crate) hash: SessionHash,
    pub(crate) user_id: &'a str,
    /// Unix seconds.
    pub(crate) created: i64,
    /// Unix seconds; from then on there is no such session.
    pub(crate) expires: i64,
}

/// A session as it is kept.
pub(crate) struct SessionRow {
    pub(crate) user_id: String,
    pub(crate) expires: i64,
    /// A JSON object.
    pub(crate) state: String,
    pub(crate) state_version: i64,
}

/// The signature version of the sessions made today; see the protocol.
pub(crate) const SIGNATURE_VERSION: i64 = 1;

/// A database of accounts and sessions. Every call is one transaction: all of it or nothing.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// The pool, for the server's methods.
    fn connection(&self) -> &Connection;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Adds an account and its first session; false if the user id is taken.
    async fn create_account(&self, password_hash: &str, session: &NewSession<'_>) -> Result<bool, StoreError>;

    /// The password hash of an account.
    async fn password_hash(&self, user_id: &str) -> Result<Option<String>, StoreError>;

    /// Replaces a password hash by another of the same password, unless it has changed meanwhile.
    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<(), StoreError>;

    /// Replaces a password, ends all sessions of the account and adds a new one; false if the hash is no longer `old`.
    async fn change_password(&self, old: &str, new: &str, session: &NewSession<'_>) -> Result<bool, StoreError>;

    /// Adds a session, and ends the one it replaces if that is the same user's; false if the account's hash is no longer
    /// `password_hash`.
    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool, StoreError>;

    /// A session that has not expired at `now`.
    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>, StoreError>;

    /// Replaces a session's state if its version is still `version`; answers whether it was.
    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool, StoreError>;

    /// Ends a session.
    async fn end_session(&self, hash: &SessionHash) -> Result<(), StoreError>;

    /// Ends all sessions of an account.
    async fn end_sessions(&self, user_id: &str) -> Result<(), StoreError>;

    /// Removes sessions that have expired at `now`, a bounded number at a time; answers how many.
    async fn remove_expired(&self, now: i64) -> Result<u64, StoreError>;

    /// Lets go of the database, after what is under way.
    async fn close(&self);
}

/// Why the database did not do what it was asked. Not a `std` error, so that `?` makes of it what the client is to hear.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// It is away, locked, full or too slow: the same may work later.
    Unavailable(sqlx::Error),
    /// Anything else: a defect.
    Refused(sqlx::Error),
}

/// Why a server cannot start on this database.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A store that is configured and not yet part of the server.
    #[error(
        "database={0} is not part of this version of the server; it runs on sqlite (`--database=sqlite`, nothing to install)"
    )]
    NotYet(&'static str),
    /// The file cannot be opened or is not ours.
    #[error("cannot open the SQLite database {path}: {cause}")]
    Sqlite {
        /// As configured.
        path: String,
        /// What SQLite says.
        cause: sqlx::Error,
    },
    /// The database was made by a newer server.
    #[error(
        "the database {path} has schema {found}, and this server knows up to {known}: start the newer server that made it"
    )]
    Newer {
        /// As configured.
        path: String,
        /// The schema of the database.
        found: i64,
        /// The newest schema this server knows.
        known: i64,
    },
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => Error::unavailable(cause),
            StoreError::Refused(cause) => Error::internal(cause),
        }
    }
}

/// Opens the database that the configuration names and brings its schema up to date.
pub(crate) async fn open(config: &Config) -> Result<Box<dyn Store>, OpenError> {
    match config.database {
        Database::Sqlite => Ok(Box::new(sqlite::Sqlite::open(config).await?)),
        Database::Mongodb => Err(OpenError::NotYet("mongodb")),
        Database::Mysql => Err(OpenError::NotYet("mysql")),
        Database::Postgres => Err(OpenError::NotYet("postgres")),
    }
}
