//! Access of methods to the server's database.

/// The handle to the server's database; see [`Handler::connection`](crate::Handler::connection).
#[derive(Debug, Clone)]
pub struct DatabaseHandle {
    database: Database,
}

macro_rules! databases {
    ($($(#[doc = $doc:literal])* $feature:literal $variant:ident $get:ident -> $handle:ty;)*) => {
        /// The database of the server: the connection pool, or the MongoDB database, that holds its accounts and sessions.
        ///
        /// A method for one kind of database calls the getter of that kind. With `?`, a server with another database returns error 1000
        /// (Server error) and logs both kinds. A method for several kinds matches on this enum. Each kind is a Cargo feature of this
        /// crate, enabled by default.
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
            /// The kinds of database in this build, by their names for `--database`.
            pub const KINDS: &[&str] = &[$(#[cfg(feature = $feature)] $feature),*];

            /// Returns the kind of this database, by its name for `--database`.
            pub fn kind(&self) -> &'static str {
                match *self {
                    $(#[cfg(feature = $feature)] Database::$variant(_) => $feature,)*
                }
            }

            $(
                #[doc = concat!("Returns the database if its kind is `", $feature, "`.")]
                ///
                /// # Errors
                /// [`DatabaseMismatch`] if the server uses another kind of database.
                #[cfg(feature = $feature)]
                pub fn $get(&self) -> Result<&$handle, DatabaseMismatch> {
                    match self {
                        Database::$variant(handle) => Ok(handle),
                        #[allow(unreachable_patterns, reason = "in a build with one kind of database, there is no other")]
                        other => Err(DatabaseMismatch { requested: $feature, actual: other.kind() }),
                    }
                }
            )*
        }
    };
}

databases! {
    /// MongoDB, or a database with its protocol: the database, which leads to its collections.
    "mongodb" Mongodb mongodb -> mongodb::Database;
    /// MySQL, MariaDB, or a database with their protocol.
    "mysql" Mysql mysql -> sqlx::MySqlPool;
    /// PostgreSQL.
    "postgres" Postgres postgres -> sqlx::PgPool;
    /// SQLite, embedded in the server.
    "sqlite" Sqlite sqlite -> sqlx::SqlitePool;
}

/// The server uses another kind of database than the method requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the method requires the database {requested}, but the server uses {actual}")]
pub struct DatabaseMismatch {
    requested: &'static str,
    actual: &'static str,
}

impl DatabaseHandle {
    /// Creates the handle to a database; for servers and tests.
    pub fn new(database: Database) -> Self {
        DatabaseHandle { database }
    }

    /// Returns the database.
    pub fn db(&self) -> &Database {
        &self.database
    }
}
