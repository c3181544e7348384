//! What has been saved: waits until files have changed, and until no more do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

/// An editor writes a file in several steps: this long after the last of them it is done.
const QUIET: Duration = Duration::from_millis(20);

/// Time that a change that goes on and on is waited for.
const LONGEST: Duration = Duration::from_millis(500);

/// Where the system does not tell of changes, the files are looked at this often.
const POLL: Duration = Duration::from_millis(300);

/// What the thread that reloads waits for.
pub(super) enum WatchEvent {
    /// Something happened to files.
    Files(notify::Result<Event>),
    /// Whoever sits before the terminal has pressed Enter.
    Enter,
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Something in the folder of methods, perhaps.
    pub(super) methods: bool,
    /// Files of the server, the SDK or the application's own that are not what they were when the process started.
    pub(super) requires_restart: BTreeSet<PathBuf>,
    pub(super) enter: bool,
    /// When the first of it was heard of.
    pub(super) since: Option<Instant>,
    /// When the last of it was heard of.
    latest: Option<Instant>,
}

impl Changes {
    /// How long to wait for more; `None` if there is nothing yet, and so no end to wait for.
    fn debounce_remaining(&self) -> Option<Duration> {
        let until = (self.latest? + QUIET).min(self.since? + LONGEST);
        Some(until.saturating_duration_since(Instant::now()))
    }
}

/// Watches an application's files.
pub(super) struct Watch {
    watcher: Box<dyn Watcher + Send>,
    signals: Receiver<WatchEvent>,
    sender: Sender<WatchEvent>,
    methods: PathBuf,
    /// Files elsewhere that methods include.
    includes: BTreeSet<PathBuf>,
    /// The folders of sources of the packages.
    sources: Vec<PathBuf>,
    /// What has changed after that is not in this process.
    began: SystemTime,
    /// The content of files outside the folder of methods, as this process was built from them.
    rest: BTreeMap<PathBuf, Option<u64>>,
    /// Of those that have changed, what was told last.
    last_reported: BTreeMap<PathBuf, Option<u64>>,
}

impl Watch {
    /// Watches the folder of methods in the folder `application`. The second is a sentence if the system does not tell of changes.
    pub(super) fn new(application: &Path) -> (Self, Option<String>) {
        let began = SystemTime::now();
        let (sender, signals) = channel();
        let (watcher, warning) = match watcher(&sender, application) {
            Ok(watcher) => (watcher, None),
            Err(error) => {
                let warning =
                    format!("the system does not tell of changes ({error}), so the files are looked at every {POLL:?}");
                (poller(&sender, application), Some(warning))
            }
        };
        let methods = application.join("methods");
        let watch = Watch {
            watcher,
            signals,
            sender,
            methods,
            includes: BTreeSet::new(),
            sources: Vec::new(),
            began,
            rest: BTreeMap::new(),
            last_reported: BTreeMap::new(),
        };
        (watch, warning)
    }

    /// Watches these packages too: what they are built from is in this process, and a change of it wants another.
    pub(super) fn packages(&mut self, packages: &BTreeSet<PathBuf>) {
        self.sources = packages.iter().map(|package| package.join("src")).collect();
        for package in packages {
            // The folder itself for Cargo.toml: not with all that is below it, such as `target`.
            let _ = self.watcher.watch(package, RecursiveMode::NonRecursive);
            let _ = self.watcher.watch(&package.join("src"), RecursiveMode::Recursive);
            for file in ["Cargo.toml", "Cargo.lock", "build.rs"] {
                self.remember(&package.join(file));
            }
            let sources = walkdir::WalkDir::new(package.join("src")).into_iter().flatten();
            for source in sources.filter(|entry| entry.file_type().is_file()) {
                self.remember(source.path());
            }
        }
    }

    /// Watches files that methods include from elsewhere.
    pub(super) fn includes(&mut self, files: &BTreeSet<PathBuf>) {
        for file in files {
            // As the system tells of them: without `..`.
            let Some(folder) = file.parent().and_then(|folder| folder.canonicalize().ok()) else { continue };
            let file = folder.join(file.file_name().unwrap_or_default());
            if !folder.starts_with(&self.methods) && self.includes.insert(file) {
                let _ = self.watcher.watch(&folder, RecursiveMode::NonRecursive);
            }
        }
    }

    /// Adds what has changed since, without waiting.
    pub(super) fn take_all(&mut self, changes: &mut Changes) {
        while let Ok(signal) = self.signals.try_recv() {
            self.take(signal, changes);
        }
    }

    /// For a thread that has something to say to whoever waits.
    pub(super) fn sender(&self) -> Sender<WatchEvent> {
        self.sender.clone()
    }

