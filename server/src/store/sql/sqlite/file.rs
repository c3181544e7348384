//! The SQLite file: how connections to it are opened, and whether it still has its path.

use std::fs::{OpenOptions, canonicalize};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access as Permission, AtFlags, CWD, accessat, stat, statvfs};
use rustix::io::Errno;
use simpleapi_sqlite::{Access, Connection};

use super::error::SqliteError;

/// The time between two attempts to take a lock that another process, or a method, holds.
const LOCK_POLL: Duration = Duration::from_micros(500);

/// The mode of a new file.
const PRIVATE: u32 = 0o600;

/// The ends of the names of the write-ahead log, which has the commits that are not in the database file yet, and of its index, which has
/// the locks of all processes.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";

/// The space that a disk must have to count as writable, in bytes: a call may write a state of 64 KiB, and SQLite whole pages.
const MIN_FREE_BYTES: u64 = 1 << 20;

/// A device and an inode on it. POSIX lets a path name another file while connections use the old one.
type Identity = (u64, u64);

/// The file of a store.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// The longest wait for a lock that another process, or a method, holds.
    lock_timeout: Duration,
    /// The first connection's file.
    identity: OnceLock<Identity>,
    /// The log and its index of the writer's connection.
    companions: Mutex<Vec<(PathBuf, Identity)>>,
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf, lock_timeout: Duration) -> Self {
        DatabaseFile { path, lock_timeout, identity: OnceLock::new(), companions: Mutex::default() }
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
        self.create_private();
        // Reading the version opens the log and its index.
        let open = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA user_version";
        let opened = Connection::open(&self.path, Access::Write).and_then(|connection| {
            self.wait_for_lock(|| connection.execute_script(open))?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| self.unwritable().unwrap_or_else(|| error.into()))?;
        self.check()?;
        // SQLite follows symbolic links before it names the files beside the database.
        let path = canonicalize(&self.path).map_err(|_| SqliteError::Replaced(self.path.clone()))?;
        let companions = [LOG, INDEX].map(|end| {
            let mut path = path.clone().into_os_string();
            path.push(end);
            let path = PathBuf::from(path);
            identity(&path).map(|identity| (path.clone(), identity)).ok_or(SqliteError::Replaced(path))
        });
        *self.companions.lock().unwrap_or_else(PoisonError::into_inner) =
            companions.into_iter().collect::<Result<_, _>>()?;
        Ok(connection)
    }

    /// Returns the reason why the file cannot be written, if the system knows one: SQLite says only that it cannot open the file.
    fn unwritable(&self) -> Option<SqliteError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        [self.path.as_path(), folder].into_iter().find_map(|path| {
            // The file is not opened: when it is closed, the system would drop the locks of this process's other connections to it.
            let reason = accessat(CWD, path, Permission::WRITE_OK, AtFlags::EACCESS).err()?;
            (reason != Errno::NOENT).then(|| SqliteError::NotWritable(path.to_owned(), reason))
        })
    }

    /// Creates the file, if it does not exist yet, so that only its owner can read it: it contains password hashes. SQLite gives its other
    /// files the same mode. If the file cannot be created, opening it fails too.
    fn create_private(&self) {
        let _ = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&self.path);
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
        let identity = identity(&self.path).ok_or_else(replaced)?;
        if *self.identity.get_or_init(|| identity) == identity { Ok(()) } else { Err(replaced()) }
    }

    /// Checks that the disk has space for more than the small write that shows whether it can be written at all.
    pub(super) fn check_space(&self) -> Result<(), SqliteError> {
        match statvfs(&self.path) {
            Ok(disk) if disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < MIN_FREE_BYTES => {
                Err(SqliteError::NoSpace(self.path.clone()))
            }
            _ => Ok(()), // some file systems do not know
        }
    }

    /// Checks that a commit of the writer's `connection` is found after a restart: its file, its log and the index of the log still have
    /// their paths. If only the log was deleted, its commits are written to the file, so that none is lost. No transaction may be open.
    pub(super) fn check_writer(&self, connection: &Connection) -> Result<(), SqliteError> {
        self.check()?;
        let companions = self.companions.lock().unwrap_or_else(PoisonError::into_inner);
        let changed: Vec<&Path> = companions
            .iter()
            .filter(|(path, expected)| identity(path) != Some(*expected))
            .map(|(path, _)| path.as_path())
            .collect();
        let Some(path) = changed.first() else { return Ok(()) };
        // With another log at its path, other connections may have written, and what this connection knows may be older than the file.
        if changed.len() == 1 && path.to_string_lossy().ends_with(LOG) && identity(path).is_none() {
            connection.execute_script("PRAGMA wal_checkpoint")?;
        }
        Err(SqliteError::Replaced(path.to_path_buf()))
    }
}

fn identity(path: &Path) -> Option<Identity> {
    stat(path).ok().map(|file| (file.st_dev, file.st_ino))
}
