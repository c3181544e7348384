//! Accounts and sessions in an SQLite file, which several servers on one machine may share.

use sqlx::Sqlite;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};

use super::SqlStore;
use super::dialect::{Dialect, Statements, execution};
use crate::config::Config;
use crate::store::guard::connect_timeout;
use crate::store::interface::Store;

pub(in crate::store) fn open(config: &Config) -> Box<dyn Store> {
    let options = SqliteConnectOptions::new()
        .filename(&config.sqlite_path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(connect_timeout(config));
    Box::new(SqlStore::<Sqlite>::new(config, format!("sqlite in {}", config.sqlite_path.display()), options))
}

impl Dialect for Sqlite {
    const STATEMENTS: Statements = Statements {
        // Takes the write lock at the start: a transaction that takes it later fails if the file has changed since its first read.
        begin: "BEGIN IMMEDIATE",
        begin_schema: "",
        schema_version: "PRAGMA user_version",
        insert_account: "INSERT INTO accounts (user_id, password_hash, created) VALUES (?, ?, ?)",
        password_hash: "SELECT password_hash FROM accounts WHERE user_id = ?",
        change_password: "UPDATE accounts SET password_hash = ? WHERE user_id = ? AND password_hash = ?",
        delete_account: "DELETE FROM accounts WHERE user_id = ?",
        accounts: "SELECT user_id, created FROM accounts WHERE user_id > ? ORDER BY user_id LIMIT ?",
        insert_session: "
            INSERT INTO sessions (session_hash, created, expires, signature_version, user_id, state, state_version)
            SELECT ?, ?, ?, ?, user_id, '{}', 0 FROM accounts WHERE user_id = ? AND password_hash = ?",
        session: "
            SELECT user_id, expires, state, state_version FROM sessions WHERE session_hash = ? AND expires > ?",
        save_state: "
            UPDATE sessions SET state = ?, state_version = state_version + 1
            WHERE session_hash = ? AND state_version = ?",
        delete_session: "DELETE FROM sessions WHERE session_hash = ?",
        delete_session_of: "DELETE FROM sessions WHERE session_hash = ? AND user_id = ?",
        delete_sessions: "DELETE FROM sessions WHERE user_id = ?",
        delete_expired: "
            DELETE FROM sessions
            WHERE session_hash IN (SELECT session_hash FROM sessions WHERE expires <= ? LIMIT ?)",
        ping: "SELECT 1 FROM accounts LIMIT 1",
    };

    // SQLite compares text byte by byte by default, without folding case or spaces.
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
        PRAGMA user_version = 1;
    "];

    fn is_missing_table(_: &dyn DatabaseError) -> bool {
        false // every file has a `user_version`
    }

    fn handle(pool: SqlitePool) -> method_sdk::Database {
        method_sdk::Database::Sqlite(pool)
    }
    execution!();
}
