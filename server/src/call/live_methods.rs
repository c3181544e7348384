//! The methods as they are resolved in development mode: replaced while calls go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use method_sdk::{Error, Method, Result, code};
use tokio::sync::watch;

use crate::call::codec;
use crate::call::methods::ResolvedMethod;

/// All methods by name. A call finds its method here once, and runs it to its end, whatever takes its place meanwhile.
#[derive(Default)]
pub(crate) struct LiveMethods {
    entries: RwLock<BTreeMap<String, Entry>>,
    /// Whether it is known by now which methods there are.
    is_known: AtomicBool,
    /// Signals each change to the calls that wait for one.
    changed: watch::Sender<()>,
}

enum Entry {
    /// What its file says.
    Current(&'static Method),
    /// What its file said when it last compiled.
    Stale(&'static Method),
    /// It has never compiled: rustc's words.
    Broken(String),
    /// It is being compiled for the first time, or will be soon.
    Pending {
        /// A call waits for it.
        is_asked: AtomicBool,
    },
}

impl LiveMethods {
    /// The method of this name; waits for one that is being compiled for the first time, and for the first look at the files.
    ///
    /// # Errors
    /// 1001: there is none. 1000: it has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<ResolvedMethod> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.entries().get(name) {
                Some(Entry::Current(method)) => return Ok(ResolvedMethod { method, is_stale: false }),
                Some(Entry::Stale(method)) => return Ok(ResolvedMethod { method, is_stale: true }),
                Some(Entry::Broken(diagnostic)) => {
                    return Err(Error::from(code::SERVER_ERROR)
                        .with_details(diagnostic.as_str())
                        .with_source(format!("{name} has never compiled")));
                }
                Some(Entry::Pending { is_asked }) => is_asked.store(true, Ordering::Relaxed),
                None if self.is_known.load(Ordering::Acquire) => return Err(codec::unknown_method(name)),
                None => {}
            }
            // Its sender is beside the entries.
            let _ = changed.changed().await;
        }
    }

    /// The names of those that calls wait for.
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        let entries = self.entries();
        let is_asked = |entry: &Entry| matches!(entry, Entry::Pending { is_asked } if is_asked.load(Ordering::Relaxed));
        entries.iter().filter(|(_, entry)| is_asked(entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Makes all of a change at once.
    pub(crate) fn change(&self, change: Change<'_>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = change.retain {
            entries.retain(|name, _| names.contains(&**name));
            self.is_known.store(true, Ordering::Release);
        }
        for name in change.pending {
            entries.entry(name.to_owned()).or_insert_with(|| Entry::Pending { is_asked: AtomicBool::new(false) });
        }
        for method in change.current {
            entries.insert(method.name.to_owned(), Entry::Current(method));
        }
        for name in change.fresh {
            if let Some(entry) = entries.get_mut(name)
                && let Entry::Stale(method) = *entry
            {
                *entry = Entry::Current(method);
            }
        }
        for (name, diagnostic) in change.failed {
            let entry = match entries.remove(&name) {
                Some(Entry::Current(method) | Entry::Stale(method)) => Entry::Stale(method),
                Some(Entry::Broken(_) | Entry::Pending { .. }) | None => Entry::Broken(diagnostic),
            };
            entries.insert(name, entry);
        }
        drop(entries);
        self.changed.send_replace(());
    }

    /// Those that can be called, sorted by name.
    pub(crate) fn methods(&self) -> Vec<&'static Method> {
        let entries = self.entries();
        let methods = entries.values().filter_map(|entry| match entry {
            Entry::Current(method) | Entry::Stale(method) => Some(*method),
            Entry::Broken(_) | Entry::Pending { .. } => None,
        });
        methods.collect()
    }

    /// The names of all.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.entries().keys().cloned().collect()
    }

    fn entries(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to become different.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// All names that there still are.
    pub(crate) retain: Option<BTreeSet<&'a str>>,
    /// Names of methods that are to be compiled; calls wait for those of them that are new.
    pub(crate) pending: Vec<&'a str>,
    /// Methods that have been loaded.
    pub(crate) current: Vec<&'static Method>,
    /// Names of methods whose files say again what is loaded.
    pub(crate) fresh: Vec<&'a str>,
    /// Names of methods that do not compile, with rustc's words.
    pub(crate) failed: Vec<(String, String)>,
}
