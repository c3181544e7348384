//! Statements executed by sqlx, on the connections of a pool.

use method_sdk::Result;
use sqlx::Connection as _;
use sqlx::error::DatabaseError;

use super::dialect::Dialect;
use super::executor::Executor;
use super::pool::ConnectionPool;
use super::statement::{Arg, Row, Statements, Step};
use crate::store::error::SchemaError;
use crate::store::retry::{Attempt, retry};

pub(super) struct PoolExecutor<D: Dialect> {
    pool: ConnectionPool<D>,
}

impl<D: Dialect> PoolExecutor<D> {
    pub(super) fn new(pool: ConnectionPool<D>) -> Self {
        PoolExecutor { pool }
    }

    async fn try_execute(&self, sql: &'static str, args: &[Arg<'_>]) -> sqlx::Result<u64> {
        let mut leased = self.pool.acquire().await?;
        let affected = D::execute(&mut leased, sql, args).await?;
        self.pool.release(leased);
        Ok(affected)
    }

    async fn try_transaction(&self, steps: &[Step<'_>]) -> sqlx::Result<bool> {
        let mut leased = self.pool.acquire().await?;
        let mut transaction = leased.begin().await?;
        for step in steps {
            let affected = match D::execute(&mut transaction, step.sql, &step.args).await {
                Err(sqlx::Error::Database(error)) if step.required && error.is_unique_violation() => 0,
                affected => affected?,
            };
            if step.required && affected == 0 {
                transaction.rollback().await?;
                self.pool.release(leased);
                return Ok(false);
            }
        }
        transaction.commit().await?;
        self.pool.release(leased);
        Ok(true)
    }
}

impl<D: Dialect> Executor for PoolExecutor<D> {
    const STATEMENTS: Statements = D::STATEMENTS;

    async fn migrate(&self) -> Result<()> {
        let known = D::MIGRATIONS.len() as i64;
        let mut connection = self.pool.connect().await?;
        // An up-to-date schema needs neither a lock, which another server may hold, nor the right to change it.
        let mut version = match schema_version::<D>(&mut connection).await {
            Err(sqlx::Error::Database(error)) if D::is_missing_table(&*error) => 0,
            version => version?,
        };
        if (0..known).contains(&version) {
            let mut transaction = connection.begin().await?;
            D::execute_script(&mut transaction, D::BEGIN_SCHEMA).await?;
            version = schema_version::<D>(&mut transaction).await?;
            for migration in D::MIGRATIONS.iter().skip(usize::try_from(version)?) {
                D::execute_script(&mut transaction, migration).await?;
            }
            transaction.commit().await?;
        }
        connection.close().await?;
        Ok(SchemaError::check(version, known)?)
    }

    async fn execute(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64> {
        retry_conflicts(|| self.try_execute(sql, args)).await
    }

    async fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>> {
        let mut leased = self.pool.acquire().await?;
        let rows = D::fetch(&mut leased, sql, args).await?;
        self.pool.release(leased);
        Ok(rows)
    }

    async fn transaction(&self, steps: &[Step<'_>]) -> Result<bool> {
        retry_conflicts(|| self.try_transaction(steps)).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

async fn schema_version<D: Dialect>(connection: &mut D::Connection) -> sqlx::Result<i64> {
    let rows = D::fetch(connection, D::SCHEMA_VERSION, &[]).await?;
    let mut version = rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    version.int().map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Retries a transaction that the database aborted because of a concurrent one. A statement outside a transaction is one too.
async fn retry_conflicts<T, F: Future<Output = sqlx::Result<T>>>(mut execute: impl FnMut() -> F) -> Result<T> {
    retry(|| {
        let transaction = execute();
        async {
            match transaction.await {
                Err(sqlx::Error::Database(error)) if is_conflict(&*error) => Ok(Attempt::Conflict(error)),
                outcome => Ok(Attempt::Finished(outcome?)),
            }
        }
    })
    .await
}

/// Returns `true` for the SQLSTATEs of a serialization failure, which is also MySQL's deadlock, and of PostgreSQL's deadlock.
fn is_conflict(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|sqlstate| ["40001", "40P01"].contains(&&*sqlstate))
}
