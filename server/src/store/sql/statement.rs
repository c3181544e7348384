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
    /// Arguments: now, limit.
    pub(super) delete_expired: &'static str,
    /// Reads the table of accounts.
    pub(super) ping: &'static str,
}

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
