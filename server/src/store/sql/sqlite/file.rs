//! The SQLite file: how connections to it are opened, and whether it still has its path.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::stat;
use simpleapi_sqlite::{Access, Connection};

use super::error::SqliteError;

/// The time between two attempts to take a lock that another process, or a method, holds.
const LOCK_POLL: Duration = Duration::from_micros(500);

/// The file of a store.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// The longest wait for a lock that another process, or a method, holds.
    lock_timeout: Duration,
    /// The device and inode of the first connection's file. POSIX lets a path name another file while connections use the old one.
    identity: OnceLock<(u64, u64)>,
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf, lock_timeout: Duration) -> Self {
        DatabaseFile { path, lock_timeout, identity: OnceLock::new() }
    }

    /// Repeats `attempt` while another process, or a method, holds a lock that it needs.
    ///
    /// # Errors
    /// Returns the error of the last attempt.
    pub(super) fn wait_for_lock<T>(
        &self,
        mut attempt: impl FnMut() -> simpleapi_sqlite::Result<T>,
    ) -> simpleapi_sqlite::Result<T> {
        let deadline = Instant::now() + self.lock_timeout;
        loop {
            match attempt() {
                Err(error) if error.is_busy() && Instant::now() < deadline => thread::sleep(LOCK_POLL),
                outcome => return outcome,
            }
        }
    }

    /// Opens a connection that writes, and creates the file if it does not exist yet. Waits for locks.
    pub(super) fn open_writer(&self) -> Result<Connection, SqliteError> {
        // A file that disappears later is not created again: its accounts would have disappeared with it.
        if self.identity.get().is_some() {
            self.check()?;
        }
        let connection = Connection::open(&self.path, Access::Write)?;
        self.wait_for_lock(|| connection.execute_script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"))?;
        self.check()?;
        Ok(connection)
    }

    /// Opens a connection that reads and does not wait for locks.
    pub(super) fn open_reader(&self) -> Result<Connection, SqliteError> {
        let connection = Connection::open(&self.path, Access::Read)?;
        self.check()?;
        Ok(connection)
    }

    /// Checks that the path still names the file of the first connection.
    pub(super) fn check(&self) -> Result<(), SqliteError> {
        let replaced = || SqliteError::Replaced(self.path.clone());
        let file = stat(&self.path).map_err(|_| replaced())?;
        let identity = (file.st_dev, file.st_ino);
        if *self.identity.get_or_init(|| identity) == identity { Ok(()) } else { Err(replaced()) }
    }
}
