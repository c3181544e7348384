//! Accounts and sessions in MySQL, MariaDB and databases that speak their protocol.

use sqlx::MySql;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPool, MySqlSslMode};

use super::SqlStore;
use super::dialect::{Dialect, execution};
use super::pool::ConnectionPool;
use super::pool_executor::PoolExecutor;
use super::statement::{COUNT_ATTEMPT, Statements};
use crate::config::{Config, Database};
use crate::store::error::StoreError;
use crate::store::interface::Store;
use crate::store::remote::unverified_warning;

pub(in crate::store) fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let mut options = match (&config.mysql_url, &config.mysql_user) {
        (Some(url), _) => url.expose().parse().map_err(|error| StoreError::InvalidKey {
            key: "mysql_url",
            problem: format!("{error}; expected `mysql://USER:PASSWORD@HOST:3306/DATABASE`"),
        })?,
        (None, Some(user)) => {
            let (host, port) = host_and_port(&config.mysql_host)?;
            let options = MySqlConnectOptions::new().host(host).port(port).username(user);
            match &config.mysql_password {
                Some(password) => options.password(password.expose()),
                None => options,
            }
        }
        (None, None) => {
            return Err(StoreError::MissingKey { database: Database::Mysql, required: "`mysql_user` or `mysql_url`" });
        }
    };
    if options.get_database().is_none() {
        options = options.database(&config.mysql_database);
    }
    let database = options.get_database().unwrap_or_default();
    let description = format!("mysql {database} at {}:{}", options.get_host(), options.get_port());
    let is_verified = options.get_socket().is_some()
        || matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity);
    let add = "`?ssl-mode=VERIFY_IDENTITY&ssl-ca=PEM_FILE` to `mysql_url`";
    let warning = unverified_warning(&description, options.get_host(), is_verified, add);
    let pool = ConnectionPool::<MySql>::new(config, options);
    let database = MySql::handle(pool.inner().clone());
    Ok(Box::new(SqlStore::new(config, description, database, PoolExecutor::new(pool)).with_warning(warning)))
}

/// Splits `localhost`, `localhost:3306`, `::1` or `[::1]:3306`.
fn host_and_port(text: &str) -> Result<(&str, u16), StoreError> {
    const DEFAULT_PORT: u16 = 3306;
    let has_no_port = text.matches(':').count() != 1 && !text.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !has_no_port && !port.ends_with(']') => (host, port.parse().ok()),
        _ => (text, Some(DEFAULT_PORT)),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let valid_port = port.filter(|port| *port > 0 && !host.is_empty());
    valid_port.map(|port| (host, port)).ok_or_else(|| StoreError::InvalidKey {
        key: "mysql_host",
        problem: format!("`{text}` is neither a host nor a host and a port, such as `localhost:3306`"),
    })
}

impl Dialect for MySql {
    const STATEMENTS: Statements = Statements {
        insert_account: "INSERT INTO accounts (user_id, password_hash, created) VALUES (?, ?, ?)",
        password_hash: "SELECT password_hash FROM accounts WHERE user_id = ?",
        change_password: "UPDATE accounts SET password_hash = ? WHERE user_id = ? AND password_hash = ?",
        delete_account: "DELETE FROM accounts WHERE user_id = ?",
        accounts: "
            SELECT CONVERT(user_id USING utf8mb4), created FROM accounts WHERE user_id > ?
            ORDER BY accounts.user_id LIMIT ?",
        insert_session: "
            INSERT INTO sessions (session_hash, created, expires, signature_version, user_id, state, state_version)
            SELECT ?, ?, ?, ?, user_id, '{}', 0 FROM accounts WHERE user_id = ? AND password_hash = ?
            LOCK IN SHARE MODE",
        session: "
            SELECT CONVERT(user_id USING utf8mb4), expires, IF(LENGTH(state) <= 1024, state, ''), state_version
            FROM sessions WHERE session_hash = ? AND expires > ?",
        session_state: "SELECT state, state_version FROM sessions WHERE session_hash = ? AND expires > ?",
        save_state: "
            UPDATE sessions SET state = ?, state_version = state_version + 1
            WHERE session_hash = ? AND state_version = ?",
        delete_session: "DELETE FROM sessions WHERE session_hash = ?",
        delete_session_of: "DELETE FROM sessions WHERE session_hash = ? AND user_id = ?",
        delete_sessions: "DELETE FROM sessions WHERE user_id = ?",
        count_sessions: "SELECT count(*) FROM sessions WHERE user_id = ?",
        // In a derived table, because neither a table that is changed may be read nor `IN` contain a `LIMIT`.
        delete_oldest_sessions: "
            DELETE FROM sessions WHERE session_hash IN (SELECT session_hash FROM (
                SELECT session_hash FROM sessions WHERE user_id = ? AND session_hash <> ?
                ORDER BY created DESC LIMIT 18446744073709551615 OFFSET ?
            ) AS oldest)",
        delete_expired: "DELETE FROM sessions WHERE expires <= ? LIMIT ?",
        insert_attempt: "INSERT IGNORE INTO login_attempts (attempt_key, failures, next_at, expires) VALUES (?, 0, 0, ?)",
        count_attempt: COUNT_ATTEMPT,
        attempt_wait: "SELECT next_at FROM login_attempts WHERE attempt_key = ?",
        take_back_attempt: "
            UPDATE login_attempts SET failures = failures - 1, next_at = 0 WHERE attempt_key = ? AND failures > 0",
        delete_attempt: "DELETE FROM login_attempts WHERE attempt_key = ?",
        delete_expired_attempts: "DELETE FROM login_attempts WHERE expires <= ? LIMIT ?",
        ping: "SELECT 1 FROM accounts LIMIT 1",
    };