    /// Waits until something has changed, if it has not in `changes`, and until no more does.
    ///
    /// A log or a database beside the methods that is written all the time is no reason to wait any longer.
    pub(super) fn next(&mut self, mut changes: Changes) -> Changes {
        while !changes.enter {
            let signal = match changes.debounce_remaining() {
                None => self.signals.recv().expect("there is a sender beside it"),
                Some(Duration::ZERO) => break,
                Some(left) => match self.signals.recv_timeout(left) {
                    Ok(signal) => signal,
                    Err(_) => break,
                },
            };
            self.take(signal, &mut changes);
        }
        if changes.methods {
            // It may have been another folder of that name until now.
            let _ = self.watcher.watch(&self.methods, RecursiveMode::Recursive);
        }
        changes
    }

    fn take(&mut self, signal: WatchEvent, changes: &mut Changes) {
        let event = match signal {
            WatchEvent::Files(Ok(event)) => event,
            // What was lost may have been anything.
            WatchEvent::Files(Err(_)) => Event::new(EventKind::Any).set_flag(notify::event::Flag::Rescan),
            WatchEvent::Enter => {
                changes.enter = true;
                return;
            }
        };
        let is_read = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        if is_read {
            return;
        }
        let mut is_ours = event.need_rescan();
        changes.methods |= is_ours;
        let lost: Vec<PathBuf> = if is_ours { self.rest.keys().cloned().collect() } else { Vec::new() };
        for path in event.paths.iter().chain(&lost) {
            if path.starts_with(&self.methods) || self.includes.contains(path) {
                changes.methods = true;
                is_ours = true;
            } else if self.is_of_rest(path) {
                is_ours = true;
                let (built, now) = (self.rest.get(path).copied().flatten(), content(path));
                if now != self.last_reported.insert(path.clone(), now).unwrap_or(built) && now != built {
                    changes.requires_restart.insert(path.clone());
                }
            }
        }
        if is_ours {
            let now = Instant::now();
            changes.since.get_or_insert(now);
            changes.latest = Some(now);
        }
    }

    /// Whether a file has a part in the build: it was there from the first, or it is a source that has come.
    fn is_of_rest(&self, path: &Path) -> bool {
        let is_source = path.extension().is_some_and(|ending| ending == "rs");
        self.rest.contains_key(path) || (is_source && self.sources.iter().any(|folder| path.starts_with(folder)))
    }

    fn remember(&mut self, file: &Path) {
        let is_later = fs::metadata(file).is_ok_and(|metadata| changed(&metadata) > self.began);
        self.rest.insert(file.to_owned(), if is_later { None } else { content(file) });
        if is_later {
            let event = Event::new(EventKind::Any).add_path(file.to_owned());
            let _ = self.sender.send(WatchEvent::Files(Ok(event)));
        }
    }
}

/// When a file was last written, moved or replaced.
fn changed(metadata: &fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(metadata.ctime().try_into().unwrap_or_default());
    UNIX_EPOCH + seconds + Duration::from_nanos(metadata.ctime_nsec().try_into().unwrap_or_default())
}

fn content(file: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

fn handler(sender: &Sender<WatchEvent>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let sender = sender.clone();
    move |event| {
        // Nobody listens any more when the server ends.
        let _ = sender.send(WatchEvent::Files(event));
    }
}

fn watcher(sender: &Sender<WatchEvent>, application: &Path) -> notify::Result<Box<dyn Watcher + Send>> {
    let mut watcher = RecommendedWatcher::new(handler(sender), Config::default())?;
    begin(&mut watcher, application)?;
    Ok(Box::new(watcher))
}

fn poller(sender: &Sender<WatchEvent>, application: &Path) -> Box<dyn Watcher + Send> {
    let config = Config::default().with_poll_interval(POLL).with_compare_contents(true);
    let mut watcher = PollWatcher::new(handler(sender), config).expect("a thread can be started");
    let _ = begin(&mut watcher, application);
    Box::new(watcher)
}

/// The folder of methods, and the one above, in which it may come and go.
fn begin(watcher: &mut dyn Watcher, application: &Path) -> notify::Result<()> {
    watcher.watch(application, RecursiveMode::NonRecursive)?;
    let methods = application.join("methods");
    if methods.is_dir() { watcher.watch(&methods, RecursiveMode::Recursive) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_part_in_the_build_does_not_put_off_what_has() {
        let application = tempfile::tempdir().expect("a folder can be made");
        let (mut watch, _) = Watch::new(application.path());
        let written =
            |file: &str| WatchEvent::Files(Ok(Event::new(EventKind::Any).add_path(application.path().join(file))));
        let mut changes = Changes::default();
        watch.take(written("simpleapi.db-wal"), &mut changes);
        assert!(changes.debounce_remaining().is_none() && !changes.methods, "{changes:?}");
        watch.take(written("methods/account/login.rs"), &mut changes);
        let first = changes.latest;
        assert!(first.is_some() && changes.methods, "{changes:?}");
        watch.take(written("log"), &mut changes);
        assert_eq!(changes.latest, first);
        watch.take(written("methods/account/login.rs"), &mut changes);
        assert!(changes.latest > first && changes.since == first, "{changes:?}");
    }
}
