//! Databases for tests: each test has an empty one of its own, on a database server that `tests/run` or the developer has started.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use method_sdk::{Database as Handle, Methods, sqlx};
use rustix::process::{Pid, Signal, kill_process};
use simpleapi_server::{Config, Database as DatabaseKind, Secret};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use crate::server::Server;
use crate::support::{Process, directory, root, server_binary};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    #[cfg(feature = "mongodb")]
    Mongodb,
    #[cfg(feature = "mysql")]
    Mysql,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

impl Kind {
    /// The kind for tests that are not about databases.
    #[cfg(feature = "sqlite")]
    pub(crate) const ANY: Kind = Kind::Sqlite;
    #[cfg(all(feature = "mysql", not(feature = "sqlite")))]
    pub(crate) const ANY: Kind = Kind::Mysql;
    #[cfg(all(feature = "postgres", not(any(feature = "sqlite", feature = "mysql"))))]
    pub(crate) const ANY: Kind = Kind::Postgres;
    #[cfg(all(feature = "mongodb", not(any(feature = "sqlite", feature = "mysql", feature = "postgres"))))]
    pub(crate) const ANY: Kind = Kind::Mongodb;

    /// The name of this kind in `--database` and `tests/database`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => "mongodb",
            #[cfg(feature = "mysql")]
            Kind::Mysql => "mysql",
            #[cfg(feature = "postgres")]
            Kind::Postgres => "postgres",
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => "sqlite",
        }
    }

    /// The URL of the database server that the tests share.
    fn url(self) -> String {
        let variable = format!("SIMPLEAPI_TEST_{}_URL", self.name().to_uppercase());
        std::env::var(&variable).unwrap_or_else(|_| panic!("{variable} is not set: run tests/run"))
    }
}

