//! The way from a method to the database that the server keeps its accounts and sessions in.

use std::error::Error as StdError;
use std::fmt;

use sqlx::SqlitePool;

/// The server's connection to its database; see [`Handler::connection`](crate::Handler::connection).
#[derive(Debug, Clone)]
pub struct Connection {
    database: Database,
}

/// The database in use: the very pool that the server's sessions use.
///
/// A method asks for the kind it was written for; a server that runs on another answers 1000 and logs which.
///
/// # Example
/// ```no_run
/// # use method_sdk::{Handler, Result, sqlx};
/// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<i64> {
///     let pool = handler.connection().db().sqlite()?;
///     Ok(sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(pool).await?)
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Database {
    /// SQLite, embedded in the server.
    Sqlite(SqlitePool),
}

/// The method asked for one kind of database, and the server runs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseMismatch {
    asked: &'static str,
    running: &'static str,
}

impl Connection {
    /// A connection to this database; for servers and tests.
    pub fn new(database: Database) -> Self {
        Connection { database }
    }

    /// The database in use.
    pub fn db(&self) -> &Database {
        &self.database
    }
}

impl Database {
    /// The pool, if this server runs on SQLite.
    ///
    /// # Errors
    /// The server runs on another database.
    pub fn sqlite(&self) -> Result<&SqlitePool, DatabaseMismatch> {
        match self {
            Database::Sqlite(pool) => Ok(pool),
        }
    }

    /// The name of this kind of database, as in `--database`.
    pub fn kind(&self) -> &'static str {
        match self {
            Database::Sqlite(_) => "sqlite",
        }
    }
}

impl fmt::Display for DatabaseMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the method asks for {}, and this server runs on {}", self.asked, self.running)
    }
}

impl StdError for DatabaseMismatch {}
