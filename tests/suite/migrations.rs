//! Migrations of an application's own tables, and its function `start`, before a server is ready.

use std::sync::atomic::{AtomicUsize, Ordering};

use method_sdk::{DatabaseHandle, Error, Methods, Migration, sqlx};
use serde_json::json;

use crate::databases::{Database, Kind, over_every_store};
use crate::support::Listening as _;
#[cfg(feature = "sqlite")]
use crate::support::{Process, directory, server_binary};

over_every_store! {
    servers_that_start_concurrently_apply_each_migration_once
    a_migration_that_fails_is_named_with_its_line_and_loses_nothing
    a_migration_that_was_changed_after_it_was_applied_is_refused
    the_start_function_runs_after_the_migrations_and_before_the_server_is_ready
    an_older_server_starts_on_a_database_that_a_newer_one_has_migrated
}

/// The methods of this repository with other migrations, the same for every database: each is a file's name and its SQL.
fn methods(migrations: &[(&'static str, &'static str)]) -> Methods {
    let of_database = |database: &'static str| {
        migrations.iter().zip(1..).map(move |((name, sql), version)| {
            let file: &'static str = format!("migrations/{database}/{version:04}_{name}.sql").leak();
            Migration { database, version, file, sql }
        })
    };
    let all: Vec<Migration> = ["sqlite", "postgres", "mysql"].into_iter().flat_map(of_database).collect();
    Methods { migrations: all.leak(), ..simpleapi::methods() }
}

const NOTES: (&str, &str) = ("notes", "CREATE TABLE app_notes (id INTEGER PRIMARY KEY, text VARCHAR(80));\n");
const ROW: (&str, &str) =
    ("row", "INSERT INTO app_notes VALUES (1, 'milk');\nINSERT INTO app_notes VALUES (2, 'eggs');\n");

/// Returns the number of rows in a table.
async fn count(connection: &DatabaseHandle, table: &str) -> sqlx::Result<i64> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    match connection.db() {
        #[cfg(feature = "sqlite")]
        method_sdk::Database::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await,
        #[cfg(feature = "mysql")]
        method_sdk::Database::Mysql(pool) => sqlx::query_scalar(sql).fetch_one(pool).await,
        #[cfg(feature = "postgres")]
        method_sdk::Database::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await,
        _ => panic!("MongoDB has no migrations"),
    }
}

/// Starts a server with these migrations and returns the error, if it does not start.
async fn start(database: &Database, methods: Methods) -> Result<simpleapi_server::Server, String> {
    simpleapi_server::Server::new(methods, database.config()).await.map_err(|error| error.to_string())
}

fn has_migrations(kind: Kind) -> bool {
    kind.name() != "mongodb"
}

async fn servers_that_start_concurrently_apply_each_migration_once(kind: Kind) {
    let shared = Database::new(kind);
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.server_of(methods(&[NOTES, ROW]), |_| {}))
        })
        .collect();
    let servers: Vec<_> = servers.into_iter().map(|server| server.join().unwrap()).collect();
    for server in &servers {
        assert_eq!(server.api().get("/readyz").await.status, 200);
    }
    if has_migrations(kind) {
        // Each insert would fail a second time, and so would the server.
        static ROWS: AtomicUsize = AtomicUsize::new(0);
        fn look(connection: &DatabaseHandle) -> method_sdk::host::BoxFuture<'_, method_sdk::Result<()>> {
            Box::pin(async {
                let rows = count(connection, "app_notes").await? + count(connection, "_sqlx_migrations").await?;
                ROWS.fetch_add(rows as usize, Ordering::Relaxed);
                Ok(())
            })
        }
        let before = ROWS.load(Ordering::Relaxed);
        drop(start(&shared, Methods { start: Some(look), ..methods(&[NOTES, ROW]) }).await.unwrap());
        assert!(ROWS.load(Ordering::Relaxed) >= before + 4);
    }
}

