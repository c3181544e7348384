//! Accounts and sessions in tables: the store that all SQL databases share. A [`Dialect`] holds the differences.

mod dialect;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
mod pool;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use async_trait::async_trait;
use method_sdk::{DatabaseHandle, Result};
use sqlx::Connection as _;
use sqlx::error::DatabaseError;

use self::Arg::{Blob, Int, Text};
use self::dialect::{Arg, Dialect, Row};
use self::pool::{ConnectionPool, Options};
use super::error::SchemaError;
use super::guard::DatabaseGuard;
use super::interface::{AccountRow, EXPIRED_BATCH, NewSession, SIGNATURE_VERSION, SessionHash, SessionRow, Store};
use super::retry::{Attempt, retry};
use crate::config::Config;

struct SqlStore<D: Dialect> {
    pool: ConnectionPool<D>,
    connection: DatabaseHandle,
    description: String,
    guard: DatabaseGuard,
}

/// A statement of a transaction.
struct Step<'a> {
    sql: &'static str,
    args: Vec<Arg<'a>>,
    /// The transaction is rolled back if the statement affects no row, or violates a unique index.
    required: bool,
}

impl<'a> Step<'a> {
    fn new(sql: &'static str, args: impl Into<Vec<Arg<'a>>>) -> Self {
        Step { sql, args: args.into(), required: false }
    }

    fn required(sql: &'static str, args: impl Into<Vec<Arg<'a>>>) -> Self {
        Step { sql, args: args.into(), required: true }
    }
}

impl<D: Dialect> SqlStore<D> {
    /// Creates a store that connects on demand.
    fn new(config: &Config, description: String, options: Options<D>) -> Self {
        let pool = ConnectionPool::new(config, options);
        let connection = DatabaseHandle::new(D::handle(pool.inner().clone()));
        SqlStore { pool, connection, description, guard: DatabaseGuard::new(config) }
    }

    /// Executes one statement and returns the number of rows affected.
    async fn execute(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64> {
        let work = async {
            let mut leased = self.pool.acquire().await?;
            let affected = D::execute(&mut leased, sql, args).await?;
            self.pool.release(leased);
            Ok(affected)
        };
        self.guard.run(self.apply_migrations(), work).await
    }

    /// Executes one statement and returns its rows.
    async fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>> {
        let work = async {
            let mut leased = self.pool.acquire().await?;
            let rows = D::fetch(&mut leased, sql, args).await?;
            self.pool.release(leased);
            Ok(rows)
        };
        self.guard.run(self.apply_migrations(), work).await
    }

    /// Executes `steps` in one transaction. Returns `false` if a required step failed; nothing has changed then. Retries a
    /// transaction that the database aborted because of a concurrent one.
    async fn transaction(&self, steps: &[Step<'_>]) -> Result<bool> {
        let work = retry(|| async {
            match self.try_transaction(steps).await {
                Err(sqlx::Error::Database(error)) if is_conflict(&*error) => Ok(Attempt::Conflict(error)),
                outcome => Ok(Attempt::Finished(outcome?)),
            }
        });
        self.guard.run(self.apply_migrations(), work).await
    }

    async fn try_transaction(&self, steps: &[Step<'_>]) -> sqlx::Result<bool> {
        let mut leased = self.pool.acquire().await?;
        let mut transaction = leased.begin_with(D::STATEMENTS.begin).await?;
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

    async fn apply_migrations(&self) -> Result<()> {
        let known = D::MIGRATIONS.len() as i64;
        let mut connection = self.pool.connect().await?;
        // An up-to-date schema needs neither a lock, which another server may hold, nor the right to change it.
        let mut version = match schema_version::<D>(&mut connection).await {
            Err(sqlx::Error::Database(error)) if D::is_missing_table(&*error) => 0,
            version => version?,
        };
        if (0..known).contains(&version) {
            let mut transaction = connection.begin_with(D::STATEMENTS.begin).await?;
            D::execute_script(&mut transaction, D::STATEMENTS.begin_schema).await?;
            version = schema_version::<D>(&mut transaction).await?;
            for migration in D::MIGRATIONS.iter().skip(usize::try_from(version)?) {
                D::execute_script(&mut transaction, migration).await?;
            }
            transaction.commit().await?;
        }
        connection.close().await?;
        Ok(SchemaError::check(version, known)?)
    }
}

async fn schema_version<D: Dialect>(connection: &mut D::Connection) -> sqlx::Result<i64> {
    let rows = D::fetch(connection, D::STATEMENTS.schema_version, &[]).await?;
    rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?.int()
}

/// Returns `true` for the SQLSTATEs of a serialization failure, which is also MySQL's deadlock, and of PostgreSQL's deadlock.
fn is_conflict(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|sqlstate| ["40001", "40P01"].contains(&&*sqlstate))
}

fn insert_session<'a, D: Dialect>(password_hash: &'a str, session: &'a NewSession<'_>) -> Step<'a> {
    let NewSession { hash, user_id, created, expires } = session;
    let args = [Blob(hash), Int(*created), Int(*expires), Int(SIGNATURE_VERSION), Text(user_id), Text(password_hash)];
    Step::required(D::STATEMENTS.insert_session, args)
}

#[async_trait]
impl<D: Dialect> Store for SqlStore<D> {
    fn connection(&self) -> &DatabaseHandle {
        &self.connection
    }

