//! Accounts and sessions in MySQL, MariaDB, and what speaks their protocol.

use sqlx::MySql;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlQueryResult};

use super::{Dialect, SqlStore, Statements};
use crate::config::Config;
use crate::store::{Store, StoreError};

pub(in crate::store) fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let mut options = match (&config.mysql_url, &config.mysql_user) {
        (Some(url), _) => url.expose().parse().map_err(|error| {
            let example = "mysql_url=mysql://USER:PASSWORD@HOST:3306/DATABASE";
            StoreError::Configuration(format!("mysql_url cannot be read: {error}; write {example}"))
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
            return Err(StoreError::Configuration("database=mysql needs mysql_user, or mysql_url".to_owned()));
        }
    };
    if options.get_database().is_none() {
        options = options.database(&config.mysql_database);
    }
    let database = options.get_database().unwrap_or_default();
    let description = format!("mysql {database} at {}:{}", options.get_host(), options.get_port());
    Ok(Box::new(SqlStore::<MySql>::new(config, description, options)))
}

/// `localhost`, `localhost:3306`, `::1` or `[::1]:3306`.
fn host_and_port(text: &str) -> Result<(&str, u16), StoreError> {
    const PORT: u16 = 3306;
    let bare = |host: &str| host.matches(':').count() != 1 && !host.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !bare(text) && !port.ends_with(']') => (host, port.parse().ok()),
        _ => (text, Some(PORT)),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let problem = || {
        StoreError::Configuration(format!("mysql_host={text} is not a host, or a host and a port as in localhost:3306"))
    };
    port.filter(|port| *port > 0 && !host.is_empty()).map(|port| (host, port)).ok_or_else(problem)
}

impl Dialect for MySql {
    const STATEMENTS: Statements = Statements {
        begin: "START TRANSACTION",
        // A migration is no transaction here: each statement stands for itself, and does no harm if another server runs it too.
        begin_schema: "CREATE TABLE IF NOT EXISTS simpleapi_schema (version BIGINT NOT NULL PRIMARY KEY)",
        schema_version: "SELECT count(*) FROM simpleapi_schema",
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
            SELECT CONVERT(user_id USING utf8mb4), expires, state, state_version FROM sessions
            WHERE session_hash = ? AND expires > ?",
        save_state: "
            UPDATE sessions SET state = ?, state_version = state_version + 1
            WHERE session_hash = ? AND state_version = ?",
        delete_session: "DELETE FROM sessions WHERE session_hash = ?",
        delete_session_of: "DELETE FROM sessions WHERE session_hash = ? AND user_id = ?",
        delete_sessions: "DELETE FROM sessions WHERE user_id = ?",
        delete_expired: "DELETE FROM sessions WHERE expires <= ? LIMIT ?",
        ping: "SELECT 1 FROM accounts LIMIT 1",
    };

    // User ids are bytes: no collation for text that all servers have compares without folding spaces.
    const MIGRATIONS: &[&str] = &["
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
    "];

    fn rows_affected(result: &MySqlQueryResult) -> u64 {
        result.rows_affected()
    }

    fn handle(pool: MySqlPool) -> method_sdk::Database {
        method_sdk::Database::Mysql(pool)
    }
}
