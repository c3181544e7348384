//! Why the SQLite file cannot be used, and the error of a call for it.

use std::path::PathBuf;

use method_sdk::{Error, host};
use rustix::io::Errno;

/// Does not implement [`std::error::Error`], so that `?` converts it as below.
#[derive(Debug, Clone)]
pub(super) enum SqliteError {
    Sqlite(simpleapi_sqlite::Error),
    /// The file no longer has its path: a change would be lost.
    Replaced(PathBuf),
    /// The file, or its folder, cannot be written.
    NotWritable(PathBuf, Errno),
    /// The disk of the file is full, or almost.
    NoSpace(PathBuf),
    /// The thread that would answer has ended or panicked.
    NoAnswer,
}

impl From<simpleapi_sqlite::Error> for SqliteError {
    fn from(error: simpleapi_sqlite::Error) -> Self {
        SqliteError::Sqlite(error)
    }
}

/// Converts to error 1016 (Service unavailable) if the same call may succeed later, and to error 1000 (Server error) otherwise.
impl From<SqliteError> for Error {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Sqlite(error) if host::is_transient_sqlite_code(error.code) => Error::unavailable(error),
            SqliteError::Sqlite(error) => Error::internal(error),
            SqliteError::Replaced(path) => Error::unavailable(format!(
                "{} was moved, replaced or deleted while the server uses it; restart the server",
                path.display()
            )),
            SqliteError::NotWritable(path, reason) => {
                Error::unavailable(format!("{} cannot be written: {reason}", path.display()))
            }
            SqliteError::NoSpace(path) => {
                Error::unavailable(format!("the disk of {} has less than 1 MiB left; free some space", path.display()))
            }
            SqliteError::NoAnswer => Error::unavailable("the database's thread ended before it answered"),
        }
    }
}