    fn describe(&self) -> &str {
        &self.description
    }

    async fn migrate(&self) -> Result<()> {
        self.guard.run(self.apply_migrations(), async { Ok(()) }).await
    }

    async fn ping(&self) -> Result<()> {
        self.execute(D::STATEMENTS.ping, &[]).await.map(drop)
    }

    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        let account = [Text(user_id), Text(password_hash), Int(created)];
        let mut steps = vec![Step::required(D::STATEMENTS.insert_account, account)];
        steps.extend(session.map(|session| insert_session::<D>(password_hash, session)));
        self.transaction(&steps).await
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>> {
        let rows = self.fetch(D::STATEMENTS.password_hash, &[Text(user_id)]).await?;
        Ok(rows.into_iter().next().map(|mut row| row.text()).transpose()?)
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        self.execute(D::STATEMENTS.change_password, &[Text(new), Text(user_id), Text(old)]).await.map(drop)
    }

    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        let mut steps = vec![
            Step::required(D::STATEMENTS.change_password, [Text(new), Text(user_id), Text(old)]),
            Step::new(D::STATEMENTS.delete_sessions, [Text(user_id)]),
        ];
        steps.extend(session.map(|session| insert_session::<D>(new, session)));
        self.transaction(&steps).await
    }

    async fn delete_account(&self, user_id: &str) -> Result<bool> {
        let steps = [
            Step::required(D::STATEMENTS.delete_account, [Text(user_id)]),
            Step::new(D::STATEMENTS.delete_sessions, [Text(user_id)]),
        ];
        self.transaction(&steps).await
    }

    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>> {
        let rows = self.fetch(D::STATEMENTS.accounts, &[Text(after), Int(limit)]).await?;
        let account = |mut row: Row| Ok(AccountRow { user_id: row.text()?, created: row.int()? });
        rows.into_iter().map(account).collect()
    }

    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool> {
        let mut steps = vec![insert_session::<D>(password_hash, session)];
        steps.extend(
            replaces
                .map(|replaced| Step::new(D::STATEMENTS.delete_session_of, [Blob(replaced), Text(session.user_id)])),
        );
        self.transaction(&steps).await
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>> {
        let rows = self.fetch(D::STATEMENTS.session, &[Blob(hash), Int(now)]).await?;
        let session = |mut row: Row| {
            let (user_id, expires, state, state_version) = (row.text()?, row.int()?, row.text()?, row.int()?);
            Ok(SessionRow { user_id, expires, state, state_version })
        };
        rows.into_iter().next().map(session).transpose()
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool> {
        Ok(self.execute(D::STATEMENTS.save_state, &[Text(state), Blob(hash), Int(version)]).await? == 1)
    }

    async fn delete_session(&self, hash: &SessionHash) -> Result<()> {
        self.execute(D::STATEMENTS.delete_session, &[Blob(hash)]).await.map(drop)
    }

    async fn delete_sessions(&self, user_id: &str) -> Result<()> {
        self.execute(D::STATEMENTS.delete_sessions, &[Text(user_id)]).await.map(drop)
    }

    async fn delete_expired(&self, now: i64) -> Result<u64> {
        self.execute(D::STATEMENTS.delete_expired, &[Int(now), Int(EXPIRED_BATCH)]).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
