//! Part `signed`: calls in a session, on each database, beside the same call without one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{CONNECTIONS, Context};
use crate::command::{output, run as run_command};
use crate::http::{self, Session};
use crate::load::LOAD_CORE;
use crate::process::Process;
use crate::results::Recorder;
use crate::server::{Server, Servers};

/// The parameters of `demo.echo`.
const PARAMS: &str = r#"{"name":"alice","n":41}"#;

/// A database and the server that uses it.
struct Store {
    name: &'static str,
    process: Process,
    /// Declared after the server, so that it ends after it.
    _database: Option<DatabaseServer>,
}

/// Starts a database and this server on it.
fn start_store(context: &Context<'_>, servers: &Servers<'_>, kind: &str) -> Result<Store> {
    let (name, database, options) = match kind {
        "sqlite" => {
            let folder = context.workspace.data_folder("signed")?;
            ("SQLite", None, vec![format!("--sqlite_path={}", folder.join("bench.db").display())])
        }
        "mysql" => {
            let database = DatabaseServer::start(context, kind)?;
            let create = ["--no-defaults", "-h", "127.0.0.1", "-u", "root", "-e", "CREATE DATABASE bench", "-P"];
            output(Command::new("mariadb").args(create).arg(database.port()?))?;
            let url = format!("--mysql_url={}bench", database.url);
            ("MariaDB", Some(database), vec!["--database=mysql".into(), url])
        }
        "postgres" => {
            let database = DatabaseServer::start(context, kind)?;
            let url = format!("--postgres_url={}", database.url);
            ("PostgreSQL", Some(database), vec!["--database=postgres".into(), url])
        }
        "mongodb" => {
            let database = DatabaseServer::start(context, kind)?;
            let url = format!("--mongodb_url={}bench", database.url);
            ("FerretDB", Some(database), vec!["--database=mongodb".into(), url])
        }
        other => bail!("there is no database {other}: sqlite, mysql, postgres, mongodb"),
    };
    let process = servers.start_with(Server::Simpleapi, &options)?;
    Ok(Store { name, process, _database: database })
}

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let servers = Servers::build(context.workspace, &[Server::Simpleapi])?;
    let mut stores = Vec::new();
    for kind in &context.settings.databases {
        eprintln!("signed: starting {kind}");
        match start_store(context, &servers, kind) {
            Ok(store) => {
                let sessions = sessions(&store)?;
                stores.push((store, sessions));
            }
            Err(error) => {
                context.workspace.interrupt.check()?;
                let reason = format!("{kind} is not measured: {error:#}");
                eprintln!("{reason}");
                recorder.note(reason);
            }
        }
    }
    let mut cells = Vec::new();
    for (store, sessions) in &stores {
        let echo = http::envelope("demo.echo", PARAMS);
        let counter = http::envelope("demo.counter", "{}");
        let signed = |body: &str| sessions.iter().map(|session| http::post("/", body, Some(session))).collect();
        let cases: [(&str, Vec<Vec<u8>>); 3] = [
            ("echo, unsigned", vec![http::post("/", &echo, None)]),
            ("echo, signed", signed(&echo)),
            ("counter", signed(&counter)),
        ];
        for (case, requests) in cases {
            http::exchange(store.process.address, &requests[0])?;
            cells.push((case.to_owned(), store.name.to_owned(), (&store.process, requests)));
        }
    }
    recorder.rounds(&cells, |(process, requests), _| {
        process.take_log_lines()?;
        Ok(context.closed_loop(process, requests, CONNECTIONS)?.0)
    })
}

/// Creates an account and a session for each connection.
fn sessions(store: &Store) -> Result<Vec<Session>> {
    let session = |number| http::create_account(store.process.address, &format!("user{number}"));
    (0..CONNECTIONS).map(session).collect::<Result<_>>().with_context(|| format!("the accounts on {}", store.name))
}

/// A database server of `tests/database`. It shares the core of the load, and is stopped when the value is dropped.
struct DatabaseServer {
    script: PathBuf,
    kind: String,
    folder: PathBuf,
    url: String,
}

impl DatabaseServer {
    fn start(context: &Context<'_>, kind: &str) -> Result<Self> {
        let script = context.workspace.root.join("tests/database");
        // Not in the repository: the account that runs the database must be able to enter the folder.
        let folder = std::env::temp_dir().join(format!("simpleapi-bench-{}-{kind}", std::process::id()));
        run_command(Command::new(&script).args([kind, "install"]), &context.workspace.interrupt)?;
        let mut database = DatabaseServer { script, kind: kind.to_owned(), folder, url: String::new() };
        let mut command = Command::new("taskset");
        command.args(["-c", &LOAD_CORE.to_string()]).arg(&database.script).args([kind, "start"]);
        database.url = output(command.arg(&database.folder))?;
        Ok(database)
    }

    fn port(&self) -> Result<String> {
        Ok(std::fs::read_to_string(Path::new(&self.folder).join("port"))?.trim().to_owned())
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        let _ = output(Command::new(&self.script).args([&self.kind, "stop"]).arg(&self.folder));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
