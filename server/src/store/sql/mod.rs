//! Accounts and sessions in tables: all that the SQL databases share. What differs is a [`Dialect`].

#[cfg(feature = "mysql")]
pub(super) mod mysql;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use method_sdk::{DatabaseHandle, Result};
use sqlx::error::DatabaseError;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{ColumnIndex, ConnectOptions as _, Connection as _, Decode, Encode, Executor, IntoArguments, Pool, Type};
use tokio::time::timeout;

use crate::config::Config;
use crate::store::{
    AccountRow, DatabaseGuard, EXPIRED_AT_A_TIME, NewSession, NewerSchema, SIGNATURE_VERSION, SessionHash, SessionRow,
    Store, connect_timeout,
};

/// What one SQL database says differently from the others.
pub(super) trait Dialect: sqlx::Database<Arguments: IntoArguments<Self>> {
    const STATEMENTS: Statements;

    /// The steps of the schema, in order, each with what makes `schema_version` count it. Add, never change.
    const MIGRATIONS: &[&str];

    fn rows_affected(result: &Self::QueryResult) -> u64;

    fn handle(pool: Pool<Self>) -> method_sdk::Database;
}

/// The statements, each with the values that it takes, in order.
pub(super) struct Statements {
    /// Begins a transaction that will write.
    pub(super) begin: &'static str,
    /// In such a transaction, before migrations: there is something that tells how many have been taken, and no two servers take
    /// one at a time, unless that does no harm.
    pub(super) begin_schema: &'static str,
    /// How many migrations the database has taken.
    pub(super) schema_version: &'static str,
    /// user id, password hash, created
    pub(super) insert_account: &'static str,
    /// user id
    pub(super) password_hash: &'static str,
    /// new hash, user id, old hash
    pub(super) change_password: &'static str,
    /// user id
    pub(super) delete_account: &'static str,
    /// user id, how many at most
    pub(super) accounts: &'static str,
    /// session hash, created, expires, signature version, user id, password hash: of that account, locked, with that hash
    pub(super) insert_session: &'static str,
    /// session hash, now
    pub(super) session: &'static str,
    /// state, session hash, version
    pub(super) save_state: &'static str,
    /// session hash
    pub(super) delete_session: &'static str,
    /// session hash, user id
    pub(super) delete_session_of: &'static str,
    /// user id
    pub(super) delete_sessions: &'static str,
    /// now, how many at most
    pub(super) delete_expired: &'static str,
    /// Answers whatever there is of one account.
    pub(super) ping: &'static str,
}

pub(super) struct SqlStore<D: Dialect> {
    pool: Pool<D>,
    /// Connections that are kept from the pool, each with when it was last used: the pool sends a ping whenever one is given back,
    /// and that would be a second round trip for every look at a session. At most half of all, so that methods find some too.
    idle: Mutex<Vec<(PoolConnection<D>, Instant)>>,
    max_idle: usize,
    connection: DatabaseHandle,
    description: String,
    guard: DatabaseGuard,
}

impl<D: Dialect> SqlStore<D> {
    /// Connects to nothing yet.
    pub(super) fn new(
        config: &Config,
        description: String,
        options: <D::Connection as sqlx::Connection>::Options,
    ) -> Self {
        let pool = PoolOptions::new()
            .max_connections(config.database_connections)
            .acquire_timeout(connect_timeout(config))
            .test_before_acquire(false)
            .before_acquire(|connection, state| Box::pin(async move { Ok(is_alive(connection, state.idle_for).await) }))
            .connect_lazy_with(options);
        let connection = DatabaseHandle::new(D::handle(pool.clone()));
        let max_idle = config.database_connections as usize / 2;
        SqlStore { pool, idle: Mutex::default(), max_idle, connection, description, guard: DatabaseGuard::new(config) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PoolConnection<D>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(&self) -> sqlx::Result<LeasedConnection<D>> {
        loop {
            let Some((connection, used)) = self.idle().pop() else { break };
            let mut leased = LeasedConnection(Some(connection));
            if is_alive(&mut *leased, used.elapsed()).await {
                return Ok(leased);
            }
        }
        Ok(LeasedConnection(Some(self.pool.acquire().await?)))
    }

    fn release(&self, mut leased: LeasedConnection<D>) {
        let mut idle = self.idle();
        if idle.len() < self.max_idle {
            idle.extend(leased.0.take().map(|connection| (connection, Instant::now())));
        } else {
            drop(leased.0.take()); // to the pool
        }
    }
}

/// Whether a connection may be used that has been idle for so long: the database may have been restarted since.
async fn is_alive<C: sqlx::Connection>(connection: &mut C, idle: Duration) -> bool {
    const TRUSTED: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(1);
    idle < TRUSTED || timeout(PATIENCE, connection.ping()).await.is_ok_and(|answer| answer.is_ok())
}

/// A connection at work. One that is dropped before it is given back is closed: there may be an answer on its way to nobody, or a
/// transaction that has no end.
struct LeasedConnection<D: Dialect>(Option<PoolConnection<D>>);

impl<D: Dialect> Deref for LeasedConnection<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        self.0.as_ref().expect(LEASED)
    }
}

