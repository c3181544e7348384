//! The loop of development mode: waits for changes, reloads methods, and prepares restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use method_build::{LOCK_FILE, Problem};
use tokio::sync::oneshot;

use super::build::application::Application;
use super::reload::Reloader;
use super::restart;
use super::sdk::FileStamp;
use super::terminal::DevTerminal;
use super::watch::{Changes, Watch};
use crate::call::live_methods::LiveMethods;
use crate::cli::formatting;
use crate::config::Dev;

/// The interval at which a long build is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Follows the files of an application, on a thread of its own.
pub(super) struct DevLoop {
    application: Application,
    /// `None` if methods are built into the program: every change requires a restart.
    reloader: Option<Reloader>,
    watch: Watch,
    terminal: DevTerminal,
    /// Asks for a report of the files that are not formatted.
    formatting: Option<Sender<()>>,
    /// Asks for a report of the changes that break callers.
    contract: Option<Sender<()>>,
    started: Instant,
    /// All methods have been built once.
    is_ready: bool,
    /// Restarts without asking.
    restarts_automatically: bool,
    /// Applies the migrations in the files, and returns those that were new.
    migrate: Box<dyn Fn() -> Result<Vec<String>, String> + Send>,
    /// A restart has been proposed.
    is_restart_pending: bool,
    /// Standard input is watched.
    watches_stdin: bool,
}

impl DevLoop {
    pub(super) fn new(
        application: Application,
        reloader: Option<Reloader>,
        terminal: DevTerminal,
        started: Instant,
        options: &Dev,
        migrate: Box<dyn Fn() -> Result<Vec<String>, String> + Send>,
    ) -> Self {
        // The watch begins before the first reload, which reads the files: so no change is missed.
        let (watch, reason) = Watch::new(&application.directory, options.dev_poll);
        if let Some(reason) = reason {
            terminal.note(&reason.to_string());
        }
        DevLoop {
            application,
            reloader,
            watch,
            terminal,
            formatting: None,
            contract: None,
            started,
            is_ready: false,
            restarts_automatically: options.dev_restart,
            migrate,
            is_restart_pending: false,
            watches_stdin: false,
        }
    }

    /// Reloads methods after each change, until a new program has been built, which `restart` receives.
    pub(super) fn run(mut self, restart: oneshot::Sender<()>) {
        let mut later = self.reload(self.started);
        self.watch_packages();
        loop {
            let changes = self.watch.next(later);
            if let Some(reason) = &changes.polling {
                self.terminal.note(&reason.to_string());
            }
            if changes.migrations {
                self.migrate();
            }
            later = match changes.since {
                Some(since) if changes.methods => self.reload(since),
                _ => Changes::default(),
            };
            if !self.begins_restart(&changes) {
                continue;
            }
            let rebuilt = restart::rebuild(&self.application);
            // The build may have read these files before they were saved.
            self.watch.drain(&mut later);
            match rebuilt {
                Ok(()) if !self.requires_restart(&later) => {
                    // Fails if the server has ended meanwhile.
                    let _ = restart.send(());
                    return;
                }
                Ok(()) => {}
                Err(error) => self.terminal.error(&format!("{error}; the running server is unchanged")),
            }
        }
    }

