//! Accounts and sessions in one SQLite file, which several servers of one machine may share.

use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteQueryResult, SqliteSynchronous};

use super::{Dialect, SqlStore, Statements};
use crate::config::Config;
use crate::store::{Store, connect_timeout};

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
        // It holds the write lock from its start: one that takes it later can find the file changed and has to give up.
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

    // Text compares byte by byte in SQLite unless told otherwise: no folding of case or spaces.
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

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    fn handle(pool: SqlitePool) -> method_sdk::Database {
        method_sdk::Database::Sqlite(pool)
    }
}
