//! The preparation of an application's database before the server is ready: its migrations, and its function `start`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use method_sdk::{DatabaseHandle, Error, Methods, Start, code};
use thiserror::Error as ThisError;

use crate::store::migrations::{self, AppMigration, MigrationError};

/// The time between two attempts while the database is unreachable.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The steps before a server is ready, and whether they have been taken.
pub(crate) struct Startup {
    migrations: Vec<(String, AppMigration)>,
    start: Option<Start>,
    is_done: AtomicBool,
}

/// The reason why a server is not ready.
#[derive(Debug, ThisError)]
pub(crate) enum StartupError {
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("`start` in methods/_start.rs failed: {0}")]
    Start(Error),
}

impl Startup {
    /// Creates the steps of an application.
    pub(crate) fn new(methods: &Methods) -> Self {
        let migrations = methods.migrations.iter().map(|migration| {
            let (file, sql) = (migration.file.to_owned(), migration.sql.to_owned());
            (migration.database.to_owned(), AppMigration { version: migration.version, file, sql })
        });
        Startup { migrations: migrations.collect(), start: methods.start, is_done: AtomicBool::new(false) }
    }

    /// Creates the steps of an application in development mode, with the migrations in the files of its folder.
    ///
    /// # Errors
    /// Returns the files that are no migrations, one per line.
    #[cfg(feature = "dev")]
    pub(crate) fn from_files(application: &std::path::Path, start: Option<Start>) -> Result<Self, String> {
        let migrations =
            method_build::read_migrations(application).map_err(|problems| method_build::Problem::lines(&problems))?;
        let migrations = migrations.into_iter().map(|migration| {
            let file = migration.file.to_string_lossy().into_owned();
            (migration.database.to_owned(), AppMigration { version: migration.version, file, sql: migration.sql })
        });
        Ok(Startup { migrations: migrations.collect(), start, is_done: AtomicBool::new(false) })
    }

    /// Returns `true` once all steps have been taken.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Applies the migrations of the database that it does not have yet, and returns their files.
    pub(crate) async fn migrate(&self, connection: &DatabaseHandle) -> Result<Vec<String>, MigrationError> {
        let of_database = self.migrations.iter().filter(|(database, _)| database == connection.db().kind());
        let migrations: Vec<AppMigration> = of_database.map(|(_, migration)| migration.clone()).collect();
        migrations::apply(connection.db(), &migrations).await
    }

    /// Takes all steps.
    pub(crate) async fn run(&self, connection: &DatabaseHandle) -> Result<(), StartupError> {
        if self.is_done() {
            return Ok(());
        }
        for file in self.migrate(connection).await? {
            tracing::info!("applied {file}");
        }
        if let Some(start) = self.start {
            start(connection).await.map_err(StartupError::Start)?;
        }
        self.is_done.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes all steps as soon as they succeed, and logs each other reason why they do not.
    pub(crate) async fn run_until_done(&self, connection: &DatabaseHandle) {
        let mut last = String::new();
        while let Err(error) = self.run(connection).await {
            let text = error.to_string();
            if text != last {
                tracing::error!("not ready: {text}");
            }
            last = text;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }
}

impl StartupError {
    /// Returns `true` if another attempt may succeed: the database is unreachable or busy.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            StartupError::Migration(MigrationError::Database(error)) => method_sdk::host::is_transient(error),
            StartupError::Migration(_) => false,
            StartupError::Start(error) => error.code() == code::SERVICE_UNAVAILABLE.number,
        }
    }
}
