//! The process: reads what it is asked to do, does it, and says how it went.

mod account;
mod import;

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use method_sdk::{Method, Methods};

use crate::account::AccountService;
use crate::config::{self, Account, Command, Config, ConfigError, EarlyExit};
use crate::runtime::{self, BoundListener, block_on, exit_failure, exit_usage, finish, print, warn};
use crate::server::static_table;
use crate::store::StoreError;
use crate::{Server, log};

const NEW_METHOD: &str = r#"//! Says what the method is for; `server methods` shows it.
use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {
    pub name: String,
}

#[derive(Serialize)]
pub struct Answer {
    pub greeting: String,
}

pub async fn invoke(_handler: &mut Handler, params: Params) -> Result<Answer> {
    Ok(Answer { greeting: format!("hello {}", params.name) })
}
"#;

/// The whole of an application's `main`: does what the command line asks for, with these methods.
///
/// # Example
/// ```no_run
/// # mod simpleapi { pub fn methods() -> &'static [method_sdk::Method] { &[] } }
/// fn main() -> std::process::ExitCode {
///     simpleapi_server::main(simpleapi::methods())
/// }
/// ```
pub fn main(methods: impl Into<Methods>) -> ExitCode {
    let methods = methods.into();
    let directory = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let cli = match config::parse(env::args_os(), env::vars_os(), &directory) {
        Ok(cli) => cli,
        Err(EarlyExit::Help(text)) => return print(text.trim_end()),
        Err(EarlyExit::Usage(text)) => return exit_usage(&text),
    };
    for warning in &cli.warnings {
        warn(warning);
    }
    match cli.command {
        Command::Methods => finish(list(methods)),
        Command::New { name } => {
            new_method(&directory, &name).map_or_else(|problem| exit_usage(&problem), |done| print(&done))
        }
        Command::Check => with_config(cli.config, |config| finish(check(methods, config))),
        Command::Account(command) => with_config(cli.config, |config| finish(account(config, &command))),
        Command::Import { from } => with_config(cli.config, |config| finish(import(config, from))),
        Command::Serve => with_config(cli.config, |config| serve(methods, config)),
        #[cfg(feature = "dev")]
        Command::Dev(options) => with_config(cli.config, |config| crate::dev::run(methods, config, &options)),
        #[cfg(not(feature = "dev"))]
        Command::Dev(_) => exit_usage(
            "development mode is not part of this build: use `cargo dev`, or build with the feature `dev` (`cargo run --features dev -- dev`)",
        ),
    }
}

fn with_config(config: Result<Config, ConfigError>, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    config.map_or_else(|error| exit_usage(&error.to_string()), command)
}

/// A table: the name, the file, the first line of the description.
fn list(methods: Methods) -> Result<String, String> {
    let rows: Vec<[String; 3]> = match methods.development {
        Some(development) if development.reloads => {
            let tree = method_build::read(&Path::new(development.directory).join("methods"));
            let tree =
                tree.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
            tree.methods().iter().map(|it| row(&it.name, &it.file.display().to_string(), &it.description)).collect()
        }
        _ => methods.table.iter().map(|it| row(it.name, it.file, it.description)).collect(),
    };
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (names, files) = (width(0), width(1));
    let line =
        |[name, file, summary]: &[String; 3]| format!("{name:names$}  {file:files$}  {summary}").trim_end().to_owned();
    Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn row(name: &str, file: &str, description: &str) -> [String; 3] {
    [name, file, description.lines().next().unwrap_or_default()].map(str::to_owned)
}

/// Writes the file of a new method, and touches no other.
fn new_method(directory: &Path, name: &str) -> Result<String, String> {
    method_build::check_name(name).map_err(|problem| format!("`{name}` cannot be the name of a method: {problem}"))?;
    let methods = directory.join("methods");
    if !methods.is_dir() {
        return Err("there is no folder `methods` here; run this where the application's Cargo.toml is".to_owned());
    }
    let file = Path::new("methods").join(name.replace('.', "/")).with_extension("rs");
    let shown = file.display();
    let folder = directory.join(&file).with_extension("");
    if folder.is_dir() {
        return Err(format!(
            "there is a folder of the same name as {shown} would have; a name is a method or a folder"
        ));
    }
    let beside = |folder: &&Path| *folder != methods && folder.with_extension("rs").is_file();
    if let Some(taken) = folder.ancestors().skip(1).take_while(|folder| *folder != methods).find(beside) {
        let taken = taken.strip_prefix(directory).unwrap_or(taken).with_extension("rs");
        return Err(format!("{} is a method already, so there cannot be a folder of its name", taken.display()));
    }
    let problem = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{shown} is there already"),
        _ => format!("cannot write {shown}: {error}"),
    };
    let path = directory.join(&file);
    fs::create_dir_all(path.parent().unwrap_or(&methods)).map_err(problem)?;
    let mut opened = OpenOptions::new().write(true).create_new(true).open(&path).map_err(problem)?;
    opened.write_all(NEW_METHOD.as_bytes()).map_err(problem)?;
    Ok(format!("{shown} is written: after the next build it is the method `{name}`"))
}

fn check(methods: Methods, config: Config) -> Result<String, String> {
    block_on(async {
        let accounts = accounts(config).await?;
        let store = accounts.store();
        store.ping().await.map_err(|error| StoreError::unusable(store, &error).to_string())?;
        let methods = list(methods)?.lines().count();
        Ok(format!("configuration: good\ndatabase: {}, good\nmethods: {methods}", store.describe()))
    })
}

fn account(config: Config, command: &Account) -> Result<String, String> {
    block_on(async {
        let accounts = accounts(config).await?;
        self::account::account(&accounts, command).await.map_err(|error| error.to_string())
    })
}

fn import(config: Config, from: String) -> Result<String, String> {
    block_on(async {
        let accounts = accounts(config).await?;
        self::import::import(&accounts, from).await.map_err(|error| error.to_string())
    })
}

async fn accounts(config: Config) -> Result<Arc<AccountService>, String> {
    let none: &'static [Method] = &[];
    let server = Server::new(none, config).await.map_err(|error| error.to_string())?;
    Ok(server.dispatcher().accounts.clone())
}

fn serve(methods: Methods, config: Config) -> ExitCode {
    if let Err(error) = static_table(methods) {
        return exit_usage(&error.to_string());
    }
    let guard = log::init(&config);
    runtime::raise_descriptor_limit();
    let served = block_on(async {
        let server = Server::new(methods, config.clone()).await.map_err(|error| error.to_string())?;
        let BoundListener { listener, is_inherited } = runtime::listen(&config).await?;
        let server = if is_inherited { server.with_inherited_listener() } else { server };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shutdown = runtime::shutdown_signal().map_err(|error| error.to_string())?;
        let database = server.dispatcher().accounts.store().connection().db().kind();
        tracing::info!(methods = methods.table.len(), database, "listening on http://{address}");
        server.run(listener, shutdown).await;
        Ok(())
    });
    drop(guard);
    served.map_or_else(|problem: String| exit_failure(&problem), |()| ExitCode::SUCCESS)
}
