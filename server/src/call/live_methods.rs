//! The methods of development mode and their states, which change while calls run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use method_build::{Contract, Tree};
use method_sdk::{Error, Method, Result, code};
use tokio::sync::watch;

use crate::call::resolved_method::{ResolvedMethod, unknown_method};

/// The methods by name. A call resolves its method once and runs it to its end, even if it is replaced meanwhile.
#[derive(Default)]
pub(crate) struct LiveMethods {
    states: RwLock<MethodStates>,
    sources: Mutex<Sources>,
    /// Notifies waiting calls of every update.
    updated: watch::Sender<()>,
}

/// The files of the methods, and the contract that they declare.
#[derive(Default)]
struct Sources {
    tree: Option<Arc<Tree>>,
    /// `None` until it is needed.
    contract: Option<Arc<Contract>>,
}

/// The state of each method.
#[derive(Default)]
pub(crate) struct MethodStates {
    by_name: BTreeMap<String, MethodState>,
    /// The names of all methods are known.
    is_complete: bool,
}

/// A method, as it is loaded and as its sources are.
enum MethodState {
    /// It waits for its first build.
    Pending {
        /// A call waits for it.
        is_requested: AtomicBool,
    },
    /// It is loaded as its sources say, or will be built again.
    Current(LoadedMethod),
    /// It is loaded, and its sources have changed since and do not compile.
    Stale(LoadedMethod, BuildFailure),
    /// It has never compiled.
    Broken(BuildFailure),
}

#[derive(Clone, Copy)]
struct LoadedMethod {
    method: &'static Method,
    /// The fingerprint of the sources; `None` if a file was saved during the build, which may have read either version.
    fingerprint: Option<u64>,
}

/// A build that failed.
#[derive(Clone)]
pub(crate) struct BuildFailure {
    /// The fingerprint of the sources, which are not built again; `None` if they are.
    pub(crate) fingerprint: Option<u64>,
    /// The files with errors.
    pub(crate) files: BTreeSet<PathBuf>,
    /// rustc's diagnostics, or another reason, without colours.
    pub(crate) message: String,
}

impl LiveMethods {
    /// Returns the method of this name. Waits for its first build, and until the names of all methods are known.
    ///
    /// # Errors
    /// 1001: there is no such method. 1000: it has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<ResolvedMethod> {
        let mut updated = self.updated.subscribe();
        loop {
            if let Some(resolved) = self.states().find(name) {
                return resolved;
            }
            // Cannot fail: the sender lives as long as `self`.
            let _ = updated.changed().await;
        }
    }

    /// Replaces the files that [`contract`](Self::contract) reads.
    pub(crate) fn set_tree(&self, tree: Arc<Tree>) {
        let sources = Sources { tree: Some(tree), contract: None };
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// Returns what the methods take and return, as their files declare it; `None` until they have been read.
    pub(crate) fn contract(&self) -> Option<Arc<Contract>> {
        let lock = || self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = match &*lock() {
            Sources { contract: Some(contract), .. } => return Some(contract.clone()),
            Sources { tree, .. } => tree.clone()?,
        };
        // Without the lock, which a reload may be waiting for.
        let contract = Arc::new(tree.contract());
        let mut sources = lock();
        if sources.tree.as_ref().is_some_and(|current| Arc::ptr_eq(current, &tree)) {
            sources.contract = Some(contract.clone());
        }
        Some(contract)
    }

    /// Returns a receiver of every update.
    pub(crate) fn updates(&self) -> watch::Receiver<()> {
        self.updated.subscribe()
    }

    /// Returns the states, which nothing can change until they are dropped.
    pub(crate) fn states(&self) -> RwLockReadGuard<'_, MethodStates> {
        self.states.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the states: calls see all of the update or nothing of it.
    pub(crate) fn update<T>(&self, update: impl FnOnce(&mut MethodStates) -> T) -> T {
        let result = update(&mut self.states.write().unwrap_or_else(PoisonError::into_inner));
        self.updated.send_replace(());
        result
    }
}

impl MethodStates {
    /// Returns what a call of this name receives, or `None` if it has to wait.
    fn find(&self, name: &str) -> Option<Result<ResolvedMethod>> {
        match self.by_name.get(name) {
            Some(MethodState::Current(loaded)) => Some(Ok(ResolvedMethod { method: loaded.method, is_stale: false })),
            Some(MethodState::Stale(loaded, _)) => Some(Ok(ResolvedMethod { method: loaded.method, is_stale: true })),
            Some(MethodState::Broken(failure)) => Some(Err(Error::from(code::SERVER_ERROR)
                .with_details(failure.message.as_str())
                .with_source(format!("{name} has never compiled")))),
            Some(MethodState::Pending { is_requested }) => {
                is_requested.store(true, Ordering::Relaxed);
                None
            }
            None => self.is_complete.then(|| Err(unknown_method(name))),
        }
    }

    /// Returns the names of the methods that calls wait for.
    pub(crate) fn requested(&self) -> BTreeSet<String> {
        let is_requested = |state: &MethodState| matches!(state, MethodState::Pending { is_requested } if is_requested.load(Ordering::Relaxed));
        self.by_name.iter().filter(|(_, state)| is_requested(state)).map(|(name, _)| name.clone()).collect()
    }

