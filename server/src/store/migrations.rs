//! Migrations of an application's own tables, by sqlx's migrator.

#![cfg_attr(
    not(any(feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_variables, reason = "MongoDB has no migrations")
)]

use method_sdk::Database;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use thiserror::Error;

/// The time between two attempts to lock an SQLite file that another server migrates.
#[cfg(feature = "sqlite")]
const LOCK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);

/// The table in which the migrator keeps what has been applied.
const TABLE: &str = "_sqlx_migrations";

/// A migration for the database in use.
#[derive(Debug, Clone)]
pub(crate) struct AppMigration {
    pub(crate) version: i64,
    /// The file, such as `migrations/sqlite/0001_notes.sql`.
    pub(crate) file: String,
    pub(crate) sql: String,
}

/// The reason why migrations cannot be applied.
#[derive(Debug, Error)]
pub(crate) enum MigrationError {
    #[error("{file}{}: {cause}; nothing of this file was applied", colon(.line))]
    Failed { file: String, line: Option<usize>, cause: String },
    #[error(
        "{file}{}: {cause}; the database keeps the statements before it: undo them, delete the row with version {version} of the table `_sqlx_migrations`, and correct the file",
        colon(.line)
    )]
    HalfApplied { file: String, line: Option<usize>, cause: String, version: i64 },
    #[error(
        "{file} failed halfway before, and the database keeps what it had done: complete or undo that, and delete the row with version {version} of the table `_sqlx_migrations`"
    )]
    Dirty { file: String, version: i64 },
    #[error("{0} was changed after it was applied; undo the change, and add a migration for what is to be different")]
    Changed(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Other(MigrateError),
}

fn colon(line: &Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

/// Applies the migrations that the database does not have yet, in the order of their versions, and returns their files. Several servers
/// may do so at the same time: each migration is applied once.
pub(crate) async fn apply(database: &Database, migrations: &[AppMigration]) -> Result<Vec<String>, MigrationError> {
    if migrations.is_empty() {
        return Ok(Vec::new());
    }
    let migrator = migrator(migrations);
    if is_up_to_date(database, &migrator).await? {
        return Ok(Vec::new());
    }
    match database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(pool) => {
            use sqlx::Connection as _;

            let mut connection = pool.acquire().await?.detach();
            // SQLite has no lock for migrators: all of them are one transaction, which takes the lock of the file first.
            let mut transaction = loop {
                match connection.begin_with("BEGIN IMMEDIATE").await {
                    Err(error) if method_sdk::host::is_transient(&error) => {
                        tracing::warn!(
                            "waiting for another process to release the database, to apply migrations: {error}"
                        );
                        tokio::time::sleep(LOCK_INTERVAL).await;
                    }
                    begun => break begun?,
                }
            };
            let applied = run(&migrator, &mut *transaction, migrations, false).await?;
            transaction.commit().await?;
            Ok(applied)
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            // Until the end of the connection.
            let mut connection = pool.acquire().await?.detach();
            sqlx::query("SELECT pg_advisory_lock(hashtext('simpleapi migrations'))").execute(&mut connection).await?;
            run(&migrator, &mut connection, migrations, false).await
        }
        #[cfg(feature = "mysql")]
        Database::Mysql(pool) => {
            // Until the end of the connection. sqlx's own lock waits without a limit, which MariaDB refuses, and does not notice that.
            let mut connection = pool.acquire().await?.detach();
            let lock = "SELECT GET_LOCK(CONCAT('simpleapi migrations ', MD5(DATABASE())), 3600)";
            sqlx::query(lock).execute(&mut connection).await?;
            run(&migrator, &mut connection, migrations, true).await
        }
        #[allow(unreachable_patterns, reason = "a build with SQL databases alone has no other")]
        _ => Ok(Vec::new()),
    }
}

/// Returns `true` if every migration has been applied as it is now. Neither locks nor writes, because the database may be read-only, and the
/// lock of an SQLite file that of a long transaction.
async fn is_up_to_date(database: &Database, migrator: &Migrator) -> Result<bool, MigrationError> {
    let applied: Option<Vec<AppliedMigration>> = match database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(pool) => applied(&mut *pool.acquire().await?).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => applied(&mut *pool.acquire().await?).await,
        #[cfg(feature = "mysql")]
        Database::Mysql(pool) => applied(&mut *pool.acquire().await?).await,
        #[allow(unreachable_patterns, reason = "a build with SQL databases alone has no other")]
        _ => None,
    };
    // Without the table there is an error, which the migrator will not meet, as it creates the table.
    let Some(applied) = applied else { return Ok(false) };
    let is_applied = |migration: &sqlx::migrate::Migration| {
        applied.iter().any(|applied| applied.version == migration.version && applied.checksum == migration.checksum)
    };
    Ok(migrator.iter().all(is_applied))
}

/// Returns the migrations that have been applied; `None` if that is not known, or one was applied halfway.
async fn applied(connection: &mut impl Migrate) -> Option<Vec<AppliedMigration>> {
    let is_clean = connection.dirty_version(TABLE).await.ok()?.is_none();
    connection.list_applied_migrations(TABLE).await.ok().filter(|_| is_clean)
}

