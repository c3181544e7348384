//! The differences between database servers: their statements, and the functions by which sqlx executes them.

use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::{Database, Encode, Pool, Result, Type};

use super::statement::{Arg, Row, Statements};

/// A database server that sqlx connects to.
pub(super) trait Dialect: Database {
    const STATEMENTS: Statements;

    /// Prepares a transaction for migrations: creates what `SCHEMA_VERSION` reads, and locks out the migrations of other servers
    /// unless these are harmless.
    const BEGIN_SCHEMA: &str;

    /// Returns the number of migrations the database has.
    const SCHEMA_VERSION: &str = "SELECT count(*) FROM simpleapi_schema";

    /// The steps of the schema, in order. Each increases the number that `SCHEMA_VERSION` returns. Add steps, never change them.
    const MIGRATIONS: &[&str];

    /// Prepares a new connection.
    fn after_connect(_connection: &mut Self::Connection) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

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
            args: &[super::statement::Arg<'_>],
        ) -> sqlx::Result<u64> {
            Ok(super::dialect::bind(sql, args).execute(connection).await?.rows_affected())
        }

        async fn fetch(
            connection: &mut Self::Connection,
            sql: &'static str,
            args: &[super::statement::Arg<'_>],
        ) -> sqlx::Result<Vec<super::statement::Row>> {
            use super::statement::{Row, Value};
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