    /// Returns the methods that are loaded, sorted by name.
    pub(crate) fn loaded(&self) -> Vec<&'static Method> {
        self.by_name.values().filter_map(|state| Some(state.loaded()?.method)).collect()
    }

    /// Returns the methods whose last build failed.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &BuildFailure)> {
        self.by_name.iter().filter_map(|(name, state)| Some((name.as_str(), state.failure()?)))
    }

    /// Returns `true` if the method has neither been loaded from sources with this fingerprint nor failed with them.
    pub(crate) fn requires_build(&self, name: &str, fingerprint: u64) -> bool {
        let state = self.by_name.get(name);
        let loaded = state.and_then(MethodState::loaded).and_then(|loaded| loaded.fingerprint);
        let failed = state.and_then(MethodState::failure).and_then(|failure| failure.fingerprint);
        loaded != Some(fingerprint) && failed != Some(fingerprint)
    }

    /// Removes the methods whose names are not among these, and returns their names.
    pub(crate) fn retain(&mut self, names: &BTreeSet<&str>) -> Vec<String> {
        self.is_complete = true;
        self.by_name.extract_if(.., |name, _| !names.contains(name.as_str())).map(|(name, _)| name).collect()
    }

    /// Adds a method that is to be built; calls wait for it. One that is known already is unchanged.
    pub(crate) fn add(&mut self, name: &str) {
        let pending = || MethodState::Pending { is_requested: AtomicBool::new(false) };
        self.by_name.entry(name.to_owned()).or_insert_with(pending);
    }

    /// Records that a method was built and loaded. Returns `true` if its last build had failed.
    pub(crate) fn load(&mut self, method: &'static Method, fingerprint: Option<u64>) -> bool {
        let loaded = MethodState::Current(LoadedMethod { method, fingerprint });
        self.by_name.insert(method.name.to_owned(), loaded).is_some_and(|previous| previous.failure().is_some())
    }

    /// Records that a build of a method failed. If it is loaded, it is stale.
    pub(crate) fn fail(&mut self, name: &str, failure: BuildFailure) {
        let state = match self.by_name.get(name).and_then(MethodState::loaded) {
            Some(loaded) => MethodState::Stale(loaded, failure),
            None => MethodState::Broken(failure),
        };
        self.by_name.insert(name.to_owned(), state);
    }

    /// Records the fingerprint of a method's sources. Returns `true` if it was stale and they are again those that are loaded.
    pub(crate) fn restore(&mut self, name: &str, fingerprint: u64) -> bool {
        match self.by_name.get_mut(name) {
            Some(state @ MethodState::Stale(..)) => match state.loaded() {
                Some(loaded) if loaded.fingerprint == Some(fingerprint) => {
                    *state = MethodState::Current(loaded);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }
}

impl MethodState {
    fn loaded(&self) -> Option<LoadedMethod> {
        match self {
            MethodState::Current(loaded) | MethodState::Stale(loaded, _) => Some(*loaded),
            MethodState::Pending { .. } | MethodState::Broken(_) => None,
        }
    }

    fn failure(&self) -> Option<&BuildFailure> {
        match self {
            MethodState::Stale(_, failure) | MethodState::Broken(failure) => Some(failure),
            MethodState::Pending { .. } | MethodState::Current(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use method_sdk::Invoke;

    use super::*;

    fn method() -> &'static Method {
        &Method {
            name: "a",
            file: "methods/a.rs",
            description: "",
            authenticated: false,
            get: false,
            timeout_seconds: None,
            rate: None,
            invoke: Invoke::Sync(|_, _| unreachable!("the method is not called")),
            on_connection_close: None,
        }
    }

    fn failure(fingerprint: Option<u64>) -> BuildFailure {
        BuildFailure { fingerprint, files: BTreeSet::new(), message: "error".to_owned() }
    }

    fn is_stale(states: &MethodStates) -> bool {
        states.find("a").expect("the call does not wait").expect("the method is loaded").is_stale
    }

    #[test]
    fn a_loaded_method_is_stale_until_its_sources_are_restored_or_loaded() {
        let mut states = MethodStates::default();
        states.add("a");
        assert!(states.find("a").is_none() && states.requested().contains("a"));
        assert!(!states.load(method(), Some(1)) && !is_stale(&states));
        assert!(!states.requires_build("a", 1) && states.requires_build("a", 2));

        states.fail("a", failure(Some(2)));
        assert!(is_stale(&states) && !states.requires_build("a", 2) && states.requires_build("a", 3));
        assert!(!states.restore("a", 2) && states.restore("a", 1) && !is_stale(&states));

        states.fail("a", failure(None));
        assert!(states.requires_build("a", 4) && states.load(method(), None) && !is_stale(&states));
        assert!(states.requires_build("a", 4), "a file was saved during the build");
    }

    #[test]
    fn a_method_that_has_never_compiled_is_broken_and_a_removed_one_unknown() {
        let mut states = MethodStates::default();
        assert!(states.find("a").is_none(), "the names are not known yet");
        states.fail("a", failure(Some(1)));
        let error = states.find("a").expect("the call does not wait").err().expect("the method is broken");
        assert_eq!(error.code(), code::SERVER_ERROR.number);
        assert!(!states.restore("a", 1) && states.loaded().is_empty());
        assert_eq!(states.retain(&BTreeSet::new()), ["a"]);
        let error = states.find("a").expect("the call does not wait").err().expect("there is no such method");
        assert_eq!(error.code(), code::UNKNOWN_METHOD.number);
    }
}
