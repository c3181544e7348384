//! The process: reads what it is asked to do, does it, and says how it went.

use std::env;
use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use listenfd::ListenFd;
use method_sdk::Method;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::accounts::Accounts;
use crate::administer;
use crate::config::{self, Account, Command, Config, ConfigError, Exit};
use crate::store::OpenError;
use crate::{Server, log};

/// The status of a process that was asked for something it cannot do.
const REFUSED: u8 = 2;

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
pub fn main(methods: &'static [Method]) -> ExitCode {
    let directory = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let line = match config::parse(env::args_os(), env::vars_os(), &directory) {
        Ok(line) => line,
        Err(Exit::Asked(text)) => return say(text.trim_end()),
        Err(Exit::Refused(text)) => return refuse(&text),
    };
    for warning in &line.warnings {
        complain(warning);
    }
    match line.command {
        Command::Methods => say(list(methods).trim_end()),
        Command::New { name } => {
            new_method(&directory, &name).map_or_else(|problem| refuse(&problem), |done| say(&done))
        }
        Command::Check => with_config(line.config, |config| tell(check(methods, config))),
        Command::Account(command) => with_config(line.config, |config| tell(account(config, &command))),
        Command::Import { from } => with_config(line.config, |config| tell(import(config, from))),
        Command::Serve => with_config(line.config, |config| serve(methods, config)),
    }
}

fn with_config(config: Result<Config, ConfigError>, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    config.map_or_else(|error| refuse(&error.to_string()), command)
}

/// A table: the name, the file, the first line of the description.
fn list(methods: &[Method]) -> String {
    let width = |column: fn(&Method) -> &str| methods.iter().map(|method| column(method).len()).max().unwrap_or(0);
    let (names, files) = (width(|method| method.name), width(|method| method.file));
    let row = |method: &Method| {
        let summary = method.description.lines().next().unwrap_or_default();
        format!("{:names$}  {:files$}  {summary}", method.name, method.file).trim_end().to_owned() + "\n"
    };
    methods.iter().map(row).collect()
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

fn check(methods: &'static [Method], config: Config) -> Result<String, String> {
    block_on(async {
        let accounts = accounts(config).await?;
        let store = accounts.store();
        store.ping().await.map_err(|error| OpenError::refused(store, &error).to_string())?;
        Ok(format!("configuration: good\ndatabase: {}, good\nmethods: {}", store.place(), methods.len()))
    })
}

fn account(config: Config, command: &Account) -> Result<String, String> {
    block_on(async { administer::account(&*accounts(config).await?, command).await })
}

fn import(config: Config, from: String) -> Result<String, String> {
    block_on(async { administer::import(&*accounts(config).await?, from).await })
}

async fn accounts(config: Config) -> Result<Arc<Accounts>, String> {
    let server = Server::new(&[], config).await.map_err(|error| error.to_string())?;
    Ok(server.dispatcher().accounts.clone())
}

fn serve(methods: &'static [Method], config: Config) -> ExitCode {
    let guard = log::init(&config);
    raise_descriptor_limit();
    let served = block_on(async {
        let address = SocketAddr::new(config.address, config.port);
        let mut server = Server::new(methods, config).await.map_err(|error| error.to_string())?;
        let listener = match given_listener()? {
            Some(listener) => {
                server = server.sharing_its_listener();
                listener
            }
            None => TcpListener::bind(address).await.map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("cannot listen on {address}: it is in use; name another with --port")
                }
                _ => format!("cannot listen on {address}: {error}"),
            })?,
        };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shutdown = told_to_stop().map_err(|error| error.to_string())?;
        let database = server.dispatcher().accounts.store().connection().db().kind();
        tracing::info!(methods = methods.len(), database, "listening on http://{address}");
        server.run(listener, shutdown).await;
        Ok(())
    });
    drop(guard);
    served.map_or_else(|problem: String| fail(&problem), |()| ExitCode::SUCCESS)
}

/// The socket that a service manager has opened for this process (`LISTEN_FDS`; see sd_listen_fds(3)), if there is one: it counts
/// instead of address and port.
fn given_listener() -> Result<Option<TcpListener>, String> {
    let mut given = ListenFd::from_env();
    if given.len() > 1 {
        return Err(format!("LISTEN_FDS gives {} sockets; a server takes one", given.len()));
    }
    let listener = given.take_tcp_listener(0).and_then(|listener| {
        let Some(listener) = listener else { return Ok(None) };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    });
    listener.map_err(|error| format!("the socket that LISTEN_FDS gives cannot be used: {error}"))
}

/// Resolves at the first SIGTERM or SIGINT; the second ends the process at once.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (told, stop) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        let _ = told.send(());
        next().await;
        complain("told twice to stop: stopping now");
        std::process::exit(1);
    });
    Ok(async move {
        let _ = stop.await;
    })
}

/// Each connection is a descriptor, and the usual soft limit of 1,024 is less than `max_connections`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let done = runtime.block_on(work);
    // A blocking method that does not end would keep the process for ever.
    runtime.shutdown_background();
    done
}

/// To standard output; a reader that has gone, such as `head`, is no failure.
fn say(text: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn tell(done: Result<String, String>) -> ExitCode {
    done.map_or_else(|problem| fail(&problem), |text| say(&text))
}

pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "server: {text}");
}

fn fail(problem: &str) -> ExitCode {
    complain(problem);
    ExitCode::FAILURE
}

fn refuse(problem: &str) -> ExitCode {
    for line in problem.lines() {
        complain(line);
    }
    ExitCode::from(REFUSED)
}
