//! Accounts and sessions in an SQLite file, which several servers on one machine may share.

mod error;
mod file;
mod readers;
mod schema;
mod values;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use method_sdk::{Database, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use self::error::SqliteError;
use self::file::DatabaseFile;
use self::readers::Readers;
use self::values::OwnedArg;
use self::writer::Writer;
use super::SqlStore;
use super::executor::Executor;
use super::statement::{Arg, Row, Statements, Step};
use crate::config::{Config, is_readable_by_others, is_sqlite_name};
use crate::store::error::{SchemaError, StoreError};
use crate::store::guard::connect_timeout;
use crate::store::interface::Store;

/// The longest wait for a probe of the writer.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Executes statements on connections of the server's own: reads in place, writes on one thread.
struct SqliteExecutor {
    file: Arc<DatabaseFile>,
    readers: Arc<Readers>,
    writer: Writer,
    /// The connections of methods.
    pool: SqlitePool,
}

pub(in crate::store) fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    check_path(&config.sqlite_path).map_err(|problem| StoreError::InvalidKey { key: "sqlite_path", problem })?;
    let description = format!("sqlite in {}", config.sqlite_path.display());
    let file = Arc::new(DatabaseFile::new(config.sqlite_path.clone(), connect_timeout(config)));
    let writer = Writer::start(file.clone())
        .map_err(|error| StoreError::Unusable { description: description.clone(), cause: error.to_string() })?;
    let pool = methods_pool(config);
    let database = Database::Sqlite(pool.clone());
    let executor = SqliteExecutor { readers: Arc::new(Readers::new(file.clone())), file, writer, pool };
    let path = config.sqlite_path.display();
    let warning = is_readable_by_others(&config.sqlite_path).then(|| {
        format!("every user of this machine can read the database; run `chmod 600 {path} {path}-wal {path}-shm`")
    });
    Ok(Box::new(SqlStore::new(config, description, database, executor).with_warning(warning)))
}

/// Checks that `path` can be the path of a file. The error is the problem with it.
fn check_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    if text.is_empty() || is_sqlite_name(path) {
        return Err(format!(
            "`{text}` is not the path of a file; a database in memory, which each connection would have for itself, is not supported"
        ));
    }
    if path.is_dir() {
        return Err(format!("`{text}` is a directory; name a file in it"));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(format!("the directory `{}` does not exist; create it", parent.display()))
        }
        _ => Ok(()),
    }
}

/// Creates the pool of the methods, which connects on demand.
fn methods_pool(config: &Config) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(&config.sqlite_path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(connect_timeout(config));
    SqlitePoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(connect_timeout(config))
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

impl Executor for SqliteExecutor {
    const STATEMENTS: Statements = schema::STATEMENTS;

    async fn migrate(&self) -> Result<()> {
        let version = self.writer.migrate().await?;
        Ok(SchemaError::check(version, schema::MIGRATIONS.len() as i64)?)
    }

    /// Writes too: reads of a file that was replaced, or whose disk is full, would succeed.
    async fn ping(&self) -> Result<()> {
        self.file.check()?;
        self.fetch(Self::STATEMENTS.ping, &[]).await?;
        // A writer that does not answer waits for a lock, which its owner writes with.
        match tokio::time::timeout(PROBE_TIMEOUT, self.writer.probe()).await {
            Ok(probed) => Ok(probed?),
            Err(_) => Ok(()),
        }
    }

    async fn execute(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64> {
        let affected = self.writer.transaction(&[Step::new(sql, args)]).await?;
        Ok(affected.unwrap_or_default())
    }

    async fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>> {
        if let Ok(rows) = self.readers.query(sql, &mut args.iter().map(values::arg)) {
            return Ok(rows);
        }
        // A lock, or an error of a connection, that another attempt may not meet.
        let args: Vec<OwnedArg> = args.iter().map(OwnedArg::from).collect();
        let readers = self.readers.clone();
        let query = move || readers.query_waiting(sql, &args);
        Ok(tokio::task::spawn_blocking(query).await.unwrap_or(Err(SqliteError::NoAnswer))?)
    }

    async fn transaction(&self, steps: &[Step<'_>]) -> Result<bool> {
        Ok(self.writer.transaction(steps).await?.is_some())
    }

    async fn close(&self) {
        // First, so that the last connection is the writer's: its end writes the log back into the file, on the writer's thread.
        self.readers.close();
        self.writer.close().await;
        self.pool.close().await;
    }
}
