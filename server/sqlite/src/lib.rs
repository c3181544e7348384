//! Connections to an SQLite file, without a generic item in their interface. The only package that uses rusqlite.
//!
//! In development mode this package is part of the shared library of the SDK, which contains SQLite and does not export its C functions.
//! Code outside the library can therefore contain no code of rusqlite, neither an instance of a generic function nor the code that drops
//! a connection: the functions here are not generic, and a connection is a trait object.

#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, ToSql};

/// The statements that a connection keeps prepared; more than a store has.
const CACHED_STATEMENTS: usize = 32;

/// An argument of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
    /// An integer.
    Int(i64),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
}

/// The use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only. The file must exist.
    Read,
    /// Reads and writes. Creates the file if it does not exist.
    Write,
}

/// An error of SQLite.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The extended result code (<https://sqlite.org/rescode.html>); 0 for a value of an unexpected type.
    pub code: i32,
    message: String,
}

/// The result of a statement.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns `true` if another connection holds a lock that the statement needs.
    pub fn is_busy(&self) -> bool {
        const BUSY: i32 = 5;
        self.code & 0xff == BUSY
    }

    /// Returns `true` if the statement violates a unique index.
    pub fn is_unique_violation(&self) -> bool {
        const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
        const CONSTRAINT_UNIQUE: i32 = 2067;
        [CONSTRAINT_PRIMARY_KEY, CONSTRAINT_UNIQUE].contains(&self.code)
    }
}

/// A connection. Dropping it rolls an open transaction back.
pub struct Connection(Box<dyn Driver>);

/// The arguments of a statement, in order.
pub type Args<'i, 'a> = &'i mut (dyn Iterator<Item = Arg<'a>> + 'i);

/// The functions of [`Connection`] behind a trait object; see the package.
trait Driver: Send {
    fn execute(&self, sql: &str, args: Args<'_, '_>) -> rusqlite::Result<usize>;
    fn query(&self, sql: &str, args: Args<'_, '_>) -> rusqlite::Result<Vec<Vec<Value>>>;
    fn execute_script(&self, sql: &str) -> rusqlite::Result<()>;
    fn is_in_transaction(&self) -> bool;
}

impl Connection {
    /// Opens a connection that does not wait for locks.
    ///
    /// # Errors
    /// The file cannot be opened or, for [`Access::Read`], does not exist.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        Ok(Connection(Box::new(open(path, access).map_err(convert)?)))
    }

    /// Executes a statement, which stays prepared, and returns the number of rows affected.
    ///
    /// # Errors
    /// An error of SQLite.
    pub fn execute(&self, sql: &str, args: Args<'_, '_>) -> Result<u64> {
        self.0.execute(sql, args).map(|affected| affected as u64).map_err(convert)
    }

    /// Executes a query, which stays prepared, and returns its rows. NULL and other types than text and integers are errors.
    ///
    /// # Errors
    /// An error of SQLite.
    pub fn query(&self, sql: &str, args: Args<'_, '_>) -> Result<Vec<Vec<Value>>> {
        self.0.query(sql, args).map_err(convert)
    }

    /// Executes statements separated by semicolons, and ignores their rows.
    ///
    /// # Errors
    /// An error of SQLite.
    pub fn execute_script(&self, sql: &str) -> Result<()> {
        self.0.execute_script(sql).map_err(convert)
    }

    /// Returns `true` within a transaction. Some errors end it: SQLite has rolled it back then.
    pub fn is_in_transaction(&self) -> bool {
        self.0.is_in_transaction()
    }
}

fn open(path: &Path, access: Access) -> rusqlite::Result<rusqlite::Connection> {
    // A connection that may not write to the files beside the database could not read it after a crash of another process.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Read => rusqlite::Connection::open_with_flags(path, flags)?,
        Access::Write => rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_CREATE)?,
    };
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    if access == Access::Read {
        connection.execute_batch("PRAGMA query_only = ON")?;
    }
    Ok(connection)
}

impl Driver for rusqlite::Connection {
    fn execute(&self, sql: &str, args: Args<'_, '_>) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(rusqlite::params_from_iter(args))
    }

    fn query(&self, sql: &str, args: Args<'_, '_>) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(args))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |column: usize| match row.get_ref(column)? {
                ValueRef::Integer(int) => Ok(Value::Int(int)),
                text => Ok(Value::Text(text.as_str()?.to_owned())),
            };
            all.push((0..columns).map(value).collect::<rusqlite::Result<_>>()?);
        }
        Ok(all)
    }

    fn execute_script(&self, sql: &str) -> rusqlite::Result<()> {
        self.execute_batch(sql)
    }

    fn is_in_transaction(&self) -> bool {
        !self.is_autocommit()
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Arg::Text(text) => ValueRef::Text(text.as_bytes()),
            Arg::Blob(blob) => ValueRef::Blob(blob),
            Arg::Int(int) => ValueRef::Integer(int),
        }))
    }
}

fn convert(error: rusqlite::Error) -> Error {
    let code = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => failure.extended_code,
        _ => 0,
    };
    Error { code, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::iter::empty;

    use super::*;

    #[test]
    fn a_reader_sees_commits_and_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let missing = Connection::open(&path, Access::Read).err().unwrap();
        assert_eq!(missing.code & 0xff, 14, "{missing}");

        let writer = Connection::open(&path, Access::Write).unwrap();
        writer.execute_script("PRAGMA journal_mode = WAL; CREATE TABLE t (a TEXT PRIMARY KEY, b INT) STRICT").unwrap();
        let reader = Connection::open(&path, Access::Read).unwrap();
        let insert = || writer.execute("INSERT INTO t VALUES (?, ?)", &mut [Arg::Text("x"), Arg::Int(7)].into_iter());
        assert_eq!(insert().unwrap(), 1);
        assert!(insert().unwrap_err().is_unique_violation());
        let rows = reader.query("SELECT a, b FROM t", &mut empty()).unwrap();
        assert_eq!(rows, [[Value::Text("x".to_owned()), Value::Int(7)]]);
        assert_eq!(reader.execute("DELETE FROM t", &mut empty()).unwrap_err().code & 0xff, 8);
    }

    #[test]
    fn a_lock_of_another_connection_is_busy_immediately() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let [one, two] = [(); 2].map(|()| Connection::open(&path, Access::Write).unwrap());
        one.execute_script("BEGIN IMMEDIATE").unwrap();
        assert!(one.is_in_transaction());
        assert!(two.execute_script("BEGIN IMMEDIATE").unwrap_err().is_busy());
        drop(one);
        two.execute_script("BEGIN IMMEDIATE").unwrap();
    }
}
