//! Where accounts and sessions are idle: rows in, rows out. The rules are in `accounts.rs`.

#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;

use std::time::Duration;

use async_trait::async_trait;
use method_sdk::{DatabaseHandle, Error, Result, code};
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::config::{Config, Database};

/// What a row keeps instead of a session's id: the SHA-256 of it.
pub(crate) type SessionHash = [u8; 32];

/// A session to be idle.
pub(crate) struct NewSession<'a> {
    pub(crate) hash: SessionHash,
    pub(crate) user_id: &'a str,
    /// Unix seconds.
    pub(crate) created: i64,
    /// Unix seconds; from then on there is no such session.
    pub(crate) expires: i64,
}

/// A session as it is idle.
pub(crate) struct SessionRow {
    pub(crate) user_id: String,
    pub(crate) expires: i64,
    /// A JSON object.
    pub(crate) state: String,
    pub(crate) state_version: i64,
}

/// An account as a list of them shows it.
pub(crate) struct AccountRow {
    pub(crate) user_id: String,
    /// Unix seconds.
    pub(crate) created: i64,
}

/// The signature version of the sessions made today; see the protocol.
const SIGNATURE_VERSION: i64 = 1;

/// Expired sessions removed at a time, so that nobody waits long for what is locked meanwhile.
const EXPIRED_AT_A_TIME: i64 = 1000;

/// A database of accounts and sessions.
///
/// In the SQL databases every call is one transaction: all of it or nothing. Where there are none, what a call that fails
/// in its middle leaves behind is a session that nobody knows the id of.
///
/// An error is 1016 if the database is away, busy or full, and so may be gone later, and 1000 otherwise.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// The pool, for the server's methods.
    fn connection(&self) -> &DatabaseHandle;

    /// What the database is and where, for the log; without a password.
    fn describe(&self) -> &str;

    /// Brings the schema up to date. Every other call does that first, until it has once been done.
    async fn migrate_now(&self) -> Result<()>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Adds an account, and its first session if there is one; false if the user id is taken.
    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool>;

    /// The password hash of an account.
    async fn password_hash(&self, user_id: &str) -> Result<Option<String>>;

    /// Replaces a password hash by another of the same password, unless it has changed meanwhile.
    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()>;

    /// Replaces a password, ends all sessions of the account and adds the new one, if there is one; false if there is no such
    /// account or its hash is no longer `old`.
    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool>;

    /// Removes an account and all its sessions; false if there is none.
    async fn delete_account(&self, user_id: &str) -> Result<bool>;

    /// Accounts whose user ids come after `after`, in the order of their bytes, `limit` at most.
    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>>;

    /// Adds a session, and ends the one it replaces if that is the same user's; false if the account's hash is no longer
    /// `password_hash`.
    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool>;

    /// A session that has not expired at `now`.
    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>>;

    /// Replaces a session's state if its version is still `version`; answers whether it was.
    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool>;

    /// Ends a session.
    async fn delete_session(&self, hash: &SessionHash) -> Result<()>;

    /// Ends all sessions of an account.
    async fn delete_sessions(&self, user_id: &str) -> Result<()>;

    /// Removes sessions that have expired at `now`, a bounded number at a time; answers how many.
    async fn delete_expired(&self, now: i64) -> Result<u64>;

    /// Lets go of the database, after what is under way.
    async fn close(&self);
}

/// Why a server cannot start on this database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A database that this build was made without.
    #[error("this build is without {name}; it has {kinds}: name one with --database, or build with the feature `{name}`", name = .0.name(), kinds = method_sdk::Database::KINDS.join(", "))]
    NotBuilt(Database),
    /// What the configuration says of the database is not enough, or wrong.
    #[error("{0}")]
    Configuration(String),
    /// The database refuses the server.
    #[error("cannot use the database {description}: {cause}")]
    Refused {
        /// What it is and where.
        description: String,
        /// What the database says.
        cause: String,
    },
}

impl StoreError {
    /// What stands in the way, in the words of the log.
    pub(crate) fn refused(store: &dyn Store, error: &Error) -> Self {
        StoreError::Refused { description: store.describe().to_owned(), cause: cause(error) }
    }
}

/// Only the first cause: the errors of the drivers say themselves what caused them.
fn cause(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Opens the database that the configuration names and brings its schema up to date. One that is elsewhere may be away: then
/// every call answers 1016, and the first that finds it brings the schema up to date.
pub(crate) async fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let store: Box<dyn Store> = match config.database {
        #[cfg(feature = "mongodb")]
        Database::Mongodb => mongodb::open(config).await?,
        #[cfg(feature = "mysql")]
        Database::Mysql => sql::mysql::open(config)?,
        #[cfg(feature = "postgres")]
        Database::Postgres => sql::postgres::open(config)?,
        #[cfg(feature = "sqlite")]
        Database::Sqlite => sql::sqlite::open(config),
        #[allow(unreachable_patterns, reason = "in a build with all databases there is no other")]
        other => return Err(StoreError::NotBuilt(other)),
    };
    match store.migrate_now().await {
        Err(error) if is_away(&error) && config.database != Database::Sqlite => {
            let description = store.describe();
            tracing::warn!(
                "the database {description} is away, and until it is back calls that need it answer 1016: {}",
                cause(&error)
            );
        }
        Err(error) => return Err(StoreError::refused(&*store, &error)),
        Ok(()) => {}
    }
    Ok(store)
}

fn is_away(error: &Error) -> bool {
    error.code() == code::SERVICE_UNAVAILABLE.number
}

/// What stands before every use of a database: its schema is up to date, and what takes too long is given up.
struct DatabaseGuard {
    prepared: OnceCell<()>,
    timeout: Duration,
}

impl DatabaseGuard {
    fn new(config: &Config) -> Self {
        DatabaseGuard { prepared: OnceCell::new(), timeout: config.database_timeout }
    }

    /// Does this work, after `migrate_now` if that has not yet been done, within the time there is for both.
    async fn pass<T>(
        &self,
        migrate_now: impl Future<Output = Result<()>>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let both = async {
            self.prepared.get_or_try_init(|| migrate_now).await?;
            work.await
        };
        tokio::time::timeout(self.timeout, both).await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("the database has not answered within {:?}", self.timeout)))
        })
    }
}

/// Time for a connection: a part of `database_timeout`, so that the database's own error comes before ours.
fn connect_timeout(config: &Config) -> Duration {
    config.database_timeout * 4 / 5
}

/// The database was made by a newer server.
#[derive(Debug, Error)]
#[error("its schema is {found}, and this server knows up to {known}: start the newer server that made it")]
struct NewerSchema {
    found: i64,
    known: i64,
}
