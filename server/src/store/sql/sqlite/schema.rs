//! The tables of an SQLite file, and the statements on them.

use crate::store::sql::statement::{COUNT_ATTEMPT, Statements};

pub(super) const STATEMENTS: Statements = Statements {
    insert_account: "INSERT INTO accounts (user_id, password_hash, created) VALUES (?, ?, ?)",
    password_hash: "SELECT password_hash FROM accounts WHERE user_id = ?",
    change_password: "UPDATE accounts SET password_hash = ? WHERE user_id = ? AND password_hash = ?",
    delete_account: "DELETE FROM accounts WHERE user_id = ?",
    accounts: "SELECT user_id, created FROM accounts WHERE user_id > ? ORDER BY user_id LIMIT ?",
    insert_session: "
        INSERT INTO sessions (session_hash, created, expires, signature_version, user_id, state, state_version)
        SELECT ?, ?, ?, ?, user_id, '{}', 0 FROM accounts WHERE user_id = ? AND password_hash = ?",
    session: "SELECT user_id, expires FROM sessions WHERE session_hash = ? AND expires > ?",
    session_state: "SELECT state, state_version FROM sessions WHERE session_hash = ? AND expires > ?",
    save_state: "
        UPDATE sessions SET state = ?, state_version = state_version + 1
        WHERE session_hash = ? AND state_version = ?",
    delete_session: "DELETE FROM sessions WHERE session_hash = ?",
    delete_session_of: "DELETE FROM sessions WHERE session_hash = ? AND user_id = ?",
    delete_sessions: "DELETE FROM sessions WHERE user_id = ?",
    count_sessions: "SELECT count(*) FROM sessions WHERE user_id = ?",
    delete_oldest_sessions: "
        DELETE FROM sessions WHERE session_hash IN (
            SELECT session_hash FROM sessions WHERE user_id = ? AND session_hash <> ? ORDER BY created DESC LIMIT -1 OFFSET ?
        )",
    delete_expired: "
        DELETE FROM sessions
        WHERE session_hash IN (SELECT session_hash FROM sessions WHERE expires <= ? LIMIT ?)",
    insert_attempt: "INSERT OR IGNORE INTO login_attempts (attempt_key, failures, next_at, expires) VALUES (?, 0, 0, ?)",
    count_attempt: COUNT_ATTEMPT,
    attempt_wait: "SELECT next_at FROM login_attempts WHERE attempt_key = ?",
    take_back_attempt: "
        UPDATE login_attempts SET failures = failures - 1, next_at = 0 WHERE attempt_key = ? AND failures > 0",
    delete_attempt: "DELETE FROM login_attempts WHERE attempt_key = ?",
    delete_expired_attempts: "
        DELETE FROM login_attempts
        WHERE attempt_key IN (SELECT attempt_key FROM login_attempts WHERE expires <= ? LIMIT ?)",
    ping: "SELECT 1 FROM accounts LIMIT 1",
};

/// The steps of the schema, in order. Each increases `user_version` by one. Add steps, never change them.
///
/// SQLite compares text byte by byte by default, without folding case or spaces.
pub(super) const MIGRATIONS: &[&str] = &[
    "
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
",
    // A table with row ids. In one without, the key and the state are one record, and a search reads whole records to compare keys:
    // beside 1,000 states of 64 KiB a look-up of a session took 74 µs instead of 2.3.
    "
    ALTER TABLE sessions RENAME TO sessions_without_rowid;
    CREATE TABLE sessions (
        session_hash BLOB NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        signature_version INTEGER NOT NULL,
        state TEXT NOT NULL,
        state_version INTEGER NOT NULL
    ) STRICT;
    INSERT INTO sessions SELECT * FROM sessions_without_rowid;
    DROP TABLE sessions_without_rowid;
    CREATE INDEX sessions_by_user ON sessions (user_id);
    CREATE INDEX sessions_by_expiry ON sessions (expires);
    PRAGMA user_version = 2;
    ",
    "
    CREATE TABLE login_attempts (
        attempt_key BLOB NOT NULL PRIMARY KEY,
        failures INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX login_attempts_by_expiry ON login_attempts (expires);
    PRAGMA user_version = 3;
    ",
];
