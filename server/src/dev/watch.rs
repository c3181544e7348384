//! Changes of files: waits for the first, and until they have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use method_build::MIGRATIONS_FOLDER;
use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, NullWatcher, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

/// The time without a change after which changes have ended: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(10);

/// The most time from the first change, after which changes that continue are not waited for.
const MAX_DEBOUNCE: Duration = Duration::from_millis(500);

/// The interval of polling where the system cannot watch files.
const POLL: Duration = Duration::from_millis(300);

/// The interval at which the folder of methods is compared with its last known state, in case that the system does not report a change.
const CHECK: Duration = Duration::from_secs(1);

/// An event for the thread that reloads.
pub(super) enum WatchEvent {
    /// A change of files, or an error of the watcher.
    Files(notify::Result<Event>),
    /// The developer has pressed Enter.
    Enter,
}

/// The changes since the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The folder of methods may have changed.
    pub(super) methods: bool,
    /// The folder of migrations may have changed.
    pub(super) migrations: bool,
    /// Files of the server, the SDK or the application that differ from those that this process was built from.
    pub(super) requires_restart: BTreeSet<PathBuf>,
    pub(super) enter: bool,
    /// The time of the first change.
    pub(super) since: Option<Instant>,
    /// The time of the last change.
    latest: Option<Instant>,
    /// Why files are polled from now on.
    pub(super) polling: Option<PollReason>,
}

/// Why files are polled.
#[derive(Debug, Error)]
pub(super) enum PollReason {
    #[error("cannot watch files ({0}): polling them every {POLL:?}")]
    Failed(notify::Error),
    #[error(
        "files in methods/ have changed, but the system has not reported it, as on network drives and shared folders: polling them every {POLL:?} (from the start with --dev_poll)"
    )]
    NotReported,
}

impl Changes {
    /// Returns how long to wait for more changes, or `None` if there are none yet.
    fn debounce_remaining(&self) -> Option<Duration> {
        let until = (self.latest? + QUIET).min(self.since? + MAX_DEBOUNCE);
        Some(until.saturating_duration_since(Instant::now()))
    }
}

/// Watches an application's files.
pub(super) struct Watch {
    watcher: Box<dyn Watcher + Send>,
    is_polling: bool,
    /// The other files and folders that are watched.
    watched: BTreeMap<PathBuf, RecursiveMode>,
    /// The versions of the files in the folder of methods, if the system reports changes.
    last_seen: FileVersions,
    events: Receiver<WatchEvent>,
    sender: Sender<WatchEvent>,
    methods: PathBuf,
    migrations: PathBuf,
    /// Files elsewhere that methods include.
    includes: BTreeSet<PathBuf>,
    /// The `src` folders of the packages.
    sources: Vec<PathBuf>,
    /// Files that were changed later are not in this process.
    started: SystemTime,
    /// The hashes of files outside the folder of methods, as this process was built from them; `None` for one that was changed since.
    built_from: BTreeMap<PathBuf, Option<u64>>,
    /// The hashes of those that have changed, as they were last reported.
    last_reported: BTreeMap<PathBuf, Option<u64>>,
}

impl Watch {
    /// Watches the folder of methods in the folder `application`, by polling if `is_polling`. The second value says why it polls unasked.
    pub(super) fn new(application: &Path, is_polling: bool) -> (Self, Option<PollReason>) {
        let started = SystemTime::now();
        let (sender, events) = channel();
        let methods = application.join("methods");
        let mut watch = Watch {
            watcher: Box::new(NullWatcher),
            is_polling,
            // The folder in which that of methods may be created and removed.
            watched: BTreeMap::from([(application.to_owned(), RecursiveMode::NonRecursive)]),
            last_seen: FileVersions::new(),
            events,
            sender,
            methods,
            migrations: application.join(MIGRATIONS_FOLDER),
            includes: BTreeSet::new(),
            sources: Vec::new(),
            started,
            built_from: BTreeMap::new(),
            last_reported: BTreeMap::new(),
        };
        let failure = if is_polling { None } else { watch.watch_reported().err() };
        if is_polling || failure.is_some() {
            watch.poll();
        }
        watch.last_seen = file_versions(&watch.methods);
        (watch, failure.map(PollReason::Failed))
    }

    /// Has the system report changes.
    fn watch_reported(&mut self) -> notify::Result<()> {
        self.watcher = Box::new(RecommendedWatcher::new(handler(&self.sender), Config::default())?);
        self.watch_again()?;
        self.watch_methods()
    }

    /// Looks for changes repeatedly from now on.
    fn poll(&mut self) {
        let config = Config::default().with_poll_interval(POLL).with_compare_contents(true);
        let poller = PollWatcher::new(handler(&self.sender), config).expect("a thread can be started");
        self.watcher = Box::new(poller);
        self.is_polling = true;
        let _ = self.watch_again();
        let _ = self.watch_methods();
    }