    /// Reloads the methods that have changed, the first of them at `since`, and returns the changes meanwhile.
    fn reload(&mut self, since: Instant) -> Changes {
        let mut later = Changes::default();
        let Some(reloader) = &mut self.reloader else { return later };
        let (watch, terminal) = (&mut self.watch, &self.terminal);
        let mut last_progress = Instant::now();
        let result = reloader.reload(|built, total| {
            if last_progress.elapsed() >= PROGRESS_INTERVAL {
                last_progress = Instant::now();
                terminal.note(&format!("{built} of {total} methods compiled"));
            }
            watch.drain(&mut later);
            later.methods
        });
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                terminal.error(&error.to_string());
                return later;
            }
        };
        watch.watch_includes(&report.includes);
        if self.is_ready {
            terminal.reloaded(&report, since.elapsed());
        }
        for reports in [&self.formatting, &self.contract].into_iter().flatten() {
            // Fails if the thread has panicked: then there are no more reports.
            let _ = reports.send(());
        }
        if self.is_ready {
            return later;
        }
        self.is_ready = report.is_complete;
        if self.is_ready {
            terminal.ready(&reloader.methods(), self.started.elapsed());
        }
        terminal.failures(&report);
        terminal.warnings(&report);
        later
    }

    /// Applies migrations that were saved.
    fn migrate(&self) {
        match (self.migrate)() {
            Ok(applied) => applied.iter().for_each(|file| self.terminal.note(&format!("applied {file}"))),
            Err(error) => self.terminal.error(&format!("error: {error}")),
        }
    }

    /// Watches the packages that the program is built from. Cargo may take a moment to list them, and only this waits for it.
    fn watch_packages(&mut self) {
        let flags = match &self.reloader {
            Some(reloader) => reloader.compiler().flags(),
            None => self.application.flags().map(Arc::new),
        };
        if let Some(reloader) = &self.reloader {
            let (lock, terminal) = (self.application.directory.join(LOCK_FILE), self.terminal.clone());
            self.contract = Some(report_contract(lock, reloader.live().clone(), terminal));
        }
        let mut configuration = self.application.cargo_configuration();
        let packages = match flags {
            Ok(flags) => {
                let (directory, terminal) = (self.application.directory.clone(), self.terminal.clone());
                self.formatting = Some(report_formatting(directory, flags.edition().to_owned(), terminal));
                configuration.extend(["Cargo.toml", "Cargo.lock"].map(|file| flags.workspace.join(file)));
                flags.packages.clone()
            }
            Err(error) => {
                self.terminal.error(&error.to_string());
                [self.application.directory.clone()].into()
            }
        };
        self.watch.watch_packages(&packages, &configuration);
    }

    /// Returns `true` if these changes cannot be loaded into this process.
    fn requires_restart(&self, changes: &Changes) -> bool {
        !changes.requires_restart.is_empty() || (changes.methods && self.reloader.is_none())
    }

    /// Returns `true` if a restart is to be prepared now. Otherwise proposes it, if these changes require one.
    fn begins_restart(&mut self, changes: &Changes) -> bool {
        if self.reloader.is_none() {
            return self.requires_restart(changes);
        }
        if let Some(file) = changes.requires_restart.first() {
            self.is_restart_pending = true;
            if self.restarts_automatically {
                self.terminal.note(&format!("{} changed: rebuilding, then restarting", self.relative(file)));
                return true;
            }
            self.terminal.note(&format!(
                "{} changed, and cannot be loaded into a running server: restart it, or press Enter to rebuild and restart (automatic with --dev_restart)",
                self.relative(file)
            ));
            if !self.watches_stdin {
                self.watches_stdin = true;
                restart::watch_stdin(self.watch.sender());
            }
        }
        self.is_restart_pending && changes.enter
    }

    fn relative(&self, file: &Path) -> String {
        file.strip_prefix(&self.application.directory).unwrap_or(file).display().to_string()
    }
}

/// Starts a thread that calls `report` now and after each message, once for all messages in the meantime.
fn reporter(mut report: impl FnMut() + Send + 'static) -> Sender<()> {
    let (sender, reloads) = channel();
    thread::spawn(move || {
        loop {
            report();
            if reloads.recv().is_err() {
                return;
            }
            while reloads.try_recv().is_ok() {}
        }
    });
    sender
}

/// Starts a thread that reports the changes that break callers, once for the same changes.
fn report_contract(lock: PathBuf, live: Arc<LiveMethods>, terminal: DevTerminal) -> Sender<()> {
    let mut last = String::new();
    reporter(move || {
        // Without a lock there is nothing to compare with. `server contract check` has the error of one that cannot be read.
        let old = std::fs::read_to_string(&lock).ok();
        let changes = old.and_then(|old| live.contract()?.breaking_changes(&old).ok()).unwrap_or_default();
        let text = Problem::lines(&changes);
        if !text.is_empty() && text != last {
            terminal.note(&format!("{text}\nthis breaks callers; `server contract accept` accepts it"));
        }
        last = text;
    })
}

/// Starts a thread that reports the method files that are not formatted, once for the same files. It checks the files that have changed
/// since: rustfmt takes a millisecond for a file.
fn report_formatting(directory: PathBuf, edition: String, terminal: DevTerminal) -> Sender<()> {
    let (mut checked, mut unformatted, mut last) = (BTreeMap::new(), BTreeSet::new(), None);
    reporter(move || {
        let files = formatting::method_files(&directory).into_iter();
        let files: BTreeMap<_, _> = files.map(|file| (file.clone(), FileStamp::of(&file))).collect();
        let is_current = |file: &PathBuf| checked.get(file) == files.get(file);
        let changed = files.keys().filter(|file| !is_current(file));
        if let Some(found) = formatting::unformatted(changed, &directory, &edition) {
            unformatted.retain(|file| files.contains_key(file) && is_current(file));
            unformatted.extend(found);
            checked = files;
        }
        let warning = formatting::warning(&unformatted, &directory, &edition);
        if let Some(text) = warning.as_ref().filter(|_| warning != last) {
            terminal.note(text);
        }
        last = warning;
    })
}
