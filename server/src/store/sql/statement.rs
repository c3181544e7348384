//! The statements of a SQL database, their arguments and their rows, without a driver.

use std::vec;

use thiserror::Error;

/// The statements, each with its arguments in order.
pub(super) struct Statements {
    /// Arguments: user id, password hash, created.
    pub(super) insert_account: &'static str,
    /// Arguments: user id.
    pub(super) password_hash: &'static str,
    /// Arguments: new hash, user id, old hash.
    pub(super) change_password: &'static str,
    /// Arguments: user id.
    pub(super) delete_account: &'static str,
    /// Arguments: user id, limit.
    pub(super) accounts: &'static str,
    /// Locks the account with this user id and password hash, and inserts a session for it.
    /// Arguments: session hash, created, expires, signature version, user id, password hash.
    pub(super) insert_session: &'static str,
    /// Arguments: session hash, now. Returns the user id, the expiry and, where a query is a round trip, the state and its version; the state
    /// is empty if it is longer than 1,024 bytes.
    pub(super) session: &'static str,
    /// Arguments: session hash, now.
    pub(super) session_state: &'static str,
    /// Arguments: state, session hash, version.
    pub(super) save_state: &'static str,
    /// Arguments: session hash.
    pub(super) delete_session: &'static str,
    /// Arguments: session hash, user id.
    pub(super) delete_session_of: &'static str,
    /// Arguments: user id.
    pub(super) delete_sessions: &'static str,
    /// Arguments: user id.
    pub(super) count_sessions: &'static str,
    /// Deletes the oldest sessions of an account. Arguments: user id, the hash of a session to keep, the number of others to keep.
    pub(super) delete_oldest_sessions: &'static str,
    /// Arguments: now, limit.
    pub(super) delete_expired: &'static str,
    /// Inserts a counter of attempts unless it exists. Arguments: key, expiry.
    pub(super) insert_attempt: &'static str,
    /// Counts an attempt, unless the counter has a wait. [`COUNT_ATTEMPT`] has the arguments.
    pub(super) count_attempt: &'static str,
    /// Arguments: key.
    pub(super) attempt_wait: &'static str,
    /// Arguments: key.
    pub(super) take_back_attempt: &'static str,
    /// Arguments: key.
    pub(super) delete_attempt: &'static str,
    /// Arguments: now, limit.
    pub(super) delete_expired_attempts: &'static str,
    /// Reads the table of accounts.
    pub(super) ping: &'static str,
}

/// The statement `count_attempt` where arguments are written as `?`: now, limit, now, limit, window, now, expiry, key, now, now.
///
/// MySQL evaluates assignments from left to right with the new values, so that each column is
/// assigned after those that depend on it.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(super) const COUNT_ATTEMPT: &str = "
    UPDATE login_attempts SET
        next_at = CASE WHEN expires <= ? OR failures + 1 < ? THEN 0 ELSE ? + CASE failures + 1 - ?
            WHEN 0 THEN 30 WHEN 1 THEN 60 WHEN 2 THEN 120 WHEN 3 THEN 240 WHEN 4 THEN 480 ELSE ? END END,
        failures = CASE WHEN expires <= ? THEN 1 ELSE failures + 1 END,
        expires = ?
    WHERE attempt_key = ? AND (next_at <= ? OR expires <= ?)";

/// An argument of a statement.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Text(&'a str),
    Blob(&'a [u8]),
    Int(i64),
}

/// A statement of a transaction.
pub(super) struct Step<'a> {
    pub(super) sql: &'static str,
    pub(super) args: Vec<Arg<'a>>,
    /// The transaction is rolled back if the statement affects no row, or violates a unique index.
    pub(super) required: bool,
}

impl<'a> Step<'a> {
    pub(super) fn new(sql: &'static str, args: impl Into<Vec<Arg<'a>>>) -> Self {
        Step { sql, args: args.into(), required: false }
    }

    pub(super) fn required(sql: &'static str, args: impl Into<Vec<Arg<'a>>>) -> Self {
        Step { sql, args: args.into(), required: true }
    }
}

/// A value of a row.
pub(super) enum Value {
    Text(String),
    Int(i64),
}

/// A row of a result. Its values are taken from left to right.
pub(super) struct Row(pub(super) vec::IntoIter<Value>);

/// A column does not have the type that the server's schema gives it.
#[derive(Debug, Error)]
#[error("expected {expected} in a column")]
pub(super) struct ColumnError {
    expected: &'static str,
}

impl Row {
    /// Returns `true` if all values have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// The next value is not text, or there is none.
    pub(super) fn text(&mut self) -> Result<String, ColumnError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(ColumnError { expected: "text" }),
        }
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// The next value is not an integer, or there is none.
    pub(super) fn int(&mut self) -> Result<i64, ColumnError> {
        match self.0.next() {
            Some(Value::Int(int)) => Ok(int),
            _ => Err(ColumnError { expected: "an integer" }),
        }
    }
}