async fn a_migration_that_fails_is_named_with_its_line_and_loses_nothing(kind: Kind) {
    if !has_migrations(kind) {
        return;
    }
    let shared = Database::new(kind);
    let broken = (
        "broken",
        "-- The second note.\nINSERT INTO app_notes VALUES (3, 'tea');\n\nINSERT INTO missing VALUES (4);\n",
    );
    let error = start(&shared, methods(&[NOTES, ROW, broken])).await.err().expect("the server does not start");
    let name = kind.name();
    assert!(error.starts_with(&format!("migrations/{name}/0003_broken.sql:4: ")), "{error}");
    assert!(error.contains("missing") && error.contains("nothing of this file was applied"), "{error}");
    // Corrected, the file is applied, and those before it are not applied again.
    let corrected = ("broken", "INSERT INTO app_notes VALUES (3, 'tea');\n");
    let server = shared.server_of(methods(&[NOTES, ROW, corrected]), |_| {});
    assert_eq!(server.api().get("/readyz").await.status, 200);
    drop(server);

    let syntax = ("syntax", "CREATE TABLE app_more (id INTEGER);\nCREATE app_tags (id INTEGER);\n");
    let error =
        start(&shared, methods(&[NOTES, ROW, corrected, syntax])).await.err().expect("the server does not start");
    assert!(error.starts_with(&format!("migrations/{name}/0004_syntax.sql:2: ")), "{error}");
    if name == "mysql" {
        // MySQL commits before and after each change of a table.
        assert!(error.contains("the database keeps the statements before it"), "{error}");
        let error = start(&shared, methods(&[NOTES, ROW, corrected, syntax])).await.err().unwrap();
        assert!(error.starts_with("migrations/mysql/0004_syntax.sql failed halfway before"), "{error}");
    } else {
        assert!(error.contains("nothing of this file was applied"), "{error}");
    }
}

async fn a_migration_that_was_changed_after_it_was_applied_is_refused(kind: Kind) {
    if !has_migrations(kind) {
        return;
    }
    let shared = Database::new(kind);
    drop(start(&shared, methods(&[NOTES])).await.unwrap());
    let changed = ("notes", "CREATE TABLE app_notes (id INTEGER PRIMARY KEY);\n");
    let error = start(&shared, methods(&[changed])).await.err().expect("the server does not start");
    let expected = format!("migrations/{}/0001_notes.sql was changed after it was applied; ", kind.name());
    assert!(error.starts_with(&expected), "{error}");
}

async fn the_start_function_runs_after_the_migrations_and_before_the_server_is_ready(kind: Kind) {
    fn fail(_: &DatabaseHandle) -> method_sdk::host::BoxFuture<'_, method_sdk::Result<()>> {
        Box::pin(async { Err(Error::internal("the cache cannot be filled")) })
    }
    fn check(connection: &DatabaseHandle) -> method_sdk::host::BoxFuture<'_, method_sdk::Result<()>> {
        Box::pin(async move {
            if connection.db().kind() != "mongodb" {
                assert_eq!(count(connection, "app_notes").await?, 2);
            }
            Ok(())
        })
    }
    let shared = Database::new(kind);
    let failing = Methods { start: Some(fail), ..methods(&[NOTES, ROW]) };
    let error = start(&shared, failing).await.err().expect("the server does not start");
    assert!(
        error.contains("`start` in methods/_start.rs failed") && error.contains("the cache cannot be filled"),
        "{error}"
    );
    let server = shared.server_of(Methods { start: Some(check), ..methods(&[NOTES, ROW]) }, |_| {});
    assert_eq!(server.api().call("demo.echo", json!(1)).await.result(), json!(1));
}

async fn an_older_server_starts_on_a_database_that_a_newer_one_has_migrated(kind: Kind) {
    let shared = Database::new(kind);
    let newer = shared.server_of(methods(&[NOTES, ROW]), |_| {});
    let older = shared.server_of(methods(&[NOTES]), |_| {});
    for server in [&newer, &older] {
        assert_eq!(server.api().get("/readyz").await.status, 200);
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn migrate_applies_them_without_serving() {
    let directory = directory();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(server_binary());
        let output = command.current_dir(directory.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let applied = "applied migrations/sqlite/0001_demo_visits.sql\nsqlite in simpleapi.db is up to date\n";
    assert_eq!(run(&["migrate"]), applied);
    assert_eq!(run(&["migrate"]), "sqlite in simpleapi.db is up to date\n");
    // A server logs what it applies.
    let other = crate::support::directory();
    let server = Process::start(&other, &server_binary(), &[]);
    assert!(server.log().contains("applied migrations/sqlite/0001_demo_visits.sql"), "{}", server.log());
}
