//! The methods as they are served in development mode: replaced while calls go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use method_sdk::{Error, Method, Result, code};

use crate::envelope;
use crate::table::Served;

/// All methods by name. A call finds its method here once, and runs it to its end, whatever takes its place meanwhile.
#[derive(Default)]
pub(crate) struct Live {
    entries: RwLock<BTreeMap<String, Entry>>,
}

enum Entry {
    /// What its file says.
    Current(&'static Method),
    /// What its file said when it last compiled.
    Stale(&'static Method),
    /// It has never compiled: rustc's words.
    Broken(String),
}

impl Live {
    /// The method of this name.
    ///
    /// # Errors
    /// 1001: there is none. 1000: it has never compiled.
    pub(crate) fn find(&self, name: &str) -> Result<Served> {
        match self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            Some(Entry::Current(method)) => Ok(Served { method, is_stale: false }),
            Some(Entry::Stale(method)) => Ok(Served { method, is_stale: true }),
            Some(Entry::Broken(diagnostic)) => Err(Error::from(code::SERVER_ERROR)
                .details(diagnostic.as_str())
                .because(format!("{name} has never compiled"))),
            None => Err(envelope::unknown_method(name)),
        }
    }

    /// Makes all of a change at once.
    pub(crate) fn change(&self, change: Change<'_>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = change.retain {
            entries.retain(|name, _| names.contains(&**name));
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
                Some(Entry::Broken(_)) | None => Entry::Broken(diagnostic),
            };
            entries.insert(name, entry);
        }
    }

    /// Those that can be called, sorted by name.
    pub(crate) fn methods(&self) -> Vec<&'static Method> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let methods = entries.values().filter_map(|entry| match entry {
            Entry::Current(method) | Entry::Stale(method) => Some(*method),
            Entry::Broken(_) => None,
        });
        methods.collect()
    }

    /// The names of all.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// What is to become different.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// All names that there still are.
    pub(crate) retain: Option<BTreeSet<&'a str>>,
    /// Methods that have been loaded.
    pub(crate) current: &'static [Method],
    /// Names of methods whose files say again what is loaded.
    pub(crate) fresh: Vec<&'a str>,
    /// Names of methods that do not compile, with rustc's words.
    pub(crate) failed: Vec<(String, String)>,
}
