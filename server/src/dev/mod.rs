//! Development mode: a method is live as soon as its file is saved, in the running server, with its sessions and calls.
//!
//! In the order in which a saved file passes them:
//!
//! | file | |
//! |---|---|
//! | `watch.rs` | changes of files |
//! | `dev_loop.rs` | reloads and restarts after each change |
//! | `reload.rs` | the methods that are affected, and their new states in `call/live_methods.rs` |
//! | `build/batch.rs` | the methods that are compiled together, and the order of batches |
//! | `build/build_run.rs` | a build of batches on all cores, and the methods that errors belong to |
//! | `build/compiler.rs` | rustc, with `incremental.rs`, `linker.rs` and `diagnostics.rs` |
//! | `build/artifact_cache.rs` | libraries that later starts load instead of compiling them again |
//! | `server/loader` | a package of its own: loads a library into the process |
//! | `terminal.rs` | reports to the developer; `event_format.rs`: events of the server and of methods |
//!
//! `build/application.rs` knows how Cargo builds the application, and `build/flags.rs` how rustc compiles its methods. `sdk.rs` is the
//! shared library that the process and its methods have in common. `restart.rs` replaces the process.

mod build;
mod dev_loop;
mod event_format;
mod reload;
mod restart;
mod sdk;
mod terminal;
mod watch;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use method_sdk::{DatabaseHandle, Development, Methods};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::account::password::Passwords;
use crate::call::live_methods::LiveMethods;
use crate::call::methods::{self as method_table, MethodTable};
use crate::cli::output::{exit_at_second_signal, exit_failure, exit_usage};
use crate::config::{Config, Dev, Docs, LogFormat};
use crate::log::{LogThread, LogWriter};
use crate::runtime::{self, BoundListener, RuntimeError, block_on};
use crate::server::static_table;
use crate::startup::Startup;
use crate::{Server, StartError, log};

use build::application::Application;
use build::compiler::Compiler;
use build::error::ToolError;
use dev_loop::DevLoop;
use event_format::EventFormat;
use reload::Reloader;
use terminal::{DevTerminal, Palette};

/// The most that a restart waits for calls in flight, because the developer waits too.
const MAX_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The hosts that development mode accepts beside `allowed_hosts`: a page whose name resolves to this machine must not reach it.
const LOOPBACK_HOSTS: [&str; 4] = ["localhost", "*.localhost", "127.0.0.1", "[::1]"];
const MAX_SHUTDOWN_DELAY: Duration = Duration::from_millis(200);

/// How a server in development mode ended.
enum DevExit {
    Stopped,
    /// The rebuilt program is to take over this socket.
    Restart(Application, TcpListener),
}

