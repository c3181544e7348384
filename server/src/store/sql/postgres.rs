//! Accounts and sessions in PostgreSQL.

use sqlx::Postgres;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgSslMode};

use super::SqlStore;
use super::dialect::{Dialect, execution};
use super::pool::ConnectionPool;
use super::pool_executor::PoolExecutor;
use super::statement::Statements;
use crate::config::{Config, Database};
use crate::store::error::StoreError;
use crate::store::interface::Store;
use crate::store::remote::unverified_warning;

pub(in crate::store) fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let url = config.postgres_url.as_ref().ok_or(StoreError::MissingKey {
        database: Database::Postgres,
        required: "`postgres_url=postgres://USER:PASSWORD@HOST/DATABASE`",
    })?;
    let options: PgConnectOptions = url.expose().parse().map_err(|error| StoreError::InvalidKey {
        key: "postgres_url",
        problem: format!("{error}; expected `postgres://USER:PASSWORD@HOST/DATABASE`"),
    })?;
    let options = options.application_name("simpleapi");
    let database = options.get_database().unwrap_or(options.get_username());
    let description = format!("postgres {database} at {}:{}", options.get_host(), options.get_port());
    let is_verified =
        options.get_socket().is_some() || matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    let add = "`?sslmode=verify-full&sslrootcert=PEM_FILE` to `postgres_url`";
    let warning = unverified_warning(&description, options.get_host(), is_verified, add);
    let pool = ConnectionPool::<Postgres>::new(config, options);
    let database = Postgres::handle(pool.inner().clone());
    Ok(Box::new(SqlStore::new(config, description, database, PoolExecutor::new(pool)).with_warning(warning)))
}

impl Dialect for Postgres {
    const STATEMENTS: Statements = Statements {
        insert_account: "INSERT INTO accounts (user_id, password_hash, created) VALUES ($1, $2, $3)",
        password_hash: "SELECT password_hash FROM accounts WHERE user_id = $1",
        change_password: "UPDATE accounts SET password_hash = $1 WHERE user_id = $2 AND password_hash = $3",
        delete_account: "DELETE FROM accounts WHERE user_id = $1",
        accounts: "SELECT user_id, created FROM accounts WHERE user_id > $1 ORDER BY user_id LIMIT $2",
        insert_session: "
            INSERT INTO sessions (session_hash, created, expires, signature_version, user_id, state, state_version)
            SELECT $1, $2, $3, $4, user_id, '{}', 0 FROM accounts WHERE user_id = $5 AND password_hash = $6 FOR SHARE",
        session: "
            SELECT user_id, expires, CASE WHEN octet_length(state) <= 1024 THEN state ELSE '' END, state_version
            FROM sessions WHERE session_hash = $1 AND expires > $2",
        session_state: "SELECT state, state_version FROM sessions WHERE session_hash = $1 AND expires > $2",
        save_state: "
            UPDATE sessions SET state = $1, state_version = state_version + 1
            WHERE session_hash = $2 AND state_version = $3",
        delete_session: "DELETE FROM sessions WHERE session_hash = $1",
        delete_session_of: "DELETE FROM sessions WHERE session_hash = $1 AND user_id = $2",
        delete_sessions: "DELETE FROM sessions WHERE user_id = $1",
        count_sessions: "SELECT count(*) FROM sessions WHERE user_id = $1",
        delete_oldest_sessions: "
            DELETE FROM sessions WHERE session_hash IN (
                SELECT session_hash FROM sessions WHERE user_id = $1 AND session_hash <> $2 ORDER BY created DESC OFFSET $3
            )",
        delete_expired: "
            DELETE FROM sessions
            WHERE session_hash IN (SELECT session_hash FROM sessions WHERE expires <= $1 LIMIT $2)",
        insert_attempt: "
            INSERT INTO login_attempts (attempt_key, failures, next_at, expires) VALUES ($1, 0, 0, $2)
            ON CONFLICT DO NOTHING",
        count_attempt: "
            UPDATE login_attempts SET
                next_at = CASE WHEN expires <= $1 OR failures + 1 < $2 THEN 0 ELSE $3 + CASE failures + 1 - $4
                    WHEN 0 THEN 30 WHEN 1 THEN 60 WHEN 2 THEN 120 WHEN 3 THEN 240 WHEN 4 THEN 480 ELSE $5 END END,
                failures = CASE WHEN expires <= $6 THEN 1 ELSE failures + 1 END,
                expires = $7
            WHERE attempt_key = $8 AND (next_at <= $9 OR expires <= $10)",
        attempt_wait: "SELECT next_at FROM login_attempts WHERE attempt_key = $1",
        take_back_attempt: "
            UPDATE login_attempts SET failures = failures - 1, next_at = 0 WHERE attempt_key = $1 AND failures > 0",
        delete_attempt: "DELETE FROM login_attempts WHERE attempt_key = $1",
        delete_expired_attempts: "
            DELETE FROM login_attempts
            WHERE attempt_key IN (SELECT attempt_key FROM login_attempts WHERE expires <= $1 LIMIT $2)",
        ping: "SELECT 1 FROM accounts LIMIT 1",
    };

    // The number is "simpleap" in ASCII.
    const BEGIN_SCHEMA: &str = "
        SELECT pg_advisory_xact_lock(8316298516538679664);
        CREATE TABLE IF NOT EXISTS simpleapi_schema (version BIGINT NOT NULL PRIMARY KEY);";

    // Byte order, regardless of the collation of the database.
    const MIGRATIONS: &[&str] = &[
        r#"
        CREATE TABLE accounts (
            user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
            password_hash TEXT NOT NULL,
            created BIGINT NOT NULL
        );
        CREATE TABLE sessions (
            session_hash BYTEA NOT NULL PRIMARY KEY,
            user_id TEXT COLLATE "C" NOT NULL,
            created BIGINT NOT NULL,
            expires BIGINT NOT NULL,
            signature_version BIGINT NOT NULL,
            state TEXT NOT NULL,
            state_version BIGINT NOT NULL
        );
        CREATE INDEX sessions_by_user ON sessions (user_id);
        CREATE INDEX sessions_by_expiry ON sessions (expires);
        INSERT INTO simpleapi_schema VALUES (1);
    "#,
        "
        CREATE TABLE login_attempts (
            attempt_key BYTEA NOT NULL PRIMARY KEY,
            failures BIGINT NOT NULL,
            next_at BIGINT NOT NULL,
            expires BIGINT NOT NULL
        );
        CREATE INDEX login_attempts_by_expiry ON login_attempts (expires);
        INSERT INTO simpleapi_schema VALUES (2);
    ",
    ];

    fn is_missing_table(error: &dyn DatabaseError) -> bool {
        const UNDEFINED_TABLE: &str = "42P01";
        error.code().is_some_and(|sqlstate| sqlstate == UNDEFINED_TABLE)
    }

    fn handle(pool: PgPool) -> method_sdk::Database {
        method_sdk::Database::Postgres(pool)
    }
    execution!();
}