fn migrator(migrations: &[AppMigration]) -> Migrator {
    let migrations = migrations.iter().map(|migration| {
        let sql = AssertSqlSafe(migration.sql.clone()).into_sql_str();
        sqlx::migrate::Migration::new(
            migration.version,
            name(&migration.file).into(),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // During a rolling restart, older servers start on a database that a newer one has migrated.
    migrator.set_ignore_missing(true);
    migrator.set_locking(false);
    migrator
}

/// Returns the name of a migration: that of its file without folder, number and ending.
fn name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".sql");
    name.split_once('_').map_or(name, |(_, name)| name).to_owned()
}

/// Runs the migrator on a connection that has locked the database for other migrators.
async fn run<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
    migrations: &[AppMigration],
    commits_halfway: bool,
) -> Result<Vec<String>, MigrationError> {
    let find = |version: i64| migrations.iter().find(|migration| migration.version == version);
    let file =
        |version: i64| find(version).map(|migration| migration.file.clone()).unwrap_or_else(|| version.to_string());
    connection.ensure_migrations_table(TABLE).await.map_err(other)?;
    let before = connection.list_applied_migrations(TABLE).await.map_err(other)?;
    if let Err(error) = migrator.run_direct(None, connection, false).await {
        return Err(match error {
            MigrateError::ExecuteMigration(error, version) => {
                let (sql, cause) = (find(version).map_or("", |migration| &migration.sql), cause(&error));
                let (file, line) = (file(version), line_of(&error, sql));
                let is_dirty =
                    commits_halfway && connection.dirty_version(TABLE).await.is_ok_and(|dirty| dirty.is_some());
                match is_dirty {
                    true => MigrationError::HalfApplied { file, line, cause, version },
                    false => MigrationError::Failed { file, line, cause },
                }
            }
            MigrateError::Dirty(version) => MigrationError::Dirty { file: file(version), version },
            MigrateError::VersionMismatch(version) => MigrationError::Changed(file(version)),
            error => other(error),
        });
    }
    let is_new = |migration: &&AppMigration| before.iter().all(|applied| applied.version != migration.version);
    Ok(migrations.iter().filter(is_new).map(|migration| migration.file.clone()).collect())
}

fn other(error: MigrateError) -> MigrationError {
    match error {
        MigrateError::Execute(error) => MigrationError::Database(error),
        error => MigrationError::Other(error),
    }
}

/// Returns the sentence of the database, without sqlx's words before it.
fn cause(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Returns the line of a migration that an error is about: as the database says it, or else the first with a word that the error quotes.
fn line_of(error: &sqlx::Error, sql: &str) -> Option<usize> {
    let error = error.as_database_error()?;
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        && let Some(sqlx::postgres::PgErrorPosition::Original(position)) = error.position()
    {
        let before = sql.chars().take(position.saturating_sub(1));
        return Some(before.filter(|character| *character == '\n').count() + 1);
    }
    line_with_quoted_word(error.message(), sql)
}

/// Returns the first line of code with a word of the message: one in quotes, or else the last that is a name.
fn line_with_quoted_word(message: &str, sql: &str) -> Option<usize> {
    let quoted = message.split(['"', '\'', '`']).skip(1).step_by(2);
    let quoted = quoted.filter_map(|text| text.split(|c: char| !is_word(c)).find(|word| !word.is_empty()));
    let names = message.rsplit(|c: char| !is_word(c)).filter(|word| word.len() > 2 && !COMMON_WORDS.contains(word));
    let line_with = |word: &str| {
        let is_code = |line: &str| !line.trim_start().starts_with("--");
        let has_word = |line: &str| {
            is_code(line) && line.split(|c: char| !is_word(c)).any(|other| other.eq_ignore_ascii_case(word))
        };
        sql.lines().position(has_word).map(|index| index + 1)
    };
    quoted.chain(names).find_map(line_with)
}

/// Words of SQLite's messages that are also words of SQL.
const COMMON_WORDS: [&str; 9] = ["table", "column", "index", "view", "exists", "constraint", "unique", "not", "values"];

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_word_in_the_message() {
        let sql = "-- the table notes\nCREATE TABLE IF NOT EXISTS tags (id INTEGER);\n\nCREATE TABLE notes (\n    id INTEGER,\n    wrong_name TXT\n);\nINSERT INTO missing VALUES (1);";
        for (message, line) in [
            ("table notes already exists", Some(4)),
            ("no such table: missing", Some(8)),
            ("near \"wrong_name\": syntax error", Some(6)),
            ("Table 'notes' already exists", Some(4)),
            (
                "You have an error in your SQL syntax; check the manual for the right syntax to use near 'INSERT INTO missing' at line 8",
                Some(8),
            ),
            ("disk I/O error", None),
        ] {
            assert_eq!(line_with_quoted_word(message, sql), line, "{message}");
        }
        assert_eq!(name("migrations/sqlite/0001_create_notes.sql"), "create_notes");
    }
}
