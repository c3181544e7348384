//! Accounts and sessions in one SQLite file, which several servers of one machine may share.

use std::time::Duration;

use async_trait::async_trait;
use method_sdk::{Connection, Database};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite as Driver, SqlitePool, Transaction};

use super::{NewSession, OpenError, SIGNATURE_VERSION, SessionHash, SessionRow, Store, StoreError};
use crate::config::Config;

/// The steps of the schema, in order; `PRAGMA user_version` says how many of them a file has taken. Add, never change.
/// Text compares byte by byte in SQLite unless told otherwise: no folding of case or spaces.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE accounts (
        user_id TEXT NOT NULL PRIMARY KEY,
        password_hash TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
        session_hash BLOB NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        signature_version INTEGER NOT NULL,
        state TEXT NOT NULL,
        state_version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_user ON sessions (user_id);
    CREATE INDEX sessions_by_expiry ON sessions (expires);
"];

/// Expired sessions removed in one transaction, so that nobody waits long for the write lock.
const EXPIRED_AT_A_TIME: i64 = 1000;

pub(super) struct Sqlite {
    pool: SqlitePool,
    connection: Connection,
}

impl Sqlite {
    pub(super) async fn open(config: &Config) -> Result<Self, OpenError> {
        let path = config.sqlite_path.display().to_string();
        let options = SqliteConnectOptions::new()
            .filename(&config.sqlite_path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(config.database_timeout);
        let pool = SqlitePoolOptions::new()
            .max_connections(config.database_connections)
            .acquire_timeout(config.database_timeout.max(Duration::from_millis(1)))
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|cause| OpenError::Sqlite { path: path.clone(), cause })?;
        migrate(&pool, path).await?;
        let connection = Connection::new(Database::Sqlite(pool.clone()));
        Ok(Sqlite { pool, connection })
    }

    /// A transaction that holds the write lock from its start: one that takes it later can find the file changed and has to give up.
    async fn write(&self) -> Result<Transaction<'static, Driver>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Brings the schema up to date; of several servers that start at once one does, and the others wait for it.
async fn migrate(pool: &SqlitePool, path: String) -> Result<(), OpenError> {
    let known = MIGRATIONS.len() as i64;
    let migrated = async {
        // A file that is up to date needs no lock, which another server may be holding.
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
        if found >= known {
            return Ok(found);
        }
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        }
        if found < known {
            // A pragma takes no bound values; this one is a number of ours.
            let stamp = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
            sqlx::raw_sql(stamp).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(found)
    };
    match migrated.await {
        Ok(found) if found > known => Err(OpenError::Newer { path, found, known }),
        Ok(_) => Ok(()),
        Err(cause) => Err(OpenError::Sqlite { path, cause }),
    }
}

async fn insert_session(transaction: &mut Transaction<'static, Driver>, session: &NewSession<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO sessions (session_hash, user_id, created, expires, signature_version, state, state_version)
         VALUES (?, ?, ?, ?, ?, '{}', 0)",
    )
    .bind(session.hash.as_slice())
    .bind(session.user_id)
    .bind(session.created)
    .bind(session.expires)
    .bind(SIGNATURE_VERSION)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[async_trait]
impl Store for Sqlite {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM accounts LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    async fn create_account(&self, password_hash: &str, session: &NewSession<'_>) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let added = sqlx::query(
            "INSERT INTO accounts (user_id, password_hash, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(session.user_id)
        .bind(password_hash)
        .bind(session.created)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if added == 1 {
            insert_session(&mut transaction, session).await?;
        }
        transaction.commit().await?;
        Ok(added == 1)
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT password_hash FROM accounts WHERE user_id = ?");
        Ok(query.bind(user_id).fetch_optional(&self.pool).await?)
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE accounts SET password_hash = ? WHERE user_id = ? AND password_hash = ?");
        query.bind(new).bind(user_id).bind(old).execute(&self.pool).await?;
        Ok(())
    }

    async fn change_password(&self, old: &str, new: &str, session: &NewSession<'_>) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let changed = sqlx::query("UPDATE accounts SET password_hash = ? WHERE user_id = ? AND password_hash = ?")
            .bind(new)
            .bind(session.user_id)
            .bind(old)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if changed == 1 {
            let query = sqlx::query("DELETE FROM sessions WHERE user_id = ?");
            query.bind(session.user_id).execute(&mut *transaction).await?;
            insert_session(&mut transaction, session).await?;
        }
        transaction.commit().await?;
        Ok(changed == 1)
    }

    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let same: Option<i64> = sqlx::query_scalar("SELECT 1 FROM accounts WHERE user_id = ? AND password_hash = ?")
            .bind(session.user_id)
            .bind(password_hash)
            .fetch_optional(&mut *transaction)
            .await?;
        if same.is_some() {
            if let Some(replaces) = replaces {
                let query = sqlx::query("DELETE FROM sessions WHERE session_hash = ? AND user_id = ?");
                query.bind(replaces.as_slice()).bind(session.user_id).execute(&mut *transaction).await?;
            }
            insert_session(&mut transaction, session).await?;
        }
        transaction.commit().await?;
        Ok(same.is_some())
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>, StoreError> {
        let row: Option<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT user_id, expires, state, state_version FROM sessions WHERE session_hash = ? AND expires > ?",
        )
        .bind(hash.as_slice())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(user_id, expires, state, state_version)| SessionRow { user_id, expires, state, state_version }))
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool, StoreError> {
        let saved = sqlx::query(
            "UPDATE sessions SET state = ?, state_version = state_version + 1 WHERE session_hash = ? AND state_version = ?",
        )
        .bind(state)
        .bind(hash.as_slice())
        .bind(version)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(saved == 1)
    }

    async fn end_session(&self, hash: &SessionHash) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM sessions WHERE session_hash = ?");
        query.bind(hash.as_slice()).execute(&self.pool).await?;
        Ok(())
    }

    async fn end_sessions(&self, user_id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE user_id = ?").bind(user_id).execute(&self.pool).await?;
        Ok(())
    }

    async fn remove_expired(&self, now: i64) -> Result<u64, StoreError> {
        let removed = sqlx::query(
            "DELETE FROM sessions WHERE session_hash IN (SELECT session_hash FROM sessions WHERE expires <= ? LIMIT ?)",
        )
        .bind(now)
        .bind(EXPIRED_AT_A_TIME)
        .execute(&self.pool)
        .await?;
        Ok(removed.rows_affected())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if may_pass(&error) { StoreError::Unavailable(error) } else { StoreError::Refused(error) }
    }
}

/// Whether the same may work later. The numbers are SQLite's primary result codes (<https://sqlite.org/rescode.html>).
fn may_pass(error: &sqlx::Error) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let extended: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
            [BUSY, LOCKED, READ_ONLY, IO, FULL, CANNOT_OPEN].contains(&(extended & 0xff))
        }
        _ => false,
    }
}