impl<D: Dialect> DerefMut for LeasedConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.0.as_mut().expect(LEASED)
    }
}

const LEASED: &str = "only giving it back takes it, and ends this";

impl<D: Dialect> Drop for LeasedConnection<D> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

impl<D> SqlStore<D>
where
    D: Dialect,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'v> &'v str: Encode<'v, D> + Type<D>,
    for<'v> &'v [u8]: Encode<'v, D> + Type<D>,
    for<'v> i64: Encode<'v, D> + Decode<'v, D> + Type<D>,
    usize: ColumnIndex<D::Row>,
{
    /// Lends a connection to `work`, which hands it back beside what it has found.
    async fn with<T, F>(&self, work: impl FnOnce(LeasedConnection<D>) -> F) -> Result<T>
    where
        F: Future<Output = sqlx::Result<(LeasedConnection<D>, T)>>,
    {
        let work = async {
            let (leased, done) = work(self.acquire().await?).await?;
            self.release(leased);
            Ok(done)
        };
        self.guard.pass(self.migrate(), work).await
    }

    /// The same in a transaction, which is taken back if the answer is false. Of two transactions that wait for each other the
    /// database gives up one, which then begins anew.
    async fn transaction<F>(&self, work: impl Fn(LeasedConnection<D>) -> F) -> Result<bool>
    where
        F: Future<Output = sqlx::Result<(LeasedConnection<D>, bool)>>,
    {
        let attempt = async || {
            let mut leased = self.acquire().await?;
            sqlx::raw_sql(D::STATEMENTS.begin).execute(&mut *leased).await?;
            let (mut leased, done) = work(leased).await?;
            sqlx::raw_sql(if done { "COMMIT" } else { "ROLLBACK" }).execute(&mut *leased).await?;
            self.release(leased);
            Ok(done)
        };
        let work = async {
            loop {
                match attempt().await {
                    Err(sqlx::Error::Database(error)) if is_deadlock(&*error) => {}
                    done => return Ok(done?),
                }
            }
        };
        self.guard.pass(self.migrate(), work).await
    }

    async fn migrate(&self) -> Result<()> {
        let known = D::MIGRATIONS.len() as i64;
        // Not from the pool, which tries again for as long as it can and so does not tell why it cannot connect.
        let mut connection = self.pool.connect_options().connect().await?;
        // A schema that is up to date needs no lock, which another server may be holding, and no right to change it.
        let mut found = Self::schema_version(&mut connection).await.unwrap_or_default();
        if found < known {
            let mut transaction = connection.begin_with(D::STATEMENTS.begin).await?;
            sqlx::raw_sql(D::STATEMENTS.begin_schema).execute(&mut *transaction).await?;
            found = Self::schema_version(&mut transaction).await?;
            for migration in D::MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
                sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        }
        connection.close().await?;
        if found > known { Err(NewerSchema { found, known }.into()) } else { Ok(()) }
    }

    async fn schema_version(connection: &mut D::Connection) -> sqlx::Result<i64> {
        sqlx::query_scalar(D::STATEMENTS.schema_version).fetch_one(connection).await
    }

    /// Adds the session, if there is one to add; false if the account's hash is not this one.
    async fn insert_session(
        connection: &mut D::Connection,
        password_hash: &str,
        session: Option<&NewSession<'_>>,
    ) -> sqlx::Result<bool> {
        let Some(session) = session else { return Ok(true) };
        let query = sqlx::query(D::STATEMENTS.insert_session)
            .bind(session.hash.as_slice())
            .bind(session.created)
            .bind(session.expires)
            .bind(SIGNATURE_VERSION)
            .bind(session.user_id)
            .bind(password_hash);
        Ok(D::rows_affected(&query.execute(connection).await?) == 1)
    }
}

/// By SQLSTATE: a serialization failure, which is also MySQL's deadlock, and PostgreSQL's deadlock.
fn is_deadlock(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|state| ["40001", "40P01"].contains(&&*state))
}

