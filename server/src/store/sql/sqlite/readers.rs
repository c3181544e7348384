//! Reads from the SQLite file, on the thread of the caller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use simpleapi_sqlite::{Args, Connection};

use super::error::SqliteError;
use super::file::DatabaseFile;
use super::values::{self, OwnedArg};
use crate::store::sql::statement::Row;

/// The connections that read. A read takes microseconds, so that few are in use at the same time.
pub(super) struct Readers {
    file: Arc<DatabaseFile>,
    idle: Mutex<Vec<Connection>>,
    max_idle: usize,
}

impl Readers {
    pub(super) fn new(file: Arc<DatabaseFile>) -> Self {
        let max_idle = available_parallelism().map_or(1, usize::from);
        Readers { file, idle: Mutex::default(), max_idle }
    }

    /// Executes a query without waiting for locks.
    pub(super) fn query(&self, sql: &str, args: Args<'_, '_>) -> Result<Vec<Row>, SqliteError> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.file.open_reader(), Ok)?;
        let rows = connection.query(sql, args)?; // an error closes the connection
        self.keep(connection);
        Ok(rows.into_iter().map(values::row).collect())
    }

    /// Executes a query on a new connection, and waits for locks by sleeping.
    pub(super) fn query_waiting(&self, sql: &str, args: &[OwnedArg]) -> Result<Vec<Row>, SqliteError> {
        let connection = self.file.open_reader()?;
        let query = || connection.query(sql, &mut args.iter().map(OwnedArg::as_arg));
        let rows = self.file.wait_for_lock(query)?;
        self.keep(connection);
        Ok(rows.into_iter().map(values::row).collect())
    }

    pub(super) fn close(&self) {
        self.idle().clear();
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < self.max_idle {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
