//! Development mode: a method whose file is saved is live at once, in the server that runs, with its sessions and calls.
//!
//! In the order in which a saved file passes them:
//!
//! | file | |
//! |---|---|
//! | `watch.rs` | what has been saved |
//! | `reload.rs` | which methods that changes |
//! | `batch.rs` | which of them are made together, and when |
//! | `compile.rs`, `incremental.rs`, `link.rs`, `diagnostics.rs` | rustc, what it knows from before, its linker, and what it says |
//! | `kept.rs` | what need not be compiled at the next start |
//! | `load.rs` | a library into this process, for good |
//! | `live.rs` | the methods, as calls find them |
//! | `terminal.rs` | what the developer sees |
//!
//! `cargo.rs` knows how the application is built, `sdk.rs` which shared library the process and its methods have in common, and
//! `restart.rs` what to do about a change that cannot be loaded.

mod build;
mod event_format;
mod load;
mod reload;
mod restart;
mod terminal;
mod watch;

use std::net::{IpAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use method_sdk::{Development, Methods};
use tokio::sync::oneshot;

use crate::account::password::Passwords;
use crate::call::live_methods::LiveMethods;
use crate::call::methods::MethodTable;
use crate::config::{Config, Dev, LogFormat};
use crate::runtime::{self, BoundListener, block_on, exit_failure, exit_usage};
use crate::server::static_table;
use crate::{Server, log};

use build::application::Application;
use build::compiler::Compiler;
use reload::Reloader;
use watch::{Changes, Watch};

use event_format::EventFormat;
use terminal::{DevTerminal, Palette};

/// A restart waits for calls in flight no longer than this: whoever develops waits too.
const LONGEST_DRAIN: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_millis(200);

/// Where something takes long, it is told this often how far it has come.
const PROGRESS: Duration = Duration::from_secs(2);

/// How a server in development mode ends.
enum DevExit {
    Stopped,
    /// Another program is to take its place on this socket.
    Restart(Application, TcpListener),
}

/// Serves, and follows what is saved, until it is told to stop.
pub(crate) fn run(methods: Methods, config: Config, options: &Dev) -> ExitCode {
    let Some(development) = methods.development else {
        return exit_usage(
            "this application is not built for development mode: its Cargo.toml needs the feature `dev = [\"simpleapi-server/dev\"]`, to be built with `--features dev`",
        );
    };
    if let Err(problem) = refuse_strangers(config.address, options) {
        return exit_usage(&problem);
    }
    let (writer, guard) = log::stderr_writer();
    let palette = Palette::for_stderr();
    let subscriber = log::subscriber(&config, writer.clone());
    match config.log_format {
        LogFormat::Json => log::install(subscriber.json().flatten_event(true).finish()),
        LogFormat::Auto | LogFormat::Pretty => {
            log::install(subscriber.event_format(EventFormat { palette }).finish());
        }
    }
    let terminal = DevTerminal::new(writer, palette);
    runtime::raise_descriptor_limit();
    let end = block_on(serve(methods, development, config, terminal, options));
    drop(guard);
    match end {
        Ok(DevExit::Stopped) => ExitCode::SUCCESS,
        Ok(DevExit::Restart(application, listener)) => {
            let Err(problem) = restart::exec_replacement(&application, &listener);
            exit_failure(&problem)
        }
        Err(problem) => exit_failure(&problem),
    }
}

/// Whoever can call a server in development mode is shown parts of its source when it does not compile.
fn refuse_strangers(address: IpAddr, options: &Dev) -> Result<(), String> {
    if address.is_loopback() || options.dev_unsafe {
        return Ok(());
    }
    Err(format!(
        "development mode shows its callers what does not compile, and {address} is not of this machine alone; if that is meant, say --dev_unsafe too"
    ))
}

async fn serve(
    methods: Methods,
    development: Development,
    config: Config,
    terminal: DevTerminal,
    options: &Dev,
) -> Result<DevExit, String> {
    let started = Instant::now();
    let application = Application::new(&development)?;
    let compiler = development.reloads.then(|| {
        let application = application.clone();
        // It takes rustc as long to say its version as it takes the server to open its database.
        tokio::task::spawn_blocking(move || Compiler::new(&application))
    });
    let live = Arc::new(LiveMethods::default());
    let table = if development.reloads {
        MethodTable::Live(live.clone())
    } else {
        static_table(methods).map_err(|error| error.to_string())?
    };
    let config = Config {
        shutdown_delay: config.shutdown_delay.min(LONGEST_DELAY),
        drain_timeout: config.drain_timeout.min(LONGEST_DRAIN),
        ..config
    };
    let server = Server::with_methods(table, config.clone(), Passwords::params(), Arc::new(terminal.clone()))
        .await
        .map_err(|error| error.to_string())?;
    // The socket stays open when the server ends, for the one that takes its place.
    let server = server.with_inherited_listener();
    let BoundListener { listener, .. } = runtime::listen(&config).await?;
    let system = |error: std::io::Error| error.to_string();
    let address = listener.local_addr().map_err(system)?;
    refuse_strangers(address.ip(), options)?;
    let listener = listener.into_std().map_err(system)?;
    let kept = listener.try_clone().map_err(system)?;

    let reloader = match compiler {
        Some(compiler) => {
            let compiler = compiler.await.map_err(|error| error.to_string())??;
            Some(Reloader::new(&application.methods(), compiler, live))
        }
        None => None,
    };
    terminal.title();
    terminal.listening(address, server.dispatcher().accounts.store().connection().db().kind());
    if reloader.is_none() {
        terminal.note(
            "here methods cannot be loaded while the server runs: what is saved is built, and the server restarted",
        );
    }
    // Before the first look at the files, so that nothing is missed in between.
    let (watch, warning) = Watch::new(&application.directory);
    if let Some(warning) = warning {
        terminal.note(&warning);
    }
    let follower = DevLoop {
        application: application.clone(),
        reloader,
        watch,
        terminal,
        started,
        is_ready: false,
        restarts: options.dev_restart,
        wants_restart: false,
        listens: false,
    };
    let (told, restart) = oneshot::channel();
    std::thread::spawn(move || follower.follow(told));

    let stop = runtime::shutdown_signal().map_err(system)?;
    let mut is_restart = false;
    let shutdown = async {
        tokio::select! {
            () = stop => {}
            // The sender is dropped only if the thread has panicked; then there is no restart to wait for.
            () = async { if restart.await.is_err() { std::future::pending().await } } => is_restart = true,
        }
    };
    let listener = tokio::net::TcpListener::from_std(listener).map_err(system)?;
    server.run(listener, shutdown).await;
    Ok(if is_restart { DevExit::Restart(application, kept) } else { DevExit::Stopped })
}

/// What follows the files.
struct DevLoop {
    application: Application,
    /// None where methods are built in and any change wants a restart.
    reloader: Option<Reloader>,
    watch: Watch,
    terminal: DevTerminal,
    started: Instant,
    /// Whether all methods have been looked at once.
    is_ready: bool,
    /// Restarts without being asked.
    restarts: bool,
    /// Something has changed that is not in this process.
    wants_restart: bool,
    /// Whether standard input is listened to.
    listens: bool,
}

impl DevLoop {
    /// Brings what is served in step with the files, again and again, until a restart has been prepared, which it tells.
    fn follow(mut self, told: oneshot::Sender<()>) {
        let mut changes = self.load(self.started);
        self.watch_packages();
        loop {
            let now = self.watch.next(changes);
            changes = match now.since {
                Some(since) if now.methods => self.load(since),
                _ => Changes::default(),
            };
            if self.is_to_restart(&now) {
                let built = restart::rebuild(&self.application);
                // What was saved while it was built may have come too late for it.
                self.watch.take_all(&mut changes);
                match built {
                    Ok(()) if !self.wants_build(&changes) => {
                        let _ = told.send(());
                        return;
                    }
                    Ok(()) => {}
                    Err(problem) => self.terminal.error(&format!("{problem}; the server goes on as it is")),
                }
            }
        }
    }

    /// Loads the methods that have changed, of which was heard first at `since`, and returns what has changed meanwhile.
    fn load(&mut self, since: Instant) -> Changes {
        let mut later = Changes::default();
        let Some(reloader) = &mut self.reloader else { return later };
        let (watch, terminal) = (&mut self.watch, &self.terminal);
        let mut told = Instant::now();
        let report = reloader.reload(|done, of| {
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                terminal.note(&format!("{done} of {of} methods compiled"));
            }
            watch.take_all(&mut later);
            later.methods
        });
        if let Ok(report) = &report {
            watch.includes(&report.includes);
        }
        match report {
            Ok(report) if self.is_ready => terminal.reloaded(&report, since.elapsed()),
            Ok(report) => {
                self.is_ready = report.is_whole;
                if self.is_ready {
                    terminal.ready(&reloader.methods(), self.started.elapsed());
                }
                terminal.failures(&report);
            }
            Err(problem) => terminal.error(&problem),
        }
        later
    }

    /// Cargo's answer may take a moment, and is wanted for this only here.
    fn watch_packages(&mut self) {
        let flags = match &self.reloader {
            Some(reloader) => reloader.compiler().flags(),
            None => self.application.flags().map(Arc::new),
        };
        let packages = match flags {
            Ok(flags) => flags.packages.clone(),
            Err(problem) => {
                self.terminal.error(&problem);
                [self.application.directory.clone()].into()
            }
        };
        self.watch.packages(&packages);
    }

    /// Whether these are changes that only another program can hold.
    fn wants_build(&self, changes: &Changes) -> bool {
        !changes.requires_restart.is_empty() || (changes.methods && self.reloader.is_none())
    }

    /// Whether the time has come; says so if it has not.
    fn is_to_restart(&mut self, changes: &Changes) -> bool {
        if self.reloader.is_none() {
            return self.wants_build(changes);
        }
        if let Some(file) = changes.requires_restart.first() {
            self.wants_restart = true;
            let file = file.strip_prefix(&self.application.directory).unwrap_or(file).display();
            if self.restarts {
                self.terminal.note(&format!("{file} has changed: building, and then restarting"));
                return true;
            }
            self.terminal.note(&format!(
                "{file} has changed, and cannot be loaded into a server that runs: restart it, or press Enter to have it built and restarted (--dev_restart does so by itself)"
            ));
            if !self.listens {
                self.listens = true;
                restart::listen_for_enter(self.watch.sender());
            }
        }
        self.wants_restart && changes.enter
    }
}