/// Turns each function of a [`Kind`] into one test for every kind of database. Those after `atomic` need conditional updates that
/// are atomic. FerretDB's are not (of 1,000 consecutive updates that it acknowledged, 35 to 67 had taken effect), so `tests/run`
/// runs these tests on another server of MongoDB's protocol.
macro_rules! over_every_store {
    ($($test:ident)* $(; atomic $($atomic:ident)*)?) => {
        #[cfg(feature = "sqlite")]
        mod sqlite {
            use crate::databases::Kind::Sqlite;
            $(#[tokio::test] async fn $test() { super::$test(Sqlite).await })*
            $($(#[tokio::test] async fn $atomic() { super::$atomic(Sqlite).await })*)?
        }
        #[cfg(feature = "mysql")]
        mod mysql {
            use crate::databases::Kind::Mysql;
            $(#[tokio::test] #[ignore = "needs MySQL: run tests/run"] async fn $test() { super::$test(Mysql).await })*
            $($(
                #[tokio::test] #[ignore = "needs MySQL: run tests/run"]
                async fn $atomic() { super::$atomic(Mysql).await }
            )*)?
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            use crate::databases::Kind::Postgres;
            $(
                #[tokio::test] #[ignore = "needs PostgreSQL: run tests/run"]
                async fn $test() { super::$test(Postgres).await }
            )*
            $($(
                #[tokio::test] #[ignore = "needs PostgreSQL: run tests/run"]
                async fn $atomic() { super::$atomic(Postgres).await }
            )*)?
        }
        #[cfg(feature = "mongodb")]
        mod mongodb {
            use crate::databases::Kind::Mongodb;
            $(
                #[tokio::test] #[ignore = "needs MongoDB: run tests/run"]
                async fn $test() { super::$test(Mongodb).await }
            )*
            $(
                mod atomic {
                    use super::Mongodb;
                    $(
                        #[tokio::test] #[ignore = "needs a MongoDB with atomic updates: run tests/run"]
                        async fn $atomic() { super::super::$atomic(Mongodb).await }
                    )*
                }
            )?
        }
    };
}
pub(crate) use over_every_store;

/// Turns each function of a [`Kind`] into one test for every kind that is a server of its own.
macro_rules! over_every_server {
    ($($test:ident)*) => {
        #[cfg(feature = "mysql")]
        mod mysql {
            $(
                #[tokio::test(flavor = "multi_thread")] #[ignore = "needs MySQL: run tests/run"]
                async fn $test() { super::$test(crate::databases::Kind::Mysql).await }
            )*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")] #[ignore = "needs PostgreSQL: run tests/run"]
                async fn $test() { super::$test(crate::databases::Kind::Postgres).await }
            )*
        }
        #[cfg(feature = "mongodb")]
        mod mongodb {
            $(
                #[tokio::test(flavor = "multi_thread")] #[ignore = "needs MongoDB: run tests/run"]
                async fn $test() { super::$test(crate::databases::Kind::Mongodb).await }
            )*
        }
    };
}
pub(crate) use over_every_server;

/// An empty database; removed when dropped.
pub(crate) struct Database {
    kind: Kind,
    name: String,
    pub(crate) url: String,
    pub(crate) directory: Arc<TempDir>,
}

impl Database {
    /// Creates a database on the server that the tests share; SQLite's is a file.
    pub(crate) fn new(kind: Kind) -> Arc<Self> {
        #[cfg(feature = "sqlite")]
        if kind == Kind::Sqlite {
            let directory = directory();
            let url = format!("sqlite://{}", directory.path().join("simpleapi.db").display());
            return Arc::new(Database { kind, name: String::new(), url, directory });
        }
        Database::on(kind, &kind.url())
    }

    /// Creates a database on the server at `url`.
    pub(crate) fn on(kind: Kind, url: &str) -> Arc<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("simpleapi_test_{}_{number}", std::process::id());
        run(kind, url, format!("CREATE DATABASE {name}"));
        let (scheme, rest) = url.split_once("://").unwrap();
        let (server, query) = rest.split_once('?').unwrap_or((rest, ""));
        let server = server.split('/').next().unwrap();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let url = format!("{scheme}://{server}/{name}{query}");
        Arc::new(Database { kind, name, url, directory: directory() })
    }

    /// The same database on another node of its cluster.
    #[cfg(feature = "mysql")]
    pub(crate) fn on_node(&self, url: &str) -> Arc<Self> {
        let url = format!("{url}{}", self.name);
        Arc::new(Database { kind: self.kind, name: String::new(), url, directory: directory() })
    }

    /// The options of a server that uses this database.
    pub(crate) fn options(&self) -> Vec<String> {
        #[cfg(feature = "sqlite")]
        if self.kind == Kind::Sqlite {
            return Vec::new();
        }
        let name = self.kind.name();
        vec![format!("--database={name}"), format!("--{name}_url={}", self.url)]
    }

    /// Starts this application on the database, in this process.
    pub(crate) fn server(self: &Arc<Self>) -> Server {
        self.server_with(|_| {})
    }

    pub(crate) fn server_with(self: &Arc<Self>, configure: impl FnOnce(&mut Config)) -> Server {
        self.server_of(simpleapi::methods(), configure)
    }

    /// Starts an application with these methods on the database, in this process.
    pub(crate) fn server_of(self: &Arc<Self>, methods: Methods, configure: impl FnOnce(&mut Config)) -> Server {
        let mut config = self.config();
        configure(&mut config);
        let mut server = Server::run(methods, config, self.directory.clone());
        server.database = Some(self.clone());
        server
    }

    /// The default configuration with this database.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        let url = Some(Secret::from(self.url.clone()));
        match self.kind {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => (config.database, config.mongodb_url) = (DatabaseKind::Mongodb, url),
            #[cfg(feature = "mysql")]
            Kind::Mysql => (config.database, config.mysql_url) = (DatabaseKind::Mysql, url),
            #[cfg(feature = "postgres")]
            Kind::Postgres => (config.database, config.postgres_url) = (DatabaseKind::Postgres, url),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => config.sqlite_path = self.directory.path().join("simpleapi.db"),
        }
        config
    }

    /// Starts this application on the database, as a process of its own.
    pub(crate) fn process(self: &Arc<Self>, options: &[&str]) -> Process {
        let mut all = self.options();
        all.extend(options.iter().map(|option| (*option).to_owned()));
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let mut process = Process::start(&self.directory, &server_binary(), &all);
        process.database = Some(self.clone());
        process
    }

    /// A command of this application's program on the database.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(server_binary());
        command.current_dir(self.directory.path()).args(arguments).args(self.options());
        command
    }

    /// Connects to the database.
    pub(crate) async fn handle(&self) -> Handle {
        match self.kind {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => {
                let client = method_sdk::mongodb::Client::with_uri_str(&self.url).await.unwrap();
                Handle::Mongodb(client.default_database().unwrap())
            }
            #[cfg(feature = "mysql")]
            Kind::Mysql => Handle::Mysql(sqlx::MySqlPool::connect(&self.url).await.unwrap()),
            #[cfg(feature = "postgres")]
            Kind::Postgres => Handle::Postgres(sqlx::PgPool::connect(&self.url).await.unwrap()),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => Handle::Sqlite(sqlx::SqlitePool::connect(&self.url).await.unwrap()),
        }
    }

    /// Executes statements separated by semicolons, which are the test's own, on a SQL database.
    async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.handle().await {
            #[cfg(feature = "mysql")]
            Handle::Mysql(pool) => drop(sqlx::raw_sql(sql).execute(&pool).await.unwrap()),
            #[cfg(feature = "postgres")]
            Handle::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(&pool).await.unwrap()),
            #[cfg(feature = "sqlite")]
            Handle::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(&pool).await.unwrap()),
            _ => unreachable!(),
        }
    }

    /// Inserts an account with this password hash, bypassing the server.
    pub(crate) async fn add_account(&self, user_id: &str, hash: &str) {
        #[cfg(feature = "mongodb")]
        if let Ok(database) = self.handle().await.mongodb() {
            use method_sdk::mongodb::bson::{Document, doc};
            let account = doc! { "_id": user_id, "password_hash": hash, "created": 0_i64 };
            database.collection::<Document>("simpleapi_accounts").insert_one(account).await.unwrap();
            return;
        }
        self.execute(&format!("INSERT INTO accounts VALUES ('{user_id}', '{hash}', 0)")).await;
    }

    /// Makes the schema's version unreadable, and returns what the error must say.
    pub(crate) async fn break_schema_version(&self) -> &'static str {
        match self.kind {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => {
                self.set_schema_version("one".into()).await;
                "its schema has the invalid version \"one\""
            }
            // A view over a table that no longer exists.
            #[cfg(feature = "mysql")]
            Kind::Mysql => {
                self.execute("RENAME TABLE simpleapi_schema TO old").await;
                self.execute("CREATE VIEW simpleapi_schema AS SELECT version FROM old").await;
                self.execute("RENAME TABLE old TO renamed").await;
                "references invalid table"
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                self.execute("ALTER TABLE simpleapi_schema RENAME TO renamed").await;
                self.execute("CREATE VIEW simpleapi_schema AS SELECT 1 AS version WHERE 1 / 0 = 1").await;
                "division by zero"
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => {
                self.execute("PRAGMA user_version = -1").await;
                "its schema has the invalid version -1"
            }
        }
    }

    /// Restores the schema's version after [`break_schema_version`](Self::break_schema_version).
    pub(crate) async fn repair_schema_version(&self) {
        match self.kind {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => self.set_schema_version(2_i64.into()).await,
            #[cfg(feature = "mysql")]
            Kind::Mysql => self.execute("DROP VIEW simpleapi_schema; RENAME TABLE renamed TO simpleapi_schema").await,
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                self.execute("DROP VIEW simpleapi_schema; ALTER TABLE renamed RENAME TO simpleapi_schema").await;
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => self.execute("PRAGMA user_version = 3").await,
        }
    }

    #[cfg(feature = "mongodb")]
    async fn set_schema_version(&self, version: method_sdk::mongodb::bson::Bson) {
        use method_sdk::mongodb::bson::{Document, doc};
        let handle = self.handle().await;
        let schema = handle.mongodb().unwrap().collection::<Document>("simpleapi_schema");
        schema.update_one(doc! { "_id": "schema" }, doc! { "$set": { "version": version } }).await.unwrap();
    }

    /// The password hash of the account `alice`.
    pub(crate) async fn hash_of_alice(&self) -> String {
        let select = "SELECT password_hash FROM accounts WHERE user_id = 'alice'";
        match self.handle().await {
            #[cfg(feature = "mongodb")]
            Handle::Mongodb(database) => {
                use method_sdk::mongodb::bson::{Document, doc};
                let accounts = database.collection::<Document>("simpleapi_accounts");
                let alice = accounts.find_one(doc! { "_id": "alice" }).await.unwrap().unwrap();
                alice.get_str("password_hash").unwrap().to_owned()
            }
            #[cfg(feature = "mysql")]
            Handle::Mysql(pool) => sqlx::query_scalar(select).fetch_one(&pool).await.unwrap(),
            #[cfg(feature = "postgres")]
            Handle::Postgres(pool) => sqlx::query_scalar(select).fetch_one(&pool).await.unwrap(),
            #[cfg(feature = "sqlite")]
            Handle::Sqlite(pool) => sqlx::query_scalar(select).fetch_one(&pool).await.unwrap(),
            _ => unreachable!(),
        }
    }

    /// The number of stored sessions.
    pub(crate) async fn sessions(&self) -> i64 {
        let count = "SELECT count(*) FROM sessions";
        match self.handle().await {
            #[cfg(feature = "mongodb")]
            Handle::Mongodb(database) => {
                use method_sdk::mongodb::bson::{Document, doc};
                let sessions = database.collection::<Document>("simpleapi_sessions");
                sessions.count_documents(doc! {}).await.unwrap().cast_signed()
            }
            #[cfg(feature = "mysql")]
            Handle::Mysql(pool) => sqlx::query_scalar(count).fetch_one(&pool).await.unwrap(),
            #[cfg(feature = "postgres")]
            Handle::Postgres(pool) => sqlx::query_scalar(count).fetch_one(&pool).await.unwrap(),
            #[cfg(feature = "sqlite")]
            Handle::Sqlite(pool) => sqlx::query_scalar(count).fetch_one(&pool).await.unwrap(),
            _ => unreachable!(),
        }
    }
}