    // Schema changes are not transactional here. Each statement is harmless if another server runs it too.
    const BEGIN_SCHEMA: &str = "CREATE TABLE IF NOT EXISTS simpleapi_schema (version BIGINT NOT NULL PRIMARY KEY)";

    // User ids are bytes: every text collation that all servers have ignores trailing spaces.
    const MIGRATIONS: &[&str] = &[
        "
        CREATE TABLE IF NOT EXISTS accounts (
            user_id VARBINARY(255) NOT NULL PRIMARY KEY,
            password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            created BIGINT NOT NULL
        ) ENGINE=InnoDB;
        CREATE TABLE IF NOT EXISTS sessions (
            session_hash BINARY(32) NOT NULL PRIMARY KEY,
            user_id VARBINARY(255) NOT NULL,
            created BIGINT NOT NULL,
            expires BIGINT NOT NULL,
            signature_version BIGINT NOT NULL,
            state MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            state_version BIGINT NOT NULL,
            INDEX sessions_by_user (user_id),
            INDEX sessions_by_expiry (expires)
        ) ENGINE=InnoDB;
        INSERT IGNORE INTO simpleapi_schema VALUES (1);
    ",
        "
        CREATE TABLE IF NOT EXISTS login_attempts (
            attempt_key BINARY(32) NOT NULL PRIMARY KEY,
            failures BIGINT NOT NULL,
            next_at BIGINT NOT NULL,
            expires BIGINT NOT NULL,
            INDEX login_attempts_by_expiry (expires)
        ) ENGINE=InnoDB;
        INSERT IGNORE INTO simpleapi_schema VALUES (2);
    ",
    ];

    /// In a Galera cluster, a statement waits until its node has applied what other nodes have committed before it: a session is valid, or has
    /// ended, on every node in the same moment. Where there is no cluster, the variable has no effect or does not exist.
    async fn after_connect(connection: &mut MySqlConnection) -> sqlx::Result<()> {
        const UNKNOWN_SYSTEM_VARIABLE: u16 = 1193;
        const READS_UPDATES_AND_DELETES: &str = "SET SESSION wsrep_sync_wait = 3";
        match Self::execute_script(connection, READS_UPDATES_AND_DELETES).await {
            Err(sqlx::Error::Database(error)) if has_number(&*error, UNKNOWN_SYSTEM_VARIABLE) => Ok(()),
            outcome => outcome,
        }
    }

    fn is_missing_table(error: &dyn DatabaseError) -> bool {
        const NO_SUCH_TABLE: u16 = 1146;
        has_number(error, NO_SUCH_TABLE)
    }

    fn handle(pool: MySqlPool) -> method_sdk::Database {
        method_sdk::Database::Mysql(pool)
    }
    execution!();
}

fn has_number(error: &dyn DatabaseError, number: u16) -> bool {
    error.try_downcast_ref::<MySqlDatabaseError>().is_some_and(|error| error.number() == number)
}
