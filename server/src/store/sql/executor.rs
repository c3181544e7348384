//! The interface between the SQL store and the driver of a database.

use method_sdk::Result;

use super::statement::{Arg, Row, Statements, Step};

/// Executes the statements of [`SqlStore`](super::SqlStore) on a database.
///
/// # Errors
/// Every function returns error 1016 (Service unavailable) if the database is unreachable, busy or full, and error 1000 (Server error)
/// otherwise.
pub(super) trait Executor: Send + Sync {
    const STATEMENTS: Statements;

    /// Brings the schema up to date.
    fn migrate(&self) -> impl Future<Output = Result<()>> + Send;

    /// Checks that the database responds.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send {
        async { self.execute(Self::STATEMENTS.ping, &[]).await.map(drop) }
    }

    /// Executes a statement and returns the number of rows affected.
    fn execute(&self, sql: &'static str, args: &[Arg<'_>]) -> impl Future<Output = Result<u64>> + Send;

    /// Executes a query and returns its rows.
    fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// Executes `steps` in one transaction. Returns `false` if a required step failed; nothing has changed then.
    fn transaction(&self, steps: &[Step<'_>]) -> impl Future<Output = Result<bool>> + Send;

    /// Closes the connections after the calls in progress.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
