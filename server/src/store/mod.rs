//! Storage of accounts and sessions, without rules; those are in [`account`](crate::account).

mod error;
mod guard;
mod interface;
pub(crate) mod migrations;
#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres", test))]
mod remote;
pub(crate) mod retry;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;

use method_sdk::{Error, code};

pub use self::error::StoreError;
use self::error::first_cause;
pub(crate) use self::interface::{AttemptCounter, NewSession, SessionHash, SessionRow, Store};
use crate::config::{Config, Database};

/// Opens the configured database and brings its schema up to date. Returns the store, and `false` if the database is unreachable.
///
/// A database server that is unreachable is no error: calls return error 1016 until it recovers, and the first call after that
/// brings the schema up to date.
pub(crate) async fn open(config: &Config) -> Result<(Box<dyn Store>, bool), StoreError> {
    let store: Box<dyn Store> = match config.database {
        #[cfg(feature = "mongodb")]
        Database::Mongodb => mongodb::open(config).await?,
        #[cfg(feature = "mysql")]
        Database::Mysql => sql::mysql::open(config)?,
        #[cfg(feature = "postgres")]
        Database::Postgres => sql::postgres::open(config)?,
        #[cfg(feature = "sqlite")]
        Database::Sqlite => sql::sqlite::open(config)?,
        #[allow(unreachable_patterns, reason = "a build with all databases has no other")]
        other => return Err(StoreError::NotIncluded(other)),
    };
    match store.migrate().await {
        Err(error) if is_unavailable(&error) && config.database != Database::Sqlite => {
            let (description, cause) = (store.describe(), first_cause(&error));
            tracing::warn!(
                "the database {description} is unreachable; calls that need it return error 1016 until it recovers: {cause}"
            );
            return Ok((store, false));
        }
        Err(error) => return Err(StoreError::unusable(&*store, &error)),
        Ok(()) => {}
    }
    Ok((store, true))
}

fn is_unavailable(error: &Error) -> bool {
    error.code() == code::SERVICE_UNAVAILABLE.number
}