/// A write lock on a server's SQLite file, as another process might hold it; released when dropped.
#[cfg(feature = "sqlite")]
pub(crate) async fn write_lock(directory: &TempDir) -> sqlx::Transaction<'static, sqlx::Sqlite> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("simpleapi.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.name.is_empty() && !std::thread::panicking() {
            run(self.kind, &self.url, format!("DROP DATABASE {}", self.name));
        }
    }
}

/// Creates or drops a database. It runs on a thread of its own, because a runtime cannot block on another.
fn run(kind: Kind, url: &str, statement: String) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let server = format!("{scheme}://{}", rest.split(['/', '?']).next().unwrap());
    let url = url.to_owned();
    let work = async move {
        match kind {
            #[cfg(feature = "mongodb")]
            Kind::Mongodb => {
                // A database is created with its first document.
                if statement.starts_with("DROP") {
                    let client = method_sdk::mongodb::Client::with_uri_str(&url).await.unwrap();
                    let _ = client.default_database().unwrap().drop().await;
                }
            }
            #[cfg(feature = "mysql")]
            Kind::Mysql => {
                let mut server = sqlx::MySqlConnection::connect(&server).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut server).await.unwrap();
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                let mut server = sqlx::PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
                let force = if statement.starts_with("DROP") { " WITH (FORCE)" } else { "" };
                sqlx::raw_sql(AssertSqlSafe(statement + force)).execute(&mut server).await.unwrap();
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite => {}
        }
    };
    std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(work)).join().unwrap();
}