/// Why development mode cannot start.
#[derive(Debug, Error)]
enum DevError {
    #[error(transparent)]
    Exposed(#[from] ExposedAddress),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("{0}")]
    Migrations(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// An address that other machines may reach.
#[derive(Debug, Error)]
#[error(
    "development mode shows compile errors with parts of the source to its callers, and other machines may reach {0}; add --dev_unsafe to allow that"
)]
struct ExposedAddress(IpAddr);

/// Serves and follows the files of the application, until a signal ends it.
pub(crate) fn run(methods: Methods, config: Config, options: &Dev) -> ExitCode {
    let Some(development) = methods.development else {
        return exit_usage(
            "this application is not built for development mode: add the feature `dev = [\"simpleapi-server/dev\"]` to its Cargo.toml and build with `--features dev`",
        );
    };
    if let Err(error) = check_address(config.address, options) {
        return exit_usage(&error.to_string());
    }
    let log_thread = match LogThread::start() {
        Ok(thread) => thread,
        Err(error) => return exit_failure(&RuntimeError::Threads(error).to_string()),
    };
    let writer = log_thread.writer().clone();
    let palette = Palette::for_stderr();
    let subscriber = log::subscriber(&config, writer.clone());
    match config.log_format {
        LogFormat::Json => log::install(subscriber.json().flatten_event(true).finish()),
        LogFormat::Auto | LogFormat::Pretty => {
            log::install(subscriber.event_format(EventFormat { palette }).finish());
        }
    }
    let terminal = DevTerminal::new(writer.clone(), palette);
    let config = runtime::fit_into_descriptor_limit(config);
    let exit =
        block_on(serve(methods, development, config, terminal, writer, options)).map_err(DevError::from).flatten();
    drop(log_thread);
    match exit {
        Ok(DevExit::Stopped) => ExitCode::SUCCESS,
        Ok(DevExit::Restart(application, listener)) => {
            let Err(error) = restart::exec_replacement(&application, &listener);
            exit_failure(&error.to_string())
        }
        Err(error) => exit_failure(&error.to_string()),
    }
}

/// Refuses an address that other machines may reach, unless `--dev_unsafe` allows it.
fn check_address(address: IpAddr, options: &Dev) -> Result<(), ExposedAddress> {
    if address.is_loopback() || options.dev_unsafe { Ok(()) } else { Err(ExposedAddress(address)) }
}

async fn serve(
    methods: Methods,
    development: Development,
    config: Config,
    terminal: DevTerminal,
    log: LogWriter,
    options: &Dev,
) -> Result<DevExit, DevError> {
    let started = Instant::now();
    let application = Application::new(&development)?;
    let compiler = development.reloads.then(|| {
        let application = application.clone();
        // rustc takes as long to print its version as the server takes to open its database.
        tokio::task::spawn_blocking(move || Compiler::new(&application, development.rustc))
    });
    let live = Arc::new(LiveMethods::default());
    let table = if development.reloads { MethodTable::Live(live.clone()) } else { static_table(methods)? };
    let config = Config {
        docs: if config.docs == Docs::Dev { Docs::On } else { config.docs },
        allowed_hosts: LOOPBACK_HOSTS.map(str::to_owned).into_iter().chain(config.allowed_hosts).collect(),
        shutdown_delay: config.shutdown_delay.min(MAX_SHUTDOWN_DELAY),
        drain_timeout: config.drain_timeout.min(MAX_DRAIN_TIMEOUT),
        ..config
    };
    let access_log = Arc::new(terminal.clone());
    // Those in the files may be newer than those in the program.
    let startup = Startup::from_files(&application.directory, methods.start).map_err(DevError::Migrations)?;
    let server = Server::with_methods(table, startup, config.clone(), Passwords::params(), access_log).await?;
    // The socket stays open when the server ends, for its replacement.
    let server = server.with_inherited_listener();
    let BoundListener { listener, .. } = runtime::listen(&config).await?;
    let address = listener.local_addr()?;
    check_address(address.ip(), options)?;
    let listener = listener.into_std()?;
    let restart_listener = listener.try_clone()?;

    let reloader = match compiler {
        Some(compiler) => {
            let compiler = compiler.await.map_err(io::Error::from)??;
            let package = method_table::package(&methods);
            Some(Reloader::new(&application.methods(), package, compiler, live))
        }
        None => None,
    };
    terminal.title();
    terminal.listening(address, server.accounts().store().connection().db().kind());
    if reloader.is_none() {
        terminal.note("this build cannot load methods: after each change it is rebuilt and restarted");
    }
    let migrate = migrate_files(application.directory.clone(), server.accounts().store().connection().clone());
    let dev_loop = DevLoop::new(application.clone(), reloader, terminal, started, options, migrate);
    let (sender, restart) = oneshot::channel();
    std::thread::spawn(move || dev_loop.run(sender));

    let signal = runtime::shutdown_signal(move || exit_at_second_signal(&log))?;
    let mut is_restart = false;
    let shutdown = async {
        tokio::select! {
            () = signal => {}
            // The sender is only dropped if the thread has panicked: then there will be no restart.
            () = async { if restart.await.is_err() { std::future::pending().await } } => is_restart = true,
        }
    };
    server.run(tokio::net::TcpListener::from_std(listener)?, shutdown).await;
    Ok(if is_restart { DevExit::Restart(application, restart_listener) } else { DevExit::Stopped })
}

/// Returns a function that applies the migrations in the files of an application, from a thread outside the runtime.
fn migrate_files(
    directory: PathBuf,
    connection: DatabaseHandle,
) -> Box<dyn Fn() -> Result<Vec<String>, String> + Send> {
    let runtime = tokio::runtime::Handle::current();
    Box::new(move || {
        let startup = Startup::from_files(&directory, None)?;
        runtime.block_on(startup.migrate(&connection)).map_err(|error| error.to_string())
    })
}
