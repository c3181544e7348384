//! The differences between SQL databases: their statements, and the functions by which sqlx executes them.

use std::vec;

use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::{Database, Encode, Error, Pool, Result, Type};

/// A database that [`SqlStore`](super::SqlStore) can use.
pub(super) trait Dialect: Database {
    const STATEMENTS: Statements;

    /// The steps of the schema, in order. Each increases the number that `schema_version` returns. Add steps, never change them.
    const MIGRATIONS: &[&str];

    /// Returns `true` if `error` says that a table does not exist.
    fn is_missing_table(error: &dyn DatabaseError) -> bool;

    fn handle(pool: Pool<Self>) -> method_sdk::Database;

    /// Executes a prepared statement and returns the number of rows affected.
    fn execute(
        connection: &mut Self::Connection,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Executes a prepared statement and returns its rows.
    fn fetch(
        connection: &mut Self::Connection,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// Executes statements separated by semicolons, unprepared.
    fn execute_script(connection: &mut Self::Connection, sql: &'static str) -> impl Future<Output = Result<()>> + Send;
}

/// The statements, each with its arguments in order.
pub(super) struct Statements {
    /// Begins a transaction that will write.
    pub(super) begin: &'static str,
    /// Prepares a transaction for migrations: creates what `schema_version` reads, and locks out the migrations of other servers
    /// unless these are harmless.
    pub(super) begin_schema: &'static str,
    /// Returns the number of migrations the database has.
    pub(super) schema_version: &'static str,
    /// Arguments: user id, password hash, created.
    pub(super) insert_account: &'static str,
    /// Arguments: user id.
    pub(super) password_hash: &'static str,
    /// Arguments: new hash, user id, old hash.
    pub(super) change_password: &'static str,
    /// Arguments: user id.
    pub(super) delete_account: &'static str,
    /// Arguments: user id, limit.
    pub(super) accounts: &'static str,
    /// Locks the account with this user id and password hash, and inserts a session for it.
    /// Arguments: session hash, created, expires, signature version, user id, password hash.
    pub(super) insert_session: &'static str,
    /// Arguments: session hash, now.
    pub(super) session: &'static str,
    /// Arguments: state, session hash, version.
    pub(super) save_state: &'static str,
    /// Arguments: session hash.
    pub(super) delete_session: &'static str,
    /// Arguments: session hash, user id.
    pub(super) delete_session_of: &'static str,
    /// Arguments: user id.
    pub(super) delete_sessions: &'static str,
    /// Arguments: now, limit.
    pub(super) delete_expired: &'static str,
    /// Reads the table of accounts.
    pub(super) ping: &'static str,
}

/// An argument of a statement.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Text(&'a str),
    Blob(&'a [u8]),
    Int(i64),
}

/// A value of a row.
pub(super) enum Value {
    Text(String),
    Int(i64),
}

/// A row of a result. Its values are taken from left to right.
pub(super) struct Row(pub(super) vec::IntoIter<Value>);

impl Row {
    /// Takes the next value.
    ///
    /// # Errors
    /// The next value is not text, or there is none.
    pub(super) fn text(&mut self) -> Result<String> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(unexpected("text")),
        }
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// The next value is not an integer, or there is none.
    pub(super) fn int(&mut self) -> Result<i64> {
        match self.0.next() {
            Some(Value::Int(int)) => Ok(int),
            _ => Err(unexpected("an integer")),
        }
    }
}

fn unexpected(expected: &str) -> Error {
    Error::Decode(format!("expected {expected} in a column").into())
}

/// Prepares a statement with its arguments.
pub(super) fn bind<'q, D: Database>(sql: &'static str, args: &[Arg<'_>]) -> Query<'q, D, D::Arguments>
where
    for<'v> &'v str: Encode<'v, D> + Type<D>,
    for<'v> &'v [u8]: Encode<'v, D> + Type<D>,
    for<'v> i64: Encode<'v, D> + Type<D>,
{
    args.iter().fold(sqlx::query(sql), |query, arg| match *arg {
        Arg::Text(text) => query.bind(text),
        Arg::Blob(blob) => query.bind(blob),
        Arg::Int(int) => query.bind(int),
    })
}

/// The functions of [`Dialect`] that are the same text for every database. Generic code would have to repeat sqlx's bounds (`Executor`,
/// `Encode`, `Decode`, `Type`, `ColumnIndex`) wherever it is used.
macro_rules! execution {
    () => {
        async fn execute(
            connection: &mut Self::Connection,
            sql: &'static str,
            args: &[super::dialect::Arg<'_>],
        ) -> sqlx::Result<u64> {
            Ok(super::dialect::bind(sql, args).execute(connection).await?.rows_affected())
        }

        async fn fetch(
            connection: &mut Self::Connection,
            sql: &'static str,
            args: &[super::dialect::Arg<'_>],
        ) -> sqlx::Result<Vec<super::dialect::Row>> {
            use super::dialect::{Row, Value};
            use sqlx::{Row as _, Type, ValueRef as _};

            let rows = super::dialect::bind(sql, args).fetch_all(connection).await?;
            let value = |row: &<Self as sqlx::Database>::Row, column: usize| {
                let is_int = <i64 as Type<Self>>::compatible(&row.try_get_raw(column)?.type_info());
                if is_int { row.try_get(column).map(Value::Int) } else { row.try_get(column).map(Value::Text) }
            };
            let owned = |row: &<Self as sqlx::Database>::Row| {
                let values: sqlx::Result<Vec<_>> = (0..row.len()).map(|column| value(row, column)).collect();
                Ok(Row(values?.into_iter()))
            };
            rows.iter().map(owned).collect()
        }

        async fn execute_script(connection: &mut Self::Connection, sql: &'static str) -> sqlx::Result<()> {
            sqlx::raw_sql(sql).execute(connection).await.map(drop)
        }
    };
}
pub(super) use execution;