/// A private database server that a test can stop and start again.
pub(crate) struct Machine {
    /// The name of the kind in `tests/database`.
    kind: &'static str,
    folder: PathBuf,
    _parent: Arc<TempDir>,
    pub(crate) url: String,
}

impl Machine {
    pub(crate) fn start(kind: Kind) -> Self {
        Machine::start_in(kind.name(), &directory(), "server")
    }

    /// Starts a node of the Galera cluster whose nodes are in `parent`.
    #[cfg(feature = "mysql")]
    pub(crate) fn start_node(parent: &Arc<TempDir>, name: &str) -> Self {
        Machine::start_in("galera", parent, name)
    }

    fn start_in(kind: &'static str, parent: &Arc<TempDir>, name: &str) -> Self {
        let (folder, _parent) = (parent.path().join(name), parent.clone());
        let mut machine = Machine { kind, folder, _parent, url: String::new() };
        machine.restart();
        machine
    }

    /// Starts the server again, on the same port and data.
    pub(crate) fn restart(&mut self) {
        self.url = self.script("start").trim().to_owned();
    }

    pub(crate) fn stop(&self) {
        self.script("stop");
    }

    /// Ends the server as a crash does.
    pub(crate) fn kill(&self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.file("pid").trim().parse().unwrap()).unwrap()
    }

    /// Reads a file of the server's folder: its log, or the port of FerretDB's counters.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn script(&self, action: &str) -> String {
        let mut command = Command::new(root().join("tests/database"));
        let output = command.arg(self.kind).arg(action).arg(&self.folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}
