//! The way from a method to the database that the server keeps its accounts and sessions in.

use std::error::Error as StdError;
use std::fmt;

/// The server's connection to its database; see [`Handler::connection`](crate::Handler::connection).
#[derive(Debug, Clone)]
pub struct DatabaseHandle {
    database: Database,
}

macro_rules! databases {
    ($($(#[doc = $doc:literal])* $feature:literal $variant:ident $get:ident -> $handle:ty;)*) => {
        /// The database in use: the very pool that the server's sessions use.
        ///
        /// A method asks for the kind it was written for; a server that runs on another answers 1000 and logs which. One that is
        /// written for several matches. Each kind is a feature of this crate, on by default.
        ///
        /// # Example
        /// ```no_run
        /// # #[cfg(feature = "sqlite")] mod method {
        /// # use method_sdk::{Handler, Result, sqlx};
        /// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<i64> {
        ///     let pool = handler.connection().db().sqlite()?;
        ///     Ok(sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(pool).await?)
        /// }
        /// # }
        /// ```
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum Database {
            $(
                $(#[doc = $doc])*
                #[cfg(feature = $feature)]
                $variant($handle),
            )*
        }

        impl Database {
            /// The kinds that this build has, as `--database` names them.
            pub const KINDS: &[&str] = &[$(#[cfg(feature = $feature)] $feature),*];

            /// The name of this kind of database, as in `--database`.
            pub fn kind(&self) -> &'static str {
                match *self {
                    $(#[cfg(feature = $feature)] Database::$variant(_) => $feature,)*
                }
            }

            $(
                #[doc = concat!("What leads to the database, if this server runs on ", $feature, ".")]
                ///
                /// # Errors
                /// The server runs on another database.
                #[cfg(feature = $feature)]
                pub fn $get(&self) -> Result<&$handle, DatabaseMismatch> {
                    match self {
                        Database::$variant(handle) => Ok(handle),
                        #[allow(unreachable_patterns, reason = "in a build with one database there is no other")]
                        other => Err(DatabaseMismatch { asked: $feature, running: other.kind() }),
                    }
                }
            )*
        }
    };
}

databases! {
    /// MongoDB, or what speaks its protocol: the database, by which its collections are reached.
    "mongodb" Mongodb mongodb -> mongodb::Database;
    /// MySQL, MariaDB, or what speaks their protocol.
    "mysql" Mysql mysql -> sqlx::MySqlPool;
    /// PostgreSQL.
    "postgres" Postgres postgres -> sqlx::PgPool;
    /// SQLite, embedded in the server.
    "sqlite" Sqlite sqlite -> sqlx::SqlitePool;
}

/// The method asked for one kind of database, and the server runs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseMismatch {
    asked: &'static str,
    running: &'static str,
}

impl DatabaseHandle {
    /// A connection to this database; for servers and tests.
    pub fn new(database: Database) -> Self {
        DatabaseHandle { database }
    }

    /// The database in use.
    pub fn db(&self) -> &Database {
        &self.database
    }
}

impl fmt::Display for DatabaseMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the method asks for {}, and this server runs on {}", self.asked, self.running)
    }
}

impl StdError for DatabaseMismatch {}