    fn watch_again(&mut self) -> notify::Result<()> {
        self.watched.iter().try_for_each(|(path, mode)| self.watcher.watch(path, *mode))
    }

    fn watch_methods(&mut self) -> notify::Result<()> {
        // The folder may have been replaced.
        let mut folders = [&self.methods, &self.migrations].into_iter().filter(|folder| folder.is_dir());
        folders.try_for_each(|folder| self.watcher.watch(folder, RecursiveMode::Recursive))
    }

    /// Watches another file or folder, if it exists and is not watched yet.
    fn watch(&mut self, path: &Path, mode: RecursiveMode) {
        if self.watched.insert(path.to_owned(), mode).is_none()
            && let Err(error) = self.watcher.watch(path, mode)
        {
            // As if the system had reported it: `apply` polls if there are too many files.
            let _ = self.sender.send(WatchEvent::Files(Err(error)));
        }
    }

    /// Polls from now on: the next change of `changes` is the first that is found in this way.
    fn fall_back(&mut self, reason: PollReason, changes: &mut Changes) {
        if !self.is_polling {
            self.poll();
            changes.polling = Some(reason);
            self.apply(WatchEvent::Files(Ok(rescan())), changes);
        }
    }

    /// Also watches these packages and these files of Cargo's configuration: this process was built from them, and a change requires a
    /// restart. A file need not exist.
    pub(super) fn watch_packages(&mut self, packages: &BTreeSet<PathBuf>, configuration: &[PathBuf]) {
        for file in configuration {
            let folder = file.parent().unwrap_or(file);
            if file.exists() || packages.iter().any(|package| folder.starts_with(package)) {
                if folder.is_dir() {
                    self.watch(folder, RecursiveMode::NonRecursive);
                }
                self.track(file);
            }
        }
        // The function `start` is part of this process.
        self.track(&self.methods.join("_start.rs"));
        self.sources = packages.iter().map(|package| package.join("src")).collect();
        for package in packages {
            // The folder itself for Cargo.toml, without the folders in it, such as `target`.
            self.watch(package, RecursiveMode::NonRecursive);
            self.watch(&package.join("src"), RecursiveMode::Recursive);
            for file in ["Cargo.toml", "Cargo.lock", "build.rs"] {
                self.track(&package.join(file));
            }
            let sources = walkdir::WalkDir::new(package.join("src")).into_iter().flatten();
            for source in sources.filter(|entry| entry.file_type().is_file()) {
                self.track(source.path());
            }
        }
    }

    /// Also watches files that methods include from other folders.
    pub(super) fn watch_includes(&mut self, files: &BTreeSet<PathBuf>) {
        for file in files {
            // As in the system's events: without `..`.
            let Some(folder) = file.parent().and_then(|folder| folder.canonicalize().ok()) else { continue };
            let file = folder.join(file.file_name().unwrap_or_default());
            if !folder.starts_with(&self.methods) && self.includes.insert(file) {
                self.watch(&folder, RecursiveMode::NonRecursive);
            }
        }
    }

    /// Adds the pending changes, without waiting.
    pub(super) fn drain(&mut self, changes: &mut Changes) {
        while let Ok(event) = self.events.try_recv() {
            self.apply(event, changes);
        }
    }

    /// Returns a sender of events to this watch.
    pub(super) fn sender(&self) -> Sender<WatchEvent> {
        self.sender.clone()
    }

    /// Waits for the first change, if `changes` is empty, and until changes have ended.
    ///
    /// Files that have no part in the build, such as a log or a database, do not prolong the wait.
    pub(super) fn next(&mut self, mut changes: Changes) -> Changes {
        while !changes.enter {
            let event = match changes.debounce_remaining() {
                None => match self.events.recv_timeout(CHECK) {
                    Ok(event) => event,
                    Err(_) => {
                        self.check(&mut changes);
                        continue;
                    }
                },
                Some(Duration::ZERO) => break,
                Some(left) => match self.events.recv_timeout(left) {
                    Ok(event) => event,
                    Err(_) => break,
                },
            };
            self.apply(event, &mut changes);
        }
        if changes.methods || changes.migrations {
            if let Err(error) = self.watch_methods()
                && is_limit(&error)
            {
                self.fall_back(PollReason::Failed(error), &mut changes);
            }
            if !self.is_polling {
                self.last_seen = file_versions(&self.methods);
            }
        }
        changes
    }