#[async_trait]
impl<D> Store for SqlStore<D>
where
    D: Dialect,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'v> &'v str: Encode<'v, D> + Type<D>,
    for<'v> &'v [u8]: Encode<'v, D> + Type<D>,
    for<'v> i64: Encode<'v, D> + Decode<'v, D> + Type<D>,
    for<'v> String: Decode<'v, D> + Type<D>,
    usize: ColumnIndex<D::Row>,
{
    fn connection(&self) -> &DatabaseHandle {
        &self.connection
    }

    fn describe(&self) -> &str {
        &self.description
    }

    async fn migrate_now(&self) -> Result<()> {
        self.guard.pass(self.migrate(), async { Ok(()) }).await
    }

    async fn ping(&self) -> Result<()> {
        self.with(|mut leased| async move {
            sqlx::query(D::STATEMENTS.ping).fetch_optional(&mut *leased).await?;
            Ok((leased, ()))
        })
        .await
    }

    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        self.transaction(|mut leased| async move {
            let account = sqlx::query(D::STATEMENTS.insert_account).bind(user_id).bind(password_hash).bind(created);
            match account.execute(&mut *leased).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok((leased, false)),
                inserted => inserted?,
            };
            let done = Self::insert_session(&mut leased, password_hash, session).await?;
            Ok((leased, done))
        })
        .await
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>> {
        self.with(|mut leased| async move {
            let query = sqlx::query_scalar(D::STATEMENTS.password_hash).bind(user_id);
            let found = query.fetch_optional(&mut *leased).await?;
            Ok((leased, found))
        })
        .await
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        self.with(|mut leased| async move {
            let query = sqlx::query(D::STATEMENTS.change_password).bind(new).bind(user_id).bind(old);
            query.execute(&mut *leased).await?;
            Ok((leased, ()))
        })
        .await
    }

    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        self.transaction(|mut leased| async move {
            let query = sqlx::query(D::STATEMENTS.change_password).bind(new).bind(user_id).bind(old);
            if D::rows_affected(&query.execute(&mut *leased).await?) == 0 {
                return Ok((leased, false));
            }
            let query = sqlx::query(D::STATEMENTS.delete_sessions).bind(user_id);
            query.execute(&mut *leased).await?;
            let done = Self::insert_session(&mut leased, new, session).await?;
            Ok((leased, done))
        })
        .await
    }

    async fn delete_account(&self, user_id: &str) -> Result<bool> {
        self.transaction(|mut leased| async move {
            let query = sqlx::query(D::STATEMENTS.delete_account).bind(user_id);
            let deleted = D::rows_affected(&query.execute(&mut *leased).await?) == 1;
            sqlx::query(D::STATEMENTS.delete_sessions).bind(user_id).execute(&mut *leased).await?;
            Ok((leased, deleted))
        })
        .await
    }

    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>> {
        self.with(|mut leased| async move {
            let query = sqlx::query_as(D::STATEMENTS.accounts).bind(after).bind(limit);
            let rows: Vec<(String, i64)> = query.fetch_all(&mut *leased).await?;
            let rows = rows.into_iter().map(|(user_id, created)| AccountRow { user_id, created }).collect();
            Ok((leased, rows))
        })
        .await
    }

    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool> {
        self.transaction(|mut leased| async move {
            let opened = Self::insert_session(&mut leased, password_hash, Some(session)).await?;
            if opened && let Some(replaces) = replaces {
                let query =
                    sqlx::query(D::STATEMENTS.delete_session_of).bind(replaces.as_slice()).bind(session.user_id);
                query.execute(&mut *leased).await?;
            }
            Ok((leased, opened))
        })
        .await
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>> {
        self.with(|mut leased| async move {
            let query = sqlx::query_as(D::STATEMENTS.session).bind(hash.as_slice()).bind(now);
            let row: Option<(String, i64, String, i64)> = query.fetch_optional(&mut *leased).await?;
            let row = row.map(|(user_id, expires, state, state_version)| SessionRow {
                user_id,
                expires,
                state,
                state_version,
            });
            Ok((leased, row))
        })
        .await
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool> {
        self.with(|mut leased| async move {
            let query = sqlx::query(D::STATEMENTS.save_state).bind(state).bind(hash.as_slice()).bind(version);
            let saved = D::rows_affected(&query.execute(&mut *leased).await?) == 1;
            Ok((leased, saved))
        })
        .await
    }

    async fn delete_session(&self, hash: &SessionHash) -> Result<()> {
        self.with(|mut leased| async move {
            sqlx::query(D::STATEMENTS.delete_session).bind(hash.as_slice()).execute(&mut *leased).await?;
            Ok((leased, ()))
        })
        .await
    }

    async fn delete_sessions(&self, user_id: &str) -> Result<()> {
        self.with(|mut leased| async move {
            sqlx::query(D::STATEMENTS.delete_sessions).bind(user_id).execute(&mut *leased).await?;
            Ok((leased, ()))
        })
        .await
    }

    async fn delete_expired(&self, now: i64) -> Result<u64> {
        self.with(|mut leased| async move {
            let query = sqlx::query(D::STATEMENTS.delete_expired).bind(now).bind(EXPIRED_AT_A_TIME);
            let removed = D::rows_affected(&query.execute(&mut *leased).await?);
            Ok((leased, removed))
        })
        .await
    }

    async fn close(&self) {
        self.idle().clear();
        self.pool.close().await;
    }
}