    /// Polls from now on if a method has changed and the system does not report it.
    fn check(&mut self, changes: &mut Changes) {
        if self.is_polling || file_versions(&self.methods) == self.last_seen {
            return;
        }
        // The report may be on its way. Meanwhile there are events of reading, that of this comparison among them.
        let until = Instant::now() + CHECK;
        while changes.latest.is_none() && !changes.enter {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => self.apply(event, changes),
                Err(_) => return self.fall_back(PollReason::NotReported, changes),
            }
        }
    }

    fn apply(&mut self, event: WatchEvent, changes: &mut Changes) {
        let event = match event {
            WatchEvent::Files(Ok(event)) => event,
            // Another folder cannot be watched.
            WatchEvent::Files(Err(error)) if is_limit(&error) => {
                return self.fall_back(PollReason::Failed(error), changes);
            }
            WatchEvent::Files(Err(error)) if matches!(error.kind, notify::ErrorKind::PathNotFound) => return,
            // Events were lost: any file may have changed.
            WatchEvent::Files(Err(_)) => rescan(),
            WatchEvent::Enter => {
                changes.enter = true;
                return;
            }
        };
        let is_read = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        if is_read {
            return;
        }
        let mut is_relevant = event.need_rescan();
        changes.methods |= is_relevant;
        changes.migrations |= is_relevant;
        let lost: Vec<PathBuf> = if is_relevant { self.built_from.keys().cloned().collect() } else { Vec::new() };
        for path in event.paths.iter().chain(&lost) {
            if path.starts_with(&self.migrations) {
                changes.migrations = true;
                is_relevant = true;
            }
            if path.starts_with(&self.methods) || self.includes.contains(path) {
                changes.methods = true;
                is_relevant = true;
            }
            if self.requires_restart(path) {
                is_relevant = true;
                let (built, current) = (self.built_from.get(path).copied().flatten(), content_hash(path));
                let reported = self.last_reported.insert(path.clone(), current).unwrap_or(built);
                if current != reported && current != built {
                    changes.requires_restart.insert(path.clone());
                }
            }
        }
        if is_relevant {
            let now = Instant::now();
            changes.since.get_or_insert(now);
            changes.latest = Some(now);
        }
    }

    /// Returns `true` if this process was built from the file, or if it is a source of one of the packages.
    fn requires_restart(&self, path: &Path) -> bool {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        self.built_from.contains_key(path) || (is_source && self.sources.iter().any(|folder| path.starts_with(folder)))
    }

    fn track(&mut self, file: &Path) {
        let is_later = fs::metadata(file).is_ok_and(|metadata| change_time(&metadata) > self.started);
        self.built_from.insert(file.to_owned(), if is_later { None } else { content_hash(file) });
        if is_later {
            let event = Event::new(EventKind::Any).add_path(file.to_owned());
            let _ = self.sender.send(WatchEvent::Files(Ok(event)));
        }
    }
}

/// Returns when a file was last written, moved or replaced.
fn change_time(metadata: &fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(metadata.ctime().try_into().unwrap_or_default());
    UNIX_EPOCH + seconds + Duration::from_nanos(metadata.ctime_nsec().try_into().unwrap_or_default())
}

fn content_hash(file: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

fn handler(sender: &Sender<WatchEvent>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let sender = sender.clone();
    move |event| {
        // Fails when the server ends.
        let _ = sender.send(WatchEvent::Files(event));
    }
}

/// Returns `true` if the system watches no further folder.
fn is_limit(error: &notify::Error) -> bool {
    matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
}

fn rescan() -> Event {
    Event::new(EventKind::Any).set_flag(notify::event::Flag::Rescan)
}

/// Files with the times of their last changes.
type FileVersions = BTreeMap<PathBuf, SystemTime>;

fn file_versions(folder: &Path) -> FileVersions {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    entries.filter_map(|entry| Some((entry.path().to_owned(), change_time(&entry.metadata().ok()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_the_build_do_not_prolong_the_wait() {
        let application = tempfile::tempdir().expect("a temporary folder can be created");
        let (mut watch, _) = Watch::new(application.path(), false);
        let written =
            |file: &str| WatchEvent::Files(Ok(Event::new(EventKind::Any).add_path(application.path().join(file))));
        let mut changes = Changes::default();
        watch.apply(written("simpleapi.db-wal"), &mut changes);
        assert!(changes.debounce_remaining().is_none() && !changes.methods, "{changes:?}");
        watch.apply(written("methods/account/login.rs"), &mut changes);
        let first = changes.latest;
        assert!(first.is_some() && changes.methods, "{changes:?}");
        watch.apply(written("log"), &mut changes);
        assert_eq!(changes.latest, first);
        watch.apply(written("methods/account/login.rs"), &mut changes);
        assert!(changes.latest > first && changes.since == first, "{changes:?}");
    }
}
